"""Arrow schemas of the tables, which rows make a part, and whether training writes them again.

A part is one Parquet file, replaced whole. Training's parts are one a (table, trial), so a (trial, epoch) has one place
in one file and no crash and no retry can make two rows of it. Rows that come from elsewhere, and later, have parts with
a key of their own beside the trial: `Table.part` names its columns.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tune_at.errors import UserError
from tune_at.store.checksums import checksum, column_checksums

VERSION = 2
"""Raised when a column changes its name or meaning; a reader refuses newer tables, and reads older ones.

1: `trials.proposal` was called `search`; texts were summed as JSON.
2: parts with keys, the tables `evaluations`, `samples` and `probes`, folded files.
"""

VERSION_KEY = b"tune_at_schema_version"

CHECKSUM_KEY = b"tune_at_checksum"

COLUMNS_KEY = b"tune_at_column_checksums"
"""JSON: the checksum of each column, for who reads a part of them. Older files lack it."""

RENAMED = {1: {"search": "proposal"}}
"""Columns by the version up to which they had another name."""

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
        pa.field("proposal", pa.string()),  # JSON: the point of a search that later points depend on
    ]
)
"""One row a trial, and one further column a swept key, named by its dotted path; of imported curves also
`config.KEY`."""

EPOCHS = pa.schema(
    [
        pa.field("trial", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),  # from 1
        pa.field("lr", pa.float64(), nullable=False),
        *(
            pa.field(f"{split}_{kind}_{metric}", pa.float64())
            for split in ("train", "val", "test")
            for kind in ("natural", "robust")
            for metric in ("accuracy", "loss")
        ),
        pa.field("train_seconds", pa.float64()),
        pa.field("evaluation_seconds", pa.float64()),
    ]
)
"""One row a (trial, epoch), and one float64 column `objective_…` a scalar of the objective. Imported curves have
further columns of theirs."""

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
        # continue, stop, exploit, promote (the point gets a longer run; then stop: it gets none), or completed: a rung
        # reached with the trial's last epoch, nothing left to decide
        pa.field("action", pa.string(), nullable=False),
        pa.field("source", pa.string()),  # exploit: the trial whose weights are taken
        pa.field("changes", pa.string()),  # exploit, promote: JSON of the new values by dotted path
        pa.field("decided", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""One row a decision of the scheduler."""

EVALUATIONS = pa.schema(
    [
        pa.field("trial", pa.string(), nullable=False),
        pa.field("checkpoint", pa.string(), nullable=False),  # `best`, or `epoch-000012`, as the last one is, too
        pa.field("epoch", pa.int32(), nullable=False),  # the checkpoint's: `best` may move to another one
        pa.field("split", pa.string(), nullable=False),
        pa.field("attack", pa.string(), nullable=False),  # its name and settings as the user wrote them
        pa.field("batch", pa.int32(), nullable=False),  # from 0: what is done is not done again
        pa.field("n", pa.int64(), nullable=False),  # samples in the batch
        pa.field("natural_correct", pa.int64()),  # of these, right without an attack
        pa.field("correct", pa.int64(), nullable=False),  # of these, right under the attack
        pa.field("accuracy", pa.float64(), nullable=False),  # correct / n
        pa.field("seconds", pa.float64()),
        pa.field("settings", pa.string(), nullable=False),  # JSON
        pa.field("evaluated", pa.timestamp("us", tz="UTC")),
    ]
)
"""One row a (trial, checkpoint, epoch, split, attack, batch): how the batches are cut, `tune_at.evaluation.robust`."""

SAMPLES = pa.schema(
    [
        pa.field("trial", pa.string(), nullable=False),
        pa.field("checkpoint", pa.string(), nullable=False),  # as in `evaluations`; empty while training
        pa.field("epoch", pa.int32(), nullable=False),  # the checkpoint's
        pa.field("split", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),  # what has measured it: `evaluate`, or a probe's name
        pa.field("attack", pa.string(), nullable=False),  # as in `evaluations`; empty without one
        pa.field("batch", pa.int32(), nullable=False),  # as in `evaluations`; 0 for a probe
        pa.field("example", pa.int64(), nullable=False),  # its place in the trial's split
        pa.field("label", pa.int32(), nullable=False),  # the true one
        pa.field("trained_label", pa.int32()),  # the one that was trained on, noise and all
        pa.field("natural_prediction", pa.int32()),
        pa.field("robust_prediction", pa.int32()),
        pa.field("correct", pa.bool_()),  # whether it is right under the attack, as `evaluations` counts it
        pa.field("natural_loss", pa.float64()),
        pa.field("robust_loss", pa.float64()),
        pa.field("settings", pa.string()),  # JSON: of a probe its section
    ]
)
"""One row a (trial, checkpoint, epoch, split, origin, attack, example), and one further column a quantity that is
measured by sample."""

PROBES = pa.schema(
    [
        pa.field("trial", pa.string(), nullable=False),
        pa.field("checkpoint", pa.string(), nullable=False),  # empty for what was measured while training
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("probe", pa.string(), nullable=False),
        pa.field("quantity", pa.string(), nullable=False),
        pa.field("x", pa.float64()),  # where on the quantity's axis; null for a single number
        pa.field("value", pa.float64(), nullable=False),
        pa.field("settings", pa.string()),  # JSON: the probe's section
    ]
)
"""One row a measured point of a (trial, checkpoint or epoch, probe, quantity)."""


class Table(NamedTuple):
    """A table of the store.

    Attributes:
        schema: the columns that are always there.
        key: the columns that identify a row; rows are sorted by them.
        part: the columns that name a part beside its trial; none where a trial's rows are one part.
        rebuilt: whether training writes the rows again, given the trial's checkpoints. What is not rebuilt is never
            removed, damaged or not.
        times: columns that differ between two runs of the same trial; every other column is equal bit for bit on a
            CPU.
    """

    schema: pa.Schema
    key: tuple[str, ...]
    part: tuple[str, ...] = ()
    rebuilt: bool = False
    times: tuple[str, ...] = ()


TABLES = {
    "trials": Table(
        TRIALS, ("trial",), rebuilt=True, times=("started", "ended", "peak_memory_mb", "node")
    ),
    "epochs": Table(
        EPOCHS, ("trial", "epoch"), rebuilt=True, times=("train_seconds", "evaluation_seconds")
    ),
    "decisions": Table(DECISIONS, ("trial", "epoch"), rebuilt=True, times=("decided",)),
    "evaluations": Table(
        EVALUATIONS,
        ("trial", "checkpoint", "epoch", "split", "attack", "batch"),
        part=("checkpoint", "epoch", "split", "attack", "batch"),
        times=("seconds", "evaluated"),
    ),
    "samples": Table(
        SAMPLES,
        ("trial", "checkpoint", "epoch", "split", "origin", "attack", "example"),
        part=("checkpoint", "epoch", "split", "origin", "attack", "batch"),
    ),
    "probes": Table(
        PROBES,
        ("trial", "checkpoint", "epoch", "probe", "quantity", "x"),
        part=("checkpoint", "epoch", "probe"),
    ),
}  # fmt: skip
"""The tables by name."""

TRAINED = tuple(name for name, table in TABLES.items() if table.rebuilt)
"""The tables that training writes."""

TIMES = {name: table.times for name, table in TABLES.items()}
"""Each table's columns that tell the time."""


def part_key(table: str, row: Mapping[str, Any]) -> str:
    """The name of the part that a row belongs to, safe as a file's name; empty where a trial's rows are one part.

    Two different keys never have the same name: it ends with a digest of the key.
    """
    columns = TABLES[table].part
    if not columns:
        return ""
    schema = TABLES[table].schema
    # As the table has them: a number of NumPy's, say, names the same part as Python's.
    values = [pa.scalar(plain(row.get(column)), schema.field(column).type).as_py() for column in columns]
    text = re.sub(r"[^A-Za-z0-9_=+-]+", "_", "-".join(str(value) for value in values if value not in (None, "")))
    digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()
    return f"{text[:80].lstrip('_')}-{digest[:12]}"


def plain(value: Any) -> Any:
    """A value as it is stored: a number of NumPy's as Python's, and what has parts as JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    return json.dumps(value) if isinstance(value, dict | list | tuple) else value


def version_of(schema: pa.Schema, where: str) -> int:
    """The version that a table was written with. Raises `UserError` for one of a newer version of this program."""
    version = int((schema.metadata or {}).get(VERSION_KEY, b"0"))
    if version > VERSION:
        raise UserError(where, f"has schema version {version}, this program knows up to {VERSION}", "upgrade tune-at")
    return version


def modernised(table: pa.Table, version: int) -> pa.Table:
    """A table of an older version with the names that its columns have today."""
    for last, names in RENAMED.items():
        if version <= last and set(names) & set(table.schema.names):
            table = table.rename_columns([names.get(name, name) for name in table.schema.names])
    return table


def build_table(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of the declared schema, sorted by their key, with extra columns typed by their values."""
    rows = list(rows)
    schema = TABLES[name].schema
    extra = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in schema.names]
    for key in extra:
        schema = schema.append(pa.field(key, _type_of([row.get(key) for row in rows])))
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    return sealed(sorted_by_key(name, table) if len(rows) > 1 else table)


def sorted_by_key(name: str, table: pa.Table) -> pa.Table:
    """The rows of a table in the order of their key."""
    return table.sort_by([(column, "ascending") for column in TABLES[name].key])


def sealed(table: pa.Table, extra: Mapping[bytes, str] | None = None) -> pa.Table:
    """The table with its version, its checksums and `extra` as its metadata."""
    sums = {CHECKSUM_KEY: str(checksum(table, VERSION)), COLUMNS_KEY: json.dumps(column_checksums(table, VERSION))}
    return table.replace_schema_metadata({VERSION_KEY: str(VERSION), **(extra or {}), **sums})


def _type_of(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.null()  # becomes whatever type the column has in other trials' files
    if kinds <= {bool}:
        return pa.bool_()
    if kinds <= {int, float}:
        return pa.float64()
    return pa.string()
