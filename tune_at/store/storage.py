"""All sweeps of a storage: the folders in a folder, or under an address, that have a recorded study."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.types as types

from tune_at.store.failures import StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.patience import storage_problem
from tune_at.store.place import LocalPlace, Where, each, to_place
from tune_at.store.snapshot import read_snapshot


def sweeps_in(storage: Where | SweepFolder) -> dict[str, SweepFolder]:
    """The sweeps right in a folder, by their names, sorted; none in one that is a sweep itself, or is not there.

    Raises `StorageFailed`.
    """
    place = storage.place if isinstance(storage, SweepFolder) else to_place(storage)
    try:
        if isinstance(place, LocalPlace):
            place = place.expanduser()
        else:
            place.require_bucket()
        if SweepFolder(place).study.is_file():
            return {}
        folders = [SweepFolder(folder) for folder in place.folders()]
        known = each([folder.study for folder in folders], lambda study: study.is_file())
    except OSError as error:
        raise StorageFailed(str(storage), storage_problem(error), "name another folder") from None
    return {folder.name: folder for folder, sweep in zip(folders, known, strict=True) if sweep}


def read_storage(sweeps: Mapping[str, SweepFolder], tables: Sequence[str]) -> dict[str, pa.Table]:
    """Tables of several sweeps as one each, with the sweep's name in a first column `sweep`.

    A column that only some sweeps have is null for the others. One that has numbers in one sweep and words in another
    has words. Raises as `read_arrow`.
    """
    read = {name: read_snapshot(folder, tables, strict=True) for name, folder in sweeps.items()}
    joined = {}
    for table in tables:
        parts = []
        for name, snapshot in read.items():
            part = snapshot.arrow(table)
            if "sweep" in part.column_names:  # a folder may have been given another name
                part = part.drop_columns(["sweep"])
            parts.append(part.add_column(0, "sweep", pa.array([name] * part.num_rows, pa.string())))
        joined[table] = pa.concat_tables(_alike(parts), promote_options="permissive")
    return joined


def _alike(parts: Sequence[pa.Table]) -> list[pa.Table]:
    """Tables whose columns of one name can stand in one."""
    kinds: dict[str, set[str]] = {}
    for part in parts:
        for field in part.schema:
            if not types.is_null(field.type):
                kinds.setdefault(field.name, set()).add(_kind(field.type))
    mixed = {name for name, found in kinds.items() if len(found) > 1}
    alike = []
    for part in parts:
        for place, field in enumerate(part.schema):
            if field.name in mixed and not types.is_string(field.type):
                part = part.set_column(place, field.name, part.column(place).cast(pa.string()))
        alike.append(part)
    return alike


def _kind(kind: pa.DataType) -> str:
    return "number" if types.is_integer(kind) or types.is_floating(kind) else str(kind)
