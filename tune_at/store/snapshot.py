"""A sweep's tables as they stood at one moment, read once and handed on.

What a table holds is spread over folded files and parts of single units. They are read without a lock, while others
write, fold and merge:

- A part counts more than what folded files say of its unit, and of two folded files the later one.
- A part is removed only after a folded file that holds it is whole, and a folded file only after a larger one is. So a
  file that was listed and is gone by now has its rows elsewhere, and all is listed again.
- A listing may miss a file that is made while it is drawn up. So the folded files are listed again at the end: if
  there are others, all is read again. Nobody ever sees a row twice, or misses one.
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa

from tune_at.store.failures import DamagedPart, StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import MANY, Files, Fold, list_files, list_folds, read_fold, read_part
from tune_at.store.place import Place, each
from tune_at.store.schema import TABLES, TRAINED, build_table, sorted_by_key

if TYPE_CHECKING:
    import pandas as pd

TRIES = 30
"""Times that a store is read again because its driver has folded something meanwhile."""

FEW = 64
"""Files whose rows need not be copied into one piece of memory."""

Units = Sequence[tuple[str, int]]

Content: TypeAlias = tuple[pa.Table, Units] | DamagedPart
"""What reading a file gives."""


@dataclass(frozen=True)
class Damage:
    """A file of the store that cannot be read back whole."""

    table: str
    place: Place
    error: DamagedPart
    unit: str = ""
    """Whose part it is; empty for a folded file."""

    @property
    def rebuilt(self) -> bool:
        """Whether training can write these rows again."""
        return TABLES[self.table].rebuilt

    @property
    def trial(self) -> str:
        """The trial whose rows training has to write again; empty if there is none to name."""
        return self.unit if self.rebuilt else ""


@dataclass(frozen=True)
class Snapshot:
    """Tables of a sweep, and which of its files are damaged: their rows are missing."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    damage: Sequence[Damage] = ()
    own: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The units of each table that have a part of their own; the others are in folded files alone."""

    _moved: dict[str, "pd.DataFrame"] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Frames are made once."""
        object.__setattr__(self, "frame", cache(self._frame))

    if TYPE_CHECKING:

        def frame(self, table: str) -> "pd.DataFrame":
            """A table as a pandas frame, made once: whoever changes it works on a copy."""

    def _frame(self, table: str) -> "pd.DataFrame":
        return self._moved[table] if table in self._moved else self.arrow(table).to_pandas()

    def moved(self, table: str) -> "pd.DataFrame":
        """A table as a pandas frame that takes over its memory: as Arrow it is made again if somebody asks for it."""
        rows = self.arrow(table)
        if rows.num_rows >= MANY and table not in self._moved:
            object.__setattr__(self, "tables", {name: kept for name, kept in self.tables.items() if name != table})
            self._moved[table] = rows.to_pandas(split_blocks=True, self_destruct=True)
        return self.frame(table)

    def arrow(self, table: str) -> pa.Table:
        """A table as Arrow, sorted by its key. An absent one is empty."""
        if table in self._moved:
            return pa.Table.from_pandas(self._moved[table], preserve_index=False)
        return self.tables[table] if table in self.tables else build_table(table, [])

    @property
    def damaged_trials(self) -> frozenset[str]:
        """The trials of which rows are missing that training can write again."""
        trials = {damage.trial for damage in self.damage if damage.trial}
        folded = {damage.table for damage in self.damage if damage.rebuilt and not damage.unit}
        if folded:  # whose rows it had is not known for certain: those that have none where others have some
            names = {table: set(self.arrow(table)["trial"].unique().to_pylist()) for table in TRAINED}
            trials |= {name for table in folded for name in set().union(*names.values()) - names[table]}
        return frozenset(trials)


def read_snapshot(
    folder: SweepFolder,
    tables: Sequence[str] = TRAINED,
    strict: bool = False,
    columns: Mapping[str, Collection[str]] | None = None,
) -> Snapshot:
    """Tables of a sweep as they are now.

    Args:
        folder: the sweep's.
        tables: their names.
        strict: raise for the first file that is damaged, instead of naming it in the snapshot.
        columns: of a table the columns that are wanted, its key's among them; all by default. Damage to others may
            pass unnoticed.

    Raises:
        UserError: a damaged file where `strict`, a newer schema, or storage that fails.
    """
    known: dict[Fold, Content] = {}
    for _ in range(TRIES):
        files = dict(zip(tables, _each_table(folder, tables), strict=True))
        try:
            read = _read_all(files, known, strict, columns or {})
        except FileNotFoundError:
            continue  # folded or merged since it was listed
        if all(list_folds(folder, table)[0] == list(files[table].folds) for table in tables):
            break
    else:
        raise StorageFailed(str(folder.store), "changes faster than it can be read", "try again")
    damage = [found for table in tables for found in read[table][1]]
    own = {table: frozenset(files[table].parts) for table in tables}
    return Snapshot({table: read[table][0] for table in tables}, damage, own)


def find_damage(folder: SweepFolder, tables: Sequence[str]) -> list[Damage]:
    """The damaged files of tables that nobody needs now: each is read and let go again. Raises `StorageFailed`."""

    def check(place: Place) -> DamagedPart | None:
        with contextlib.suppress(FileNotFoundError):
            try:
                read_part(place)
            except DamagedPart as error:
                return error
        return None

    damage = []
    for table in tables:
        files = list_files(folder, table)
        units = {place: unit for unit, place in files.parts.items()}
        for place, error in zip(files.places, each(files.places, check), strict=True):
            if error is not None:
                damage.append(Damage(table, place, error, units.get(place, "")))
    return damage


def _each_table(folder: SweepFolder, tables: Sequence[str]) -> list[Files]:
    return [list_files(folder, table) for table in tables]


def _read_all(
    files: Mapping[str, Files], known: dict[Fold, Content], strict: bool, columns: Mapping[str, Collection[str]]
) -> dict[str, tuple[pa.Table, list[Damage]]]:
    """Each table and its damage. `known`: folded files that were read before, which never change."""
    folds = {fold.place: fold for listed in files.values() for fold in listed.folds}
    wanted = {place: columns.get(table) for table, listed in files.items() for place in listed.places}

    def read(place: Place) -> Content:
        if (fold := folds.get(place)) in known and fold is not None:
            return known[fold]
        content: Content
        try:
            content = read_fold(place, wanted[place]) if fold else (read_part(place, columns=wanted[place]), ())
        except DamagedPart as error:
            if strict:
                raise
            content = error
        if fold:
            known[fold] = content
        return content

    places = [place for listed in files.values() for place in listed.places]
    contents = dict(zip(places, each(places, read), strict=True))
    return {table: _joined(table, listed, contents) for table, listed in files.items()}


def _joined(table: str, files: Files, contents: Mapping[Place, Content]) -> tuple[pa.Table, list[Damage]]:
    """The rows of a table from all its files, each unit's from the file that counts for it."""
    pieces: list[pa.Table] = []
    spans: dict[str, tuple[int, int]] = {}
    damage, start = [], 0
    for fold in files.folds:
        content = contents[fold.place]
        if isinstance(content, DamagedPart):
            damage.append(Damage(table, fold.place, content))
            continue
        pieces.append(content[0])
        for unit, rows in content[1]:
            spans[unit] = (start, start + rows)
            start += rows
    for unit, place in files.parts.items():
        content = contents[place]
        if isinstance(content, DamagedPart):
            damage.append(Damage(table, place, content, unit))
            spans.pop(unit, None)  # older rows do not stand for newer ones
            continue
        pieces.append(content[0])
        spans[unit] = (start, start + content[0].num_rows)
        start += content[0].num_rows
    if not pieces:
        return build_table(table, []), damage
    joined = pa.concat_tables(pieces, promote_options="permissive")
    if len(pieces) > FEW:  # what takes rows from many places is slow; but this holds all of them twice for a moment
        joined = joined.combine_chunks()
    joined = joined.replace_schema_metadata(None)  # of the files, not of the table
    order = np.concatenate([np.arange(*spans[unit]) for unit in sorted(spans)] or [np.arange(0)])
    if len(order) != start or (np.diff(order) != 1).any():
        joined = joined.take(pa.array(order))
    return (sorted_by_key(table, joined) if TABLES[table].part else joined), damage
