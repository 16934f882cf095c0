"""Writing rows: a part at a time, whole or not at all."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tune_at.store.files import write_whole
from tune_at.store.layout import SweepFolder
from tune_at.store.place import Place, Where
from tune_at.store.schema import TABLES, build_table, part_key, plain, sorted_by_key

if TYPE_CHECKING:
    import pandas as pd


STORED = ((pa.types.is_integer, pa.float64()), (pa.types.is_large_string, pa.string()))
"""What columns beyond the schema are stored as, as rows give them."""


def write_rows(
    sweep: Where | SweepFolder, table: str, trial: str, rows: Iterable[Mapping[str, Any]], key: str = ""
) -> None:
    """Replace a part of a table, whole or not at all. Raises `StorageFailed`.

    Args:
        sweep: the sweep's folder or address.
        table: a name in `TABLES`.
        trial: the trial's name.
        rows: all rows of the part; keys outside the schema become columns of their own. Of `trials`, `epochs` and
            `decisions` a part is a trial.
        key: the part's, as `part_key` gives it; by default that of the first row. Needed only where there are no rows.
    """
    stored = [{column: plain(value) for column, value in row.items()} for row in rows]
    if any(row["trial"] != trial for row in stored):
        raise ValueError(f"{table}: rows of another trial than {trial}")
    keys = {key} if key else {part_key(table, row) for row in stored} or {""}
    if len(keys) > 1 or (not any(keys) and TABLES[table].part):
        raise ValueError(f"{table}: rows of {len(keys)} parts, named by {', '.join(TABLES[table].part)}")
    write_table(part_path(sweep, table, trial, keys.pop()), build_table(table, stored))


def write_table(path: Place, table: pa.Table) -> None:
    """Make a sealed table the content of a file of the store. Raises `StorageFailed`."""
    write_whole(path, memoryview(as_parquet(table)))


def as_parquet(table: pa.Table) -> pa.Buffer:
    """The content of the file of a sealed table."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    return sink.getvalue()


def part_path(sweep: Where | SweepFolder, table: str, trial: str, key: str = "") -> Place:
    """The file of a trial's rows, or of its part with this key."""
    if table not in TABLES:
        raise KeyError(table)
    return SweepFolder.of(sweep).part(table, trial, key)


def table_of(name: str, frame: "pd.DataFrame") -> pa.Table:
    """A frame as an unsealed Arrow table of the declared schema, sorted by its key; its other columns are kept.

    What the schema has and the frame lacks is null, and NaN where it may not be; NaN in a frame is null.
    """
    arrays, fields = [], []
    for column in TABLES[name].schema:
        if column.name in frame:
            array = pa.array(frame[column.name], type=column.type, from_pandas=column.nullable)
        elif column.nullable:
            array = pa.nulls(len(frame), column.type)
        else:
            array = pa.array(np.full(len(frame), np.nan), type=column.type)
        arrays.append(array)
        fields.append(column)
    for key in frame.columns.difference(TABLES[name].schema.names, sort=False):
        array = pa.array(frame[key], from_pandas=True)
        kind = next((to for known, to in STORED if known(array.type)), array.type)
        arrays.append(array.cast(kind))
        fields.append(pa.field(str(key), kind))
    return sorted_by_key(name, pa.Table.from_arrays(arrays, schema=pa.schema(fields)).combine_chunks())
