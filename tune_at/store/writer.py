"""Writing a trial's rows."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tune_at.store.files import write_whole
from tune_at.store.schema import TABLES, build_table


def write_rows(sweep: Path, table: str, trial: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a trial's rows in a table, whole or not at all.

    Args:
        sweep: the sweep's folder.
        table: a name in `TABLES`.
        trial: the trial's name.
        rows: all rows of the trial; keys outside the schema become columns of their own.
    """
    plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
    sink = pa.BufferOutputStream()
    pq.write_table(build_table(table, plain), sink, write_page_checksum=True)
    write_whole(part_path(sweep, table, trial), sink.getvalue().to_pybytes())


def part_path(sweep: Path, table: str, trial: str) -> Path:
    """The file of a trial's rows."""
    if table not in TABLES:
        raise KeyError(table)
    return sweep / "store" / table / f"{trial}.parquet"


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list | tuple) else value
