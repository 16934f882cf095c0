"""Where results are printed, and how paths are shown there."""

from pathlib import Path
from typing import TYPE_CHECKING

from tune_at.wording import shell

if TYPE_CHECKING:
    from rich.console import Console

    from tune_at.store.place import Place


def console() -> "Console":
    """The terminal, or 120 columns where output goes to a file or a pipe."""
    from rich.console import Console

    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=120)


def as_typed(path: "Place", query: bool = True) -> str:
    """A path as short as it can be typed from here, as a shell takes it; an address with its `query`, or without."""
    if not isinstance(path, Path):
        return shell(path if query else path.without_query)
    return shell(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
