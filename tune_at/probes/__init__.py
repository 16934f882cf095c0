"""Probes: the paper's diagnostics of a network and its data. They measure, and change nothing."""
