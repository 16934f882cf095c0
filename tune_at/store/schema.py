"""Arrow schemas of the tables and their version.

A trial's rows are one Parquet file a table, `store/<table>/<trial>.parquet`, replaced whole. A (trial, epoch) has one
place in one file, so no crash and no retry can make two rows of it.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tune_at.errors import UserError

VERSION = 1
"""Raised when a column changes its meaning; a reader refuses newer tables."""

VERSION_KEY = b"tune_at_schema_version"

CHECKSUM_KEY = b"tune_at_checksum"

TRIALS = pa.schema(
    [
        pa.field("sweep", pa.string(), nullable=False),
        pa.field("study", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("trial", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        # pending (drawn by a searcher, not started), running, completed, stopped (by a scheduler), diverged or failed;
        # a sweep that is killed leaves `running`.
        pa.field("status", pa.string(), nullable=False),
        pa.field("epochs", pa.int32(), nullable=False),  # finished epochs
        pa.field("best_epoch", pa.int32()),  # by the selection split; null before the first evaluation
        pa.field("selection", pa.string(), nullable=False),
        pa.field("config", pa.string(), nullable=False),  # JSON
        pa.field("config_hash", pa.string(), nullable=False),
        pa.field("started", pa.timestamp("us", tz="UTC")),
        pa.field("ended", pa.timestamp("us", tz="UTC")),
        pa.field("node", pa.string()),
        pa.field("device", pa.string()),
        pa.field("peak_memory_mb", pa.float64()),
        pa.field("versions", pa.string()),  # JSON
        pa.field("error", pa.string()),
        pa.field("search", pa.string()),  # JSON: the point of a search that later points depend on
    ]
)
"""One row a trial, and one further column a swept key, named by its dotted path."""

EPOCHS = pa.schema(
    [
        pa.field("trial", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),  # from 1
        pa.field("lr", pa.float64(), nullable=False),
        *(
            pa.field(f"{split}_{kind}_{measure}", pa.float64())
            for split in ("train", "val", "test")
            for kind in ("natural", "robust")
            for measure in ("accuracy", "loss")
        ),
        pa.field("train_seconds", pa.float64()),
        pa.field("evaluation_seconds", pa.float64()),
    ]
)
"""One row a (trial, epoch), and one float64 column `objective_…` a scalar of the objective."""

DECISIONS = pa.schema(
    [
        pa.field("trial", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),  # the trial's epoch after which it was judged
        pa.field("scheduler", pa.string(), nullable=False),
        pa.field("rung", pa.int32(), nullable=False),  # the epoch that the scheduler names; at most `epoch`
        pa.field("bracket", pa.int32(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),  # what was judged, after smoothing; median: the best so far
        pa.field("cutoff", pa.float64()),  # what it was compared with; null where there was nothing yet
        # continue, stop, exploit, or completed: a rung reached with the trial's last epoch, nothing left to decide
        pa.field("action", pa.string(), nullable=False),
        pa.field("source", pa.string()),  # exploit: the trial whose weights are taken
        pa.field("changes", pa.string()),  # exploit: JSON of the new values by dotted path
        pa.field("decided", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""One row a decision of the scheduler."""

TABLES: dict[str, tuple[pa.Schema, tuple[str, ...]]] = {
    "trials": (TRIALS, ("trial",)),
    "epochs": (EPOCHS, ("trial", "epoch")),
    "decisions": (DECISIONS, ("trial", "epoch")),
}
"""Each table's schema and the columns that identify a row; rows are sorted by them."""

TIMES = {
    "trials": ("started", "ended", "peak_memory_mb", "node"),
    "epochs": ("train_seconds", "evaluation_seconds"),
    "decisions": ("decided",),
}
"""Columns that differ between two runs of the same trial; every other column is equal bit for bit on a CPU."""


def build_table(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of the declared schema, with extra columns typed by their values."""
    rows = list(rows)
    base, _ = TABLES[name]
    extra = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in base.names]
    schema = base
    for key in extra:
        schema = schema.append(pa.field(key, _type_of([row.get(key) for row in rows])))
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    return table.replace_schema_metadata({VERSION_KEY: str(VERSION), CHECKSUM_KEY: str(checksum(table))})


def checksum(table: pa.Table) -> int:
    """CRC-32 of the columns' names, types and values.

    Parquet's own checksums cover its pages, but not the footer that says where and what they are.
    """
    crc = zlib.crc32(repr([(field.name, str(field.type)) for field in table.schema]).encode())
    for column in table.columns:
        if pa.types.is_string(column.type):
            data = json.dumps(column.to_pylist()).encode()
        elif pa.types.is_null(column.type):
            data = b""
        else:
            whole = pa.types.is_timestamp(column.type) or pa.types.is_boolean(column.type)
            numbers = column.cast(pa.int64()) if whole else column
            missing = pc.is_null(numbers)
            data = missing.to_numpy().tobytes() + pc.fill_null(numbers, 0).to_numpy().tobytes()
        crc = zlib.crc32(data, crc)
    return crc


def check_version(schema: pa.Schema, where: str) -> None:
    """Raise `UserError` for a table that a newer version of this program wrote."""
    found = int((schema.metadata or {}).get(VERSION_KEY, b"0"))
    if found > VERSION:
        raise UserError(where, f"has schema version {found}, this program knows up to {VERSION}", "upgrade tune-at")


def _type_of(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.null()  # becomes whatever type the column has in other trials' files
    if kinds <= {bool}:
        return pa.bool_()
    if kinds <= {int, float}:
        return pa.float64()
    return pa.string()
