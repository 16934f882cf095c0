"""CSV, Parquet and JSON lines: files that are tables of curves."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tune_at.errors import UserError, joined
from tune_at.exchange.rows import Rows

SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "jsonl",
}  # fmt: skip
"""What a file is taken for by the end of its name."""

DELIMITERS = ",\t;"


def read_table(path: Path, name: str, kind: str) -> Rows:
    """The rows of a file that is `csv`, `parquet` or `jsonl`; `name` is what it is called in messages.

    Raises `UserError` for a file that cannot be read, and for bad rows by their lines.
    """
    try:
        return {"csv": _read_csv, "parquet": _read_parquet, "jsonl": read_json_lines}[kind](path, name)
    except OSError as error:
        raise UserError(name, f"cannot be read: {error.strerror or error}", "name a file that can") from None
    except UnicodeDecodeError as error:
        raise UserError(name, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None


def _read_csv(path: Path, name: str) -> Rows:
    """Comma, tab or semicolon, by the heading. Quoted cells may hold line breaks."""
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    text = data.decode("utf-8")
    heading = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=heading.count)
    columns = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    columns = [column.strip() or f"column {place}" for place, column in enumerate(columns, 1)]
    if not columns:
        raise UserError(name, "is empty", "name a file with a heading and rows")
    if twice := next((column for column in columns if columns.count(column) > 1), ""):
        raise UserError(f"{name} line 1", f"has two columns named {twice!r}", "rename one")
    bad: list[Any] = []

    def pass_over(row: Any) -> str:
        bad.append(row)
        return "skip"

    table = pa.csv.read_csv(
        pa.BufferReader(data),
        read_options=pa.csv.ReadOptions(use_threads=False, column_names=columns, skip_rows_after_names=1),
        parse_options=pa.csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False,
            invalid_row_handler=pass_over,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=True, null_values=[""],
            quoted_strings_can_be_null=True,
        ),
    )  # fmt: skip
    lines = _lines(text, delimiter, table.num_rows + len(bad))
    wrong = [row for row in bad if row.text.strip()]
    if wrong:
        expected = f"cells instead of the heading's {len(columns)}"
        places = [(lines[row.number - 2], row.actual_columns) for row in wrong]
        raise joined([UserError(f"{name} line {line}", f"has {cells} {expected}") for line, cells in places], name)
    kept = np.delete(lines, [row.number - 2 for row in bad]) if bad else lines
    blank = np.logical_and.reduce([np.asarray(column.is_null()) for column in table.columns])
    cells = {column: np.asarray(table[column].to_pylist(), dtype=object)[~blank] for column in columns}
    return Rows.of(name, cells, kept[~blank])


def _lines(text: str, delimiter: str, rows: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The line on which each row ends, from 2."""
    if text.rstrip("\r\n").count("\n") == rows or '"' not in text:
        return np.arange(2, rows + 2)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    numbers = [reader.line_num for _ in reader][1:]
    return np.asarray((numbers + [0] * rows)[:rows], dtype=np.int64)


def _read_parquet(path: Path, name: str) -> Rows:
    try:
        table = pq.ParquetFile(pa.BufferReader(path.read_bytes())).read()
    except pa.ArrowException as error:
        raise UserError(name, f"is not a Parquet file: {str(error).splitlines()[0]}", "name one that is") from None
    columns: dict[str, list[Any]] = {}
    for column in table.column_names:
        _spread(columns, column, table[column].to_pylist(), table.num_rows)
    return Rows.of(name, columns, np.arange(1, table.num_rows + 1), "row")


def _spread(columns: dict[str, list[Any]], name: str, cells: list[Any], rows: int) -> None:
    """A column of mappings as a column each of their keys."""
    if not any(isinstance(cell, Mapping) for cell in cells):
        columns[name] = [plain_cell(cell) for cell in cells]
        return
    for row, cell in enumerate(cells):
        for key, value in flat(cell, f"{name}/").items() if isinstance(cell, Mapping) else ():
            columns.setdefault(key, [None] * rows)[row] = value


def read_json_lines(path: Path, name: str) -> Rows:
    """One object a line; mappings within are columns `outer/inner`."""
    columns: dict[str, list[Any]] = {}
    lines: list[int] = []
    wrong = []
    for number, text in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            if number == 1 and text.lstrip().startswith(("[", "{")) and text.strip() in "[{":
                raise UserError(name, "is one JSON value over many lines", "write one object a line") from None
            wrong.append(UserError(f"{name} line {number}", f"is not JSON: {error}"))
            continue
        if not isinstance(row, dict):
            wrong.append(UserError(f"{name} line {number}", "is not an object", "write one object a line"))
            continue
        for key, value in flat(row).items():
            columns.setdefault(key, [None] * len(lines)).append(value)
        lines.append(number)
        for cells in columns.values():
            cells += [None] * (len(lines) - len(cells))
    if wrong:
        raise joined(wrong, name)
    return Rows.of(name, columns, lines)


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, its keys joined by `/` as Ray and W&B do."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found |= flat(item, f"{prefix}{key}/")
        else:
            found[f"{prefix}{key}"] = plain_cell(item)
    return found


def plain_cell(cell: Any) -> Any:
    """A cell as a number, a text or None; whatever else it is, as text."""
    if cell is None or isinstance(cell, bool | int | float | str):
        return cell
    return json.dumps(cell, default=str) if isinstance(cell, list | tuple) else str(cell)
