"""The version of the program, as it stands in every sweep and checkpoint."""

__version__ = "0.2.0"
