"""The cells of a table's row: ours over seeds, the paper's, and why either is missing."""

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tune_at.store.status import Status

EVALUATED, TRAINED = "evaluate", "training"
"""Where a number comes from: the table `evaluations`, or what training measured after its epochs."""


NOTHING = "–"
"""Where there is no number, and no regulariser."""


@dataclass(frozen=True)
class Measured:
    """A number of one trial.

    Attributes:
        value: accuracy in %.
        images: on how many of the split's images; None for what training measured on all of them.
        source: `EVALUATED` or `TRAINED`.
    """

    value: float
    images: int | None = None
    source: str = TRAINED


Found = Mapping[tuple[str, str, str], Measured | str]
"""By (trial, column, part): the number, or why there is none."""

COLUMNS = (
    "column", "part", "value", "spread", "seeds", "planned", "images", "source", "paper", "printed", "difference",
    "missing", "unlike",
)  # fmt: skip
"""Of a prepared table, after its own ones; see `analysis.tables.prepare_table`."""


@dataclass(frozen=True)
class Column:
    """A column of the paper's layout: its parts, and of which two a third is the difference.

    Attributes:
        name: the column.
        parts: all, in order.
        minus: (difference, first, second).
    """

    name: str
    parts: tuple[str, str, str] | tuple[str, str]
    minus: tuple[str, str, str] | None = None


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as dictionaries by column."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def cells(
    column: Column,
    trials: Sequence[Mapping[str, Any]],
    planned: int,
    found: Found,
    paper: Mapping[tuple[str, str], tuple[float, float | None]],
    unlike: str,
    absent: str = "not evaluated",
) -> Iterator[dict[str, Any]]:
    """A row's cells in one column, one a part, as `COLUMNS`.

    Args:
        column: which.
        trials: the row's, one a seed: at least `trial` and `status`.
        planned: how many there are to be.
        found: the numbers of the trials.
        paper: by (column, part) the paper's number, and what it prints where that is another.
        unlike: in what the row is not trained as the paper's; empty where it is.
        absent: why a completed trial has no number.
    """
    for part in column.parts:
        each: list[Measured | str] = [_of_trial(column, part, trial, found, absent) for trial in trials]
        each += ["not started"] * (planned - len(trials))
        known = [item for item in each if isinstance(item, Measured)]
        values = [item.value for item in known]
        value = statistics.fmean(values) if values else math.nan
        theirs = paper.get((column.name, part)) if not unlike else None
        yield {
            "column": column.name,
            "part": part,
            "value": value,
            "spread": statistics.stdev(values) if len(values) > 1 else math.nan,
            "seeds": len(values),
            "planned": len(each),
            "images": min((item.images for item in known if item.images is not None), default=math.nan),
            "source": "+".join(sorted({item.source for item in known})),
            "paper": theirs[0] if theirs else math.nan,
            "printed": theirs[1] if theirs and theirs[1] is not None else math.nan,
            "difference": value - theirs[0] if theirs else math.nan,
            "missing": _reasons([item for item in each if isinstance(item, str)], len(each)),
            "unlike": unlike,
        }


def _of_trial(column: Column, part: str, trial: Mapping[str, Any], found: Found, absent: str) -> Measured | str:
    if trial["status"] != Status.COMPLETED:
        return {Status.STOPPED: "stopped early", Status.PENDING: "not started"}.get(trial["status"], trial["status"])
    if column.minus and part == column.minus[0]:
        first, second = (_of_trial(column, other, trial, found, absent) for other in column.minus[1:])
        if isinstance(first, str) or isinstance(second, str):
            return first if isinstance(first, str) else str(second)
        images = {item.images for item in (first, second)}
        source = first.source if first.source == second.source else f"{first.source}+{second.source}"
        return Measured(first.value - second.value, first.images if len(images) == 1 else None, source)
    known = found.get((trial["trial"], column.name, part), absent)
    return "not a number" if isinstance(known, Measured) and math.isnan(known.value) else known


def _reasons(missing: Sequence[str], planned: int) -> str:
    """`diverged`; of several seeds `1 of 3 diverged`."""
    counts = Counter(missing).items()
    return ", ".join(f"{number} of {planned} {reason}" if planned > 1 else reason for reason, number in counts)
