"""The commands: each a file `NAME.py` with its `COMMAND`, and a line in `NAMES`. Heavy imports stand in functions.

A name that is a word of Python's has a file with `_` after it.
"""

import keyword
from importlib import import_module

from tune_at.cli.command import Command

NAMES = (
    "demo",
    "doctor",
    "studies",
    "list",
    "show",
    "sweep",
    "resume",
    "evaluate",
    "probe",
    "export",
    "import",
    "data",
    "status",
    "tensorboard",
    "report",
    "query",
    "replay",
)
"""In the order of the help."""


def commands() -> list[Command]:
    """All commands."""
    loaded: list[Command] = [import_module(f"{__name__}.{_file(name)}").COMMAND for name in NAMES]
    return loaded


def _file(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name
