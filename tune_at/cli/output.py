"""The output of `query` as a terminal table, CSV, or JSON."""

import json
import sys
from typing import Any

import pyarrow as pa
import pyarrow.csv
from rich.console import Console
from rich.table import Table


def print_result(result: pa.Table, form: str) -> None:
    """Print an Arrow table as a terminal table, CSV, or JSON (one array of objects)."""
    if form == "csv":
        pa.csv.write_csv(result, pa.PythonFile(sys.stdout.buffer, mode="w"))
        return
    if form == "json":
        # JSON has no NaN.
        rows = [{k: None if v != v else v for k, v in row.items()} for row in result.to_pylist()]
        print(json.dumps(rows, default=str, indent=1, allow_nan=False))
        return
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for field in result.schema:
        numeric = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        table.add_column(field.name, justify="right" if numeric else "left", overflow="fold")
    for row in result.to_pylist():
        table.add_row(*map(_cell, row.values()))
    # Into a file or a pipe a table is as wide as it has to be.
    target = Console(highlight=False, markup=False)
    (target if target.is_terminal else Console(highlight=False, markup=False, width=10_000)).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
