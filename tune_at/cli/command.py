"""What a command is: its name, its options, and what it does."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command of the command line."""

    name: str
    summary: str
    """One line for the help."""
    add_options: Callable[[ArgumentParser], None]
    """Adds its options to its own parser."""
    run: Callable[[Namespace], int]
    """Does it, and returns the exit code. Raises `UserError` for a user's mistake."""
