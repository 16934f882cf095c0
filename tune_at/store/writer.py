"""Writing a trial's rows."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tune_at.store.files import write_whole
from tune_at.store.layout import SweepFolder
from tune_at.store.place import Place, Where
from tune_at.store.schema import TABLES, build_table


def write_rows(sweep: Where | SweepFolder, table: str, trial: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a trial's rows in a table, whole or not at all. Raises `StorageFailed`.

    Args:
        sweep: the sweep's folder or address.
        table: a name in `TABLES`.
        trial: the trial's name.
        rows: all rows of the trial; keys outside the schema become columns of their own.
    """
    plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
    sink = pa.BufferOutputStream()
    pq.write_table(build_table(table, plain), sink, write_page_checksum=True)
    write_whole(part_path(sweep, table, trial), memoryview(sink.getvalue()))


def part_path(sweep: Where | SweepFolder, table: str, trial: str) -> Place:
    """The file of a trial's rows."""
    if table not in TABLES:
        raise KeyError(table)
    return SweepFolder.of(sweep).part(table, trial)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list | tuple) else value
