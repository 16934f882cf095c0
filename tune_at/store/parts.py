"""Files of the store: which there are, and reading one with all its checks."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tune_at.errors import UserError
from tune_at.store.checksums import checksum, column_checksums
from tune_at.store.failures import DamagedPart
from tune_at.store.layout import SweepFolder
from tune_at.store.patience import patiently
from tune_at.store.place import LocalPlace, Place, Where, to_place
from tune_at.store.schema import CHECKSUM_KEY, COLUMNS_KEY, TABLES, modernised, version_of
from tune_at.wording import program, shell

PARQUET = ".parquet"

LARGE = 2**24
"""Bytes from which on a file on this machine is read piece by piece."""

MANY = 2**17
"""Rows from which on a file is read column by column, and only those that are wanted."""

OPTIONS = {"page_checksum_verification": True}

UNITS_KEY = b"tune_at_units"
"""Metadata of a folded file: JSON of [unit, rows] in the order of the rows."""


@dataclass(frozen=True, order=True)
class Fold:
    """A folded file. It holds what the folds `first` to `last` held; of a unit in two of them the later one counts."""

    first: int
    last: int
    place: Place

    def within(self, other: "Fold") -> bool:
        """Whether another one has all that this one has."""
        return self != other and other.first <= self.first and self.last <= other.last


@dataclass(frozen=True)
class Files:
    """The files of a table. A unit is what one part holds: `TRIAL`, or `TRIAL/KEY`.

    Attributes:
        parts: each unit's own file, which counts more than what folds say of the unit.
        folds: folded files, oldest first.
        merged: folded files that a later one has taken in, left by a crash.
    """

    parts: Mapping[str, Place]
    folds: Sequence[Fold] = ()
    merged: Sequence[Fold] = ()

    @property
    def places(self) -> list[Place]:
        """All files that count."""
        return [*(fold.place for fold in self.folds), *self.parts.values()]


def list_files(folder: SweepFolder, table: str) -> Files:
    """The files of a table. Raises `StorageFailed`.

    The parts are listed first: one that is folded in between is in a folded file by then.
    """
    parts = folder.table(table).below(PARQUET)
    return Files({path.removesuffix(PARQUET): place for path, place in parts.items()}, *list_folds(folder, table))


def list_folds(folder: SweepFolder, table: str) -> tuple[list[Fold], list[Fold]]:
    """The folded files of a table: those that count, oldest first, and those that others have taken in."""
    folds = []
    for place in folder.folded(table).files(suffix=PARQUET):
        if numbers := re.fullmatch(r"(\d+)-(\d+)\.parquet", place.name):
            folds.append(Fold(int(numbers[1]), int(numbers[2]), place))
    folds.sort()
    merged = [fold for fold in folds if any(fold.within(other) for other in folds)]
    return [fold for fold in folds if fold not in merged], merged


def fold_place(folder: SweepFolder, table: str, first: int, last: int) -> Place:
    """The place of a folded file."""
    return folder.folded(table) / f"{first:06d}-{last:06d}{PARQUET}"


def read_part(path: Where, changes: bool = True, columns: Collection[str] | None = None) -> pa.Table:
    """One file of the store, checked, with the columns that its table has today.

    `changes`: whether somebody may replace it while it is read; `columns`: those that are wanted, as far as it has
    them, all by default. Raises `FileNotFoundError`, `DamagedPart`, `StorageFailed`, or `UserError` for a newer schema.
    """
    try:
        table, version = _checked(pq.ParquetFile(_source(to_place(path), changes), **OPTIONS), str(path), columns)
    except (UserError, FileNotFoundError):
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:  # ValueError: text that is not UTF-8, too
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise DamagedPart(str(path), f"is damaged: {reason}", remedy_for(path)) from None
    modern = modernised(table, version)
    return modern if columns is None else modern.select([name for name in modern.column_names if name in columns])


def _checked(file: pq.ParquetFile, path: str, columns: Collection[str] | None) -> tuple[pa.Table, int]:
    """The wanted columns of a file, or all where only all can be checked, and the version of its schema."""
    metadata = file.schema_arrow.metadata or {}
    version = version_of(file.schema_arrow, path)
    if columns is None or COLUMNS_KEY not in metadata or not _is_many(file):
        table = _read(file, file.schema_arrow.names)
        if int(metadata[CHECKSUM_KEY]) != checksum(table, version):
            raise ValueError("the checksum does not match")
        return table, version
    known = json.loads(metadata[COLUMNS_KEY])
    if list(known) != file.schema_arrow.names:
        raise ValueError("the checksums are of other columns")
    table = _read(file, [name for name in known if name in columns])
    if any(known[name] != found for name, found in column_checksums(table, version).items()):
        raise ValueError("the checksum of a column does not match")
    return table, version


def _source(place: Place, changes: bool) -> pa.NativeFile:
    """A file's content for Arrow, in which an error of the storage is not taken for damage.

    It is read before it is parsed, or, where that would take much memory, by a file whose errors are the storage's.
    """
    if isinstance(place, LocalPlace) and patiently(place, place.stat).st_size > LARGE:
        return place.open_source()
    return pa.BufferReader(place.read_bytes(changes))


def _is_many(file: pq.ParquetFile) -> bool:
    return bool(file.metadata.num_rows >= MANY)


def _read(file: pq.ParquetFile, names: Sequence[str]) -> pa.Table:
    """Some columns, one after the other: at once, decoding a large file takes twice the memory of what it holds.

    Not `pq.read_table`: that imports the whole of pyarrow.dataset first.
    """
    if not _is_many(file):
        return file.read(list(names))
    schema = pa.schema([file.schema_arrow.field(name) for name in names], file.schema_arrow.metadata)
    table = pa.table([file.read([name], use_threads=False)[name] for name in names], schema=schema)
    pa.default_memory_pool().release_unused()
    return table


def read_fold(place: Place, columns: Collection[str] | None = None) -> tuple[pa.Table, list[tuple[str, int]]]:
    """A folded file and its units, each with its number of rows, in the order of the rows. Raises as `read_part`."""
    table = read_part(place, changes=False, columns=columns)
    try:
        units = [(str(unit), int(rows)) for unit, rows in json.loads(table.schema.metadata[UNITS_KEY])]
        if sum(rows for _, rows in units) != table.num_rows:
            raise ValueError("it has another number of rows than it says")
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedPart(str(place), f"is damaged: {error}", remedy_for(place)) from None
    return table, units


def remedy_for(path: Where) -> str:
    """What `resume` does about a damaged file of the store, and how it is called."""
    address, _, query = str(path).partition("?")
    sweep, _, inside = address.rpartition("/store/")
    again = shell(*program(), "resume", (sweep or address) + (f"?{query}" if query else ""))
    table = next((TABLES[name] for name in reversed(inside.split("/")[:-1]) if name in TABLES), None)
    if table is not None and not table.rebuilt:
        return f"`{again}` sets it aside and goes on without it: nothing can write it again"
    return f"`{again}` writes it again"
