"""The output of `query` as a terminal table, CSV, or JSON.

DuckDB itself turns values into text: every type that it has, also within lists, structs and maps, is shown as DuckDB
shows it, and dates and times beyond Python's are as good as any.
"""

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from tune_at.store.layout import SweepFolder
from tune_at.store.place import Where
from tune_at.store.reader import answering

if TYPE_CHECKING:
    import duckdb

FLOATS = frozenset({"float", "double"})
INTEGERS = frozenset(
    {"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "hugeint"}
)
NUMBERS = FLOATS | INTEGERS | {"decimal", "uhugeint", "bignum"}
"""Types, as DuckDB calls them, that stand at the right of a column."""
AS_THEY_ARE = FLOATS | INTEGERS | {"decimal", "boolean", "varchar"}
"""Types that CSV has; all others are text there."""

NOT_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b')
"""Strings, to be passed over, and the numbers that JSON lacks."""


def print_query(sweep: Where | SweepFolder, sql: str, form: str) -> None:
    """Run one SQL statement over a sweep's tables, and print its result as `table`, `csv` or `json`.

    Raises `UserError` for a statement that fails.
    """
    with answering(sweep, sql) as (connection, statement):
        result = connection.sql(statement)
        names = unique(result.columns)
        kinds = [str(kind.id) for kind in result.types]
        # By place: names may stand twice. The line break ends a comment.
        columns = [f"c{place}" for place in range(len(names))]
        source = f"({statement}\n) AS result({', '.join(columns)})"
        if form == "json":
            # By way of text: Arrow has no room for all of DuckDB's types.
            shown = [f"CAST(to_json({column}) AS VARCHAR)" for column in columns]
            rows = connection.sql(f"SELECT {', '.join(shown)} FROM {source}").fetchall()
            print(as_json(names, rows))
            return
        kept = AS_THEY_ARE if form == "csv" else FLOATS
        shown = [c if k in kept else f"CAST({c} AS VARCHAR)" for c, k in zip(columns, kinds, strict=True)]
        table = connection.sql(f"SELECT {', '.join(shown)} FROM {source}")
        if form == "csv":
            _write_csv(table, names)
        else:
            print_table(names, [kind in NUMBERS for kind in kinds], table.fetchall())


def unique(names: Sequence[str]) -> list[str]:
    """Names of columns, those that stand twice numbered: `trial`, `trial_1`."""
    out: list[str] = []
    for name in names:
        free, number = name, 0
        while free in out or (number and free in names):
            number += 1
            free = f"{name}_{number}"
        out.append(free)
    return out


def _write_csv(table: "duckdb.DuckDBPyRelation", names: Sequence[str]) -> None:
    arrow = table.to_arrow_table().rename_columns(list(names))
    sys.stdout.flush()
    pa.csv.write_csv(arrow, pa.PythonFile(sys.stdout.buffer, mode="w"))


def as_json(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """An array of one object a row. NaN is null and the infinities are strings: JSON has neither as numbers."""
    import json

    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    objects = []
    for row in rows:
        values = ["null" if value is None else NOT_JSON.sub(_as_valid, value) for value in row]
        lines = ",\n".join(f"  {key}: {value}" for key, value in zip(keys, values, strict=True))
        objects.append(f" {{\n{lines}\n }}")
    return "[\n" + ",\n".join(objects) + "\n]" if objects else "[]"


def _as_valid(token: re.Match[str]) -> str:
    text = token[0]
    return text if text.startswith('"') else "null" if text == "NaN" else f'"{text}"'


def print_table(names: Sequence[str], right: Sequence[bool], rows: Sequence[Sequence[Any]]) -> None:
    """A table; in a terminal that it is too wide for, one line a value, and a heading a row.

    Into a file or a pipe a table is as wide as it has to be.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    lines = [[cell.splitlines() or [""] for cell in row] for row in [list(names), *cells]]
    widths = [max(cell_len(line) for row in lines for line in row[place]) for place in range(len(names))]
    terminal = Console(highlight=False, markup=False, emoji=False)
    wide = sum(widths) + 2 * len(names)
    if terminal.is_terminal and wide > terminal.width:
        for number, row in enumerate(cells, 1):
            terminal.print(f"row {number}", style="bold")
            for name, cell in zip(names, row, strict=True):
                terminal.print(f" {name.ljust(max(map(len, names)))}  {cell}", soft_wrap=True)
        return
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name, numeric in zip(names, right, strict=True):
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in cells:
        table.add_row(*row)
    (terminal if terminal.is_terminal else Console(highlight=False, markup=False, emoji=False, width=wide)).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    # What a terminal would take for a command is shown as its code.
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
