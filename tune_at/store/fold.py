"""Many parts → few files, while others read, and whatever moment the power goes.

A fold takes whole parts into one new file, `store/folded/TABLE/000005-000005.parquet`, with the list of its units and
their rows; then it removes the parts. Folds of the same size are merged as they grow in number: 1 to 4 become
`000001-000004.parquet`, then they are removed. So a thousand trials are in a handful of files, and each row is written
again a few times at the most.

Only the holder of the sweep's lock folds, and only units that nobody writes any more. The order keeps every row:

1. The new file is written, whole or not at all. Killed here: the parts are still there, and a part counts more than a
   fold that holds the same.
2. The parts, or the smaller folds, are removed one by one. Killed here: of those that are left a part says the same as
   the fold, and a fold whose numbers lie within another's is passed over; the next fold removes both.

A trial that runs again after it was folded writes its part again, which counts more than its folded rows, and is folded
into a file with a higher number. What is damaged is not folded, merged or removed: `resume` names it and sets it aside.
How a reader that began before gets along with this: `tune_at.store.snapshot`.
"""

import contextlib
import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tune_at.store.failures import DamagedPart
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import UNITS_KEY, Files, Fold, fold_place, list_files, read_fold, read_part
from tune_at.store.place import LocalPlace, Place, each
from tune_at.store.schema import TRAINED, sealed
from tune_at.store.snapshot import Snapshot
from tune_at.store.writer import as_parquet, table_of, write_table

if TYPE_CHECKING:
    import pandas as pd

BATCH = 16
"""Parts that are worth a file of their own. A table with fewer stays as it is."""

WIDTH = 4
"""Folds of about the same size that are merged into one."""

Piece = tuple[pa.Table, Sequence[tuple[str, int]]]


def fold(folder: SweepFolder, units: Collection[str], last: bool = False) -> None:
    """Fold units of the tables that training writes, where they are many. Call with the sweep's lock held.

    Args:
        folder: the sweep's.
        units: trials that have ended, and that nobody writes any more.
        last: the sweep ends: all that is left is folded, and all folds become one a table.

    Raises:
        StorageFailed: every row is as safe as before.
    """
    for table in TRAINED:
        fold_table(folder, table, units, last)


def fold_table(folder: SweepFolder, table: str, units: Collection[str], last: bool = False) -> None:
    """Fold units of one table; see `fold`."""
    files = list_files(folder, table)
    _remove_merged(files)
    chosen = {unit: place for unit, place in files.parts.items() if unit in units}
    folds = list(files.folds)
    if len(chosen) >= BATCH or (last and chosen and folds):
        folds += _fold_parts(folder, table, chosen, folds[-1].last + 1 if folds else 1)
    _merge(folder, table, folds, last)


def unfold(folder: SweepFolder, snapshot: Snapshot, trials: Collection[str]) -> None:
    """Give trials that run again their own parts back, where their rows are in folded files alone.

    Their workers look for these. The parts say what the folds say, so being killed in between changes nothing.
    """
    for table in TRAINED:
        names = snapshot.arrow(table)["trial"]
        for trial in sorted(set(trials) - snapshot.own.get(table, frozenset())):
            rows = snapshot.arrow(table).filter(pc.equal(names, trial))
            if rows.num_rows:
                write_table(folder.part(table, trial), sealed(rows.combine_chunks()))


def _remove_merged(files: Files) -> None:
    """Remove folds that a later one has taken in, as a crash leaves them, if that one is whole."""
    for fold in files.merged:
        with contextlib.suppress(DamagedPart):
            for other in files.folds:
                if fold.within(other):
                    read_fold(other.place)
            fold.place.unlink(missing_ok=True)


def _fold_parts(folder: SweepFolder, table: str, parts: dict[str, Place], number: int) -> list[Fold]:
    """Write parts as one fold and remove them. Parts that are damaged stay where they are."""

    def read(place: Place) -> pa.Table | None:
        with contextlib.suppress(DamagedPart, FileNotFoundError):
            return read_part(place)
        return None

    contents = dict(zip(parts, each(list(parts.values()), read), strict=True))
    whole = {unit: content for unit, content in sorted(contents.items()) if content is not None}
    if not whole:
        return []
    pieces = [(content, [(unit, content.num_rows)]) for unit, content in whole.items()]
    written = _write(folder, table, pieces, number, number)
    each([parts[unit] for unit in whole], lambda place: place.unlink(missing_ok=True))
    return [written]


def _merge(folder: SweepFolder, table: str, folds: list[Fold], last: bool) -> None:
    """Merge neighbours of about one size until fewer than `WIDTH` are left of each; at the end, all."""
    while True:
        run = _run(folds, last)
        pieces: list[Piece] = []
        with contextlib.suppress(DamagedPart):
            pieces = [read_fold(fold.place) for fold in run]
        if len(pieces) < 2:
            return  # nothing to merge, or one of them is damaged: then they stay as they are
        merged = _write(folder, table, pieces, run[0].first, run[-1].last)
        for fold in run:
            fold.place.unlink(missing_ok=True)
        folds = [fold for fold in folds if fold not in run] + [merged]
        folds.sort()


def _run(folds: list[Fold], last: bool) -> list[Fold]:
    """The neighbours to merge next: all of them, or `WIDTH` that took in as many folds each."""
    if last:
        return folds
    for end in range(len(folds), WIDTH - 1, -1):
        run = folds[end - WIDTH : end]
        sizes = [fold.last - fold.first + 1 for fold in run]
        if max(sizes) < WIDTH * min(sizes):
            return run
    return []


def _write(folder: SweepFolder, table: str, pieces: Sequence[Piece], first: int, last: int) -> Fold:
    """One folded file with the units of the pieces, of a unit in several the last one's rows; sorted by unit."""
    rows: dict[str, pa.Table] = {}
    for content, units in pieces:
        start = 0
        for unit, count in units:
            rows[unit] = content.slice(start, count)
            start += count
    names = sorted(rows)
    joined = pa.concat_tables([rows[unit] for unit in names], promote_options="permissive").combine_chunks()
    place = fold_place(folder, table, first, last)
    write_table(place, _listing(joined, [(unit, rows[unit].num_rows) for unit in names]))
    return Fold(first, last, place)


def _listing(table: pa.Table, units: Sequence[tuple[str, int]]) -> pa.Table:
    """A table of many units' rows, sealed, with the list of the units."""
    return sealed(table, {UNITS_KEY: json.dumps([[unit, rows] for unit, rows in units])})


def folded_file(table: str, rows: "pd.DataFrame") -> tuple[str, bytes]:
    """All rows of a table that training writes, as the one folded file that a folder begins with.

    Args:
        table: its name.
        rows: a column each; those of the schema that are missing are null, other ones are kept. In any order.

    Returns:
        The file's path within a sweep's folder, and its content.
    """
    content = table_of(table, rows)
    counts = rows["trial"].value_counts()
    units = [(str(trial), int(counts[trial])) for trial in sorted(counts.index)]
    path = fold_place(SweepFolder(LocalPlace(".")), table, 1, 1)
    return str(path), as_parquet(_listing(content, units)).to_pybytes()


def set_aside(folder: SweepFolder, snapshot: Snapshot) -> list[str]:
    """Move the damaged files of the store out of its readers' way; nothing is removed. Call with the lock held.

    Returns a line for each: which file, what is wrong, where it is now, and whether it is written again.
    """
    lines = []
    for damage in snapshot.damage:
        name = f"{damage.table}-{damage.unit.replace('/', '-') or f'folded-{damage.place.name}'}"
        target, number = folder.damaged / name, 1
        while target.exists():
            number += 1
            target = folder.damaged / f"{name}-{number}"
        with contextlib.suppress(FileNotFoundError):
            damage.place.move_to(target)
        remedy = "its rows are written again" if damage.rebuilt else "nothing can write its rows again: go on without"
        lines.append(f"{damage.error.where}: {damage.error.problem}; it is now {target}; {remedy}")
    return lines
