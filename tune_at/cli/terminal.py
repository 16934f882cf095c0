"""Where results are printed, and how paths are shown there."""

from pathlib import Path
from typing import TYPE_CHECKING

from tune_at.wording import shell

if TYPE_CHECKING:
    from rich.console import Console

    from tune_at.store.place import Place


UNBOUNDED = 100_000


def console(wide: bool = False, quiet: bool = False) -> "Console":
    """The terminal; 120 columns where output goes to a file or a pipe, or if `wide`, as many as it takes.

    `quiet`: one that shows nothing.
    """
    from rich.console import Console

    terminal = Console(highlight=False, quiet=quiet)
    return terminal if terminal.is_terminal else Console(highlight=False, quiet=quiet, width=UNBOUNDED if wide else 120)


def width() -> int | None:
    """The columns of the terminal; None if output goes to a file or a pipe."""
    shown = console(wide=True)
    return shown.width if shown.is_terminal else None


def as_typed(path: "Place", query: bool = True) -> str:
    """A path as short as it can be typed from here, as a shell takes it; an address with its `query`, or without."""
    if not isinstance(path, Path):
        return shell(path if query else path.without_query)
    return shell(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
