"""Rows of learning curves as their files have them, each with the place where it stands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

MISSING = frozenset({"", "NA", "N/A", "null", "None", "<NA>"})
"""Texts that stand for no value. `nan` is one: that of a training that has diverged."""

CONFIG = "config/"
"""What the names of a trial's own parameters begin with, as in Ray's own frames."""

NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True)
class Rows:
    """Rows of curves, unconverted.

    Attributes:
        frame: a column each of theirs; a cell is a number, a text or None.
        files: the names of the files.
        file: by row, its place in `files`.
        line: by row, its number within the file.
        word: what is counted: `line`, `row` or `step`.
        trials: by file, the trial that it is of, where the rows themselves do not say; none if all say.
        notes: what is to be said of how they were read.
        epochs_from: 0 or 1 where the format itself says from where epochs are counted.
        roles: columns whose meaning the format says: theirs → ours.
        statuses: how trials ended, by their name, where the format says so.
        errors: what trials that have failed have left of it, by their name, where the format keeps that.
        repeats: whether the format writes an epoch again after a restart; then the last row counts.
    """

    frame: pd.DataFrame
    files: Sequence[str]
    file: npt.NDArray[np.int64]
    line: npt.NDArray[np.int64]
    word: str = "line"
    trials: Sequence[str] = ()
    notes: Sequence[str] = ()
    epochs_from: int | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    repeats: bool = False

    @classmethod
    def of(
        cls, name: str, columns: Mapping[str, Sequence[Any]], line: npt.ArrayLike, word: str = "line", **rest: Any
    ) -> "Rows":
        """The rows of one file."""
        lines = np.asarray(line, dtype=np.int64)
        frame = pd.DataFrame({key: pd.Series(list(cells), dtype=object) for key, cells in columns.items()})
        return cls(frame.reindex(range(len(lines))), (name,), np.zeros(len(lines), dtype=np.int64), lines, word, **rest)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [str(column) for column in self.frame.columns]

    def where(self, row: int | np.integer[Any]) -> str:
        """The place of a row: `curves.csv line 12`."""
        return f"{self.files[self.file[row]]} {self.word} {self.line[row]}"

    @classmethod
    def concatenated(cls, parts: Sequence["Rows"], **rest: Any) -> "Rows":
        """The rows of several files, one after the other. A column that a file lacks is empty there."""
        first, files, numbers = parts[0], list[str](), []
        for part in parts:
            numbers.append(part.file + len(files))
            files += part.files
        frame = pd.concat([part.frame for part in parts], ignore_index=True)
        gaps = [name for name in frame if any(name not in part.frame for part in parts)]
        lacking = np.concatenate([np.full(len(part.line), place) for place, part in enumerate(parts)])
        for name in gaps:  # what pandas fills up with NaN was never written
            without = [place for place, part in enumerate(parts) if name not in part.frame]
            frame[name] = frame[name].astype(object).where(~np.isin(lacking, without), None)
        line = np.concatenate([part.line for part in parts])
        return cls(frame, tuple(files), np.concatenate(numbers), line, first.word, **rest)


class Numbers(NamedTuple):
    """A column as numbers."""

    values: npt.NDArray[np.float64]
    """NaN for what is missing, or wrong."""
    missing: npt.NDArray[np.bool_]
    wrong: npt.NDArray[np.bool_]
    """Cells that are neither a number nor missing."""


def as_numbers(column: "pd.Series[Any]") -> Numbers:
    """A column's cells as numbers. `nan` and `inf` are such; an empty cell is missing."""
    cells = column.to_numpy(dtype=object)
    missing = np.fromiter((is_missing(cell) for cell in cells), bool, len(cells))
    texts = pd.Series(cells, dtype=object).mask(missing, None)
    values = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.isnan(values) & ~missing
    for row in np.flatnonzero(wrong):
        cell = cells[row]
        wrong[row] = not (isinstance(cell, float) or (isinstance(cell, str) and NOT_FINITE.fullmatch(cell.strip())))
    booleans = np.fromiter((isinstance(cell, bool) for cell in cells), bool, len(cells))
    return Numbers(np.where(wrong | booleans, np.nan, values), missing, wrong | booleans)


def is_missing(cell: Any) -> bool:
    """Whether a cell has nothing in it."""
    return cell is None or cell is pd.NA or (isinstance(cell, str) and cell.strip() in MISSING)
