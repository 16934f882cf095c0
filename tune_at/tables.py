"""Tables that fit the terminal: columns are given up in order of worth, names are shortened in the middle last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table

from tune_at.wording import shortened

NAME_FLOOR = 16
"""Columns to which names are shortened before a column is given up that is no extra."""


@dataclass(frozen=True)
class Column:
    """A column of a fitted table; the first of a table holds the names, and is never given up."""

    name: str
    right: bool = False
    worth: int | None = None
    """Columns are given up from the least on; None is never."""
    extra: bool = False
    """Whether it is given up before any name is shortened."""
    instead_of: str = ""
    """The column that this one, narrower, is shown in place of once that is given up."""


def fitted(columns: Sequence[Column], rows: Sequence[Mapping[str, str]], width: int | None, caption: str = "") -> Table:
    """A table no wider than `width` columns, as long as the names keep four; None is as wide as it has to be.

    Each row has a cell a column, by the column's name, and is one line whatever the width. A caption also names the
    columns that were given up.
    """
    order = sorted((c for c in columns[1:] if c.worth is not None), key=lambda c: c.worth or 0)
    longest = max([cell_len(columns[0].name), *(cell_len(row[columns[0].name]) for row in rows)])
    kept, free = list(columns), longest
    for dropped in range(len(order) + 1) if width is not None else (0,):
        gone = {column.name for column in order[:dropped]}
        kept = [c for c in columns if c.name not in gone and (not c.instead_of or c.instead_of in gone)]
        taken = sum(2 + max([cell_len(c.name), *(cell_len(row[c.name]) for row in rows)]) for c in kept[1:])
        free = longest if width is None else width - taken - 2
        wanted = longest if any(column.extra for column in order[dropped:]) else min(longest, NAME_FLOOR)
        if free >= wanted:
            break
    narrower = {column.instead_of for column in kept}
    left_out = [c.name for c in columns if c not in kept and c.name not in narrower and not c.instead_of]
    if caption and left_out:
        caption += f"; left out: {', '.join(left_out)}"
    table = Table(box=None, padding=(0, 1), header_style="bold", caption=caption or None)
    for column in kept:
        table.add_column(column.name, justify="right" if column.right else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        name = shortened(row[kept[0].name], max(4, min(free, longest)))
        table.add_row(name, *(row[column.name] for column in kept[1:]))
    return table
