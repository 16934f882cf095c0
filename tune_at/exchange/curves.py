"""Rows from elsewhere → rows of ours: numbers in our units, one row a (trial, epoch), and what ended each trial."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tune_at.config.section import SELECTION_SPLITS
from tune_at.errors import UserError, joined
from tune_at.exchange.asked import METRICS, NUMBERS, SCALAR, Asked, Roles, assign, listed
from tune_at.exchange.rows import Numbers, Rows, as_numbers, is_missing
from tune_at.exchange.units import questions, to_epochs, to_fractions
from tune_at.wording import counted

DUPLICATES = "keep one row of each (trial, epoch)"

SHOWN = 8
"""Trials that a note names."""

PLACE, LOST, HAS = "\0place", "\0lost", "\0has "
"""Columns of our own while rows are put together, under names that no file gives."""


@dataclass(frozen=True)
class Curves:
    """Curves in our units.

    Attributes:
        rows: as they were read, with their places.
        roles: what each of their columns is.
        epochs: trial, epoch, numbers and kept columns, a row a (trial, epoch), sorted by both; `trial` is theirs.
        first: by row of `epochs`, its place in `rows`.
        lost: by row of `epochs`, whether a metric of it was measured and is not finite.
        selection: the split that judges.
        notes: what is to be said.
    """

    rows: Rows
    roles: Roles
    epochs: pd.DataFrame
    first: npt.NDArray[np.int64]
    lost: npt.NDArray[np.bool_]
    selection: str
    notes: Sequence[str]


def to_curves(rows: Rows, asked: Asked, source: str) -> Curves:
    """Convert rows.

    Args:
        rows: as they were read.
        asked: what the user says of them.
        source: what they are called in messages.

    Raises:
        UserError: what has to be said and was not, all of it in one line; or bad rows, by their lines.
    """
    roles = assign(rows, asked)
    columns = rows.columns
    metrics = [ours for ours in METRICS if ours in roles.named]
    wanted = [ours for ours in roles.named if ours in NUMBERS or ours.startswith(SCALAR) or ours in ("epoch", "seed")]
    numbers = {ours: as_numbers(rows.frame[roles.named[ours]]) for ours in wanted}
    missing: list[UserError] = []
    if "epoch" not in roles.named:
        missing.append(UserError(source, "has no column of epochs", f"say --map THEIRS=epoch; {listed(columns)}"))
    if not metrics:
        remedy = f"say --map THEIRS=test_robust_accuracy and the like; {listed(columns)}"
        missing.append(UserError(source, "has no column that is a metric of ours", remedy))
    missing += questions(rows, roles, numbers, asked)
    if missing:
        raise joined(missing, source)
    converted, bad = _converted(rows, roles, numbers, asked)
    measured = np.logical_or.reduce([~numbers[ours].missing for ours in metrics])
    trials = _trials(rows, roles)
    nameless = np.fromiter((is_missing(trial) for trial in trials), bool, len(trials))
    for what, lacking in (("epoch", numbers["epoch"].missing), ("trial", nameless)):
        bad += [UserError(rows.where(row), f"has no {what}") for row in np.flatnonzero(lacking & measured)]
    if bad:
        raise joined(sorted(bad, key=_in_order), source)
    whole = ~numbers["epoch"].missing & ~nameless
    notes = list(rows.notes)
    if not whole.all():
        notes.append(f"left out, for they have no epoch and no metric: {counted(int((~whole).sum()), 'row')}")
    if not whole.any():
        raise UserError(source, "has no row with an epoch and a metric", "see which columns are mapped")
    cells = {name: rows.frame[theirs] for name, theirs in roles.kept.items()}
    kept = {name: _typed(column) for name, column in cells.items() if not all(map(is_missing, column))}
    frame = pd.DataFrame({"trial": pd.Series(trials, dtype=object).map(str), **converted, **kept})
    lost = np.logical_or.reduce([~numbers[m].missing & ~np.isfinite(numbers[m].values) for m in metrics])
    for ours in metrics:
        frame[HAS + ours] = ~numbers[ours].missing
    frame[PLACE], frame[LOST] = np.arange(len(frame)), lost
    one = _one_a_epoch(rows, frame[whole], metrics, notes)
    place, was_lost = one.pop(PLACE).to_numpy(dtype=np.int64), one.pop(LOST).to_numpy(dtype=bool)
    return Curves(rows, roles, one, place, was_lost, _selection(metrics, asked), notes)


def _converted(
    rows: Rows, roles: Roles, numbers: Mapping[str, Numbers], asked: Asked
) -> tuple[dict[str, npt.NDArray[np.float64]], list[UserError]]:
    """The columns that are numbers, in our units, and a mistake for each cell that is none."""
    converted, bad = {}, []
    for ours, column in numbers.items():
        theirs = roles.named[ours]
        wrong = [(row, rows.frame[theirs].iloc[row]) for row in np.flatnonzero(column.wrong)]
        bad += [UserError(rows.where(row), f"{theirs} {str(cell)[:40]!r} is not a number") for row, cell in wrong]
        errors: list[UserError] = []
        values = column.values
        if ours == "epoch":
            values, errors = to_epochs(rows, theirs, column, asked)
        elif ours.endswith("_accuracy"):
            values, errors = to_fractions(rows, theirs, column, asked)
        elif ours == "seed":
            odd = ~column.missing & ~column.wrong & ~((values >= 0) & (values < 2**53) & (values % 1 == 0))
            errors = [
                UserError(rows.where(row), f"{theirs} {values[row]:g} is not a seed: a whole number from 0")
                for row in np.flatnonzero(odd)
            ]
        bad += errors
        if ours != "seed":
            converted[ours] = values
    return converted, bad


def _in_order(error: UserError) -> list[tuple[int, str]]:
    """By file and line: line 9 comes before line 10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", error.where)]


def _trials(rows: Rows, roles: Roles) -> list[Any]:
    """Each row's trial: what its column says, or else the file."""
    if "trial" in roles.named:
        return rows.frame[roles.named["trial"]].tolist()
    return [rows.trials[file] for file in rows.file]


def _one_a_epoch(rows: Rows, frame: pd.DataFrame, metrics: Sequence[str], notes: list[str]) -> pd.DataFrame:
    """One row a (trial, epoch), sorted.

    Loggers write what is measured at different moments of an epoch into rows of their own: such rows, no two of which
    have the same metric, are one. Of kept columns the last value counts. A metric that an epoch has twice is a mistake,
    unless the format itself writes epochs again.
    """
    has = [HAS + ours for ours in metrics]
    frame = frame.sort_values(["trial", "epoch", PLACE], kind="stable", ignore_index=True)
    key = ["trial", "epoch"]
    again = frame.duplicated(key, keep="last")
    if again.any() and rows.repeats:
        notes.append(f"{counted(int(again.sum()), 'epoch')} written again after a restart: the last counts")
        frame = frame[~again].reset_index(drop=True)
    elif again.any():
        _require_apart(rows, frame, metrics)
        # Per column the last value that is there; NaN of a diverged metric is there, too, and is in `lost`.
        joined_rows = frame.groupby(key, sort=False, as_index=False).agg(
            {c: ("max" if c in (LOST, *has) else "last") for c in frame.columns if c not in key}
        )
        frame = joined_rows
    frame["epoch"] = frame["epoch"].astype(np.int64)
    measured = set(frame["trial"][frame[has].any(axis=1)])
    if not measured:
        raise UserError(rows.files[0], "has no row with an epoch and a metric", "see which columns are mapped")
    without = [trial for trial in frame["trial"].unique() if trial not in measured]
    if without:
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        notes.append(f"left out, for no metric of theirs is mapped: {', '.join(without[:SHOWN])}{more}")
    return frame[frame["trial"].isin(measured)].drop(columns=has).reset_index(drop=True)


def _require_apart(rows: Rows, frame: pd.DataFrame, metrics: Sequence[str]) -> None:
    """Raise `UserError` for the metrics that a (trial, epoch) has twice."""
    bad: dict[int, UserError] = {}
    for ours in metrics:
        part = frame[frame[HAS + ours]]
        firsts = part.groupby(["trial", "epoch"])[PLACE].transform("first")
        again = part.duplicated(["trial", "epoch"])
        columns = (part[again][PLACE], part[again]["trial"], part[again]["epoch"], firsts[again])
        for row, trial, epoch, first in zip(*columns, strict=True):
            problem = f"epoch {epoch:g} of {trial} has its {ours} at {rows.where(first)}, too"
            bad.setdefault(int(row), UserError(rows.where(row), problem))
    if bad:
        remedy = f"{DUPLICATES}; if they are several trials, name their column with --map THEIRS=trial"
        raise joined([bad[row] for row in sorted(bad)], rows.files[0], remedy)


def _typed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A kept column: numbers where all its cells are such, else what it is, as text where it is mixed."""
    found = as_numbers(column)
    if not found.wrong.any():
        return pd.Series(found.values, dtype="float64")
    if all(isinstance(cell, bool) for cell in column[~found.missing]):
        return column.mask(found.missing, None).astype(object)
    return pd.Series([None if is_missing(cell) else str(cell) for cell in column], dtype=object)


def _selection(metrics: Sequence[str], asked: Asked) -> str:
    """The split that judges: validation wherever it was measured."""
    measured = [name for name, split in SELECTION_SPLITS.items() if any(m.startswith(f"{split}_") for m in metrics)]
    if asked.selection and asked.selection not in measured:
        raise UserError("--selection", f"no column is of {asked.selection} data", f"map one, or choose {measured}")
    robust = [name for name, split in SELECTION_SPLITS.items() if f"{split}_robust_accuracy" in metrics]
    return asked.selection or next(iter([*robust, *measured, "test"]))
