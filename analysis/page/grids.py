"""A page's tables of points, trials, decisions and failures: cells with a text and a value to sort by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from analysis.frames import Frames, final_epochs
from analysis.ranking import rank
from tune_at.store.status import Status
from tune_at.study.comparison import plain
from tune_at.wording import trial_label

MOST_DECISIONS = 2000
"""Rows of decisions on a page: the last ones."""


class Cell(NamedTuple):
    """A text, and the number by which a column is sorted; None for words, which are sorted as words."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Grid:
    """Columns with their meaning, rows of cells, and a note where rows are left out."""

    columns: Sequence[tuple[str, str]]
    """(heading, what it means)."""
    rows: Sequence[Sequence[Cell]]
    note: str = ""


def point_grid(frames: Frames) -> Grid:
    """The points, best first: means ± standard deviations over seeds on the selection split at each best epoch."""
    split = _selection(frames)
    columns = [
        ("point", "trials that differ in their seed alone"), ("seeds", "seeds that count"),
        (f"robust, {split}", f"robust accuracy on the {split} split at the best epoch, %"),
        (f"natural, {split}", "natural accuracy there, %"),
    ]  # fmt: skip
    if frames.trials.empty:
        return Grid(columns, [])
    trials = frames.trials.assign(selection=frames.trials["train.selection"])
    ranking = rank(trials, frames.epochs, frames.seeds, swept=frames.swept, within=frames.scheduler.compared_within)
    several = ranking.comparison.count > 1
    rows = [
        [
            Cell(trial_label(point.name)),
            *([Cell(ranking.comparison.label(point.group))] if several else []),
            Cell(point.seeds, len(point.measured)),
            _spread(point.score, point.spread("score")),
            _spread(point.mean("natural"), point.spread("natural")),
        ]
        for point in ranking.points
    ]
    if several:
        columns.insert(1, ("measured on", "points that were measured on other things do not compare"))
    return Grid(columns, rows)


def _selection(frames: Frames) -> str:
    """The split by which trials are judged, in a word."""
    splits = list(frames.trials["train.selection"].unique()) if "train.selection" in frames.trials else []
    return str(splits[0]) if len(splits) == 1 else "selection"


def trial_grid(frames: Frames) -> Grid:
    """All trials with what tells them apart, and their accuracies at the best and the last evaluated epoch."""
    keys = [key for key in frames.swept if key in frames.trials]
    columns = [
        ("trial", "a click shows its curve and its config"), ("status", "where it stands"),
        *((key, "a swept key") for key in keys), ("seed", ""), ("epochs", "that have finished"),
        ("best epoch", f"by robust accuracy on the {_selection(frames)} split"),
        ("best robust, test", "test accuracy at the best epoch, %"),
        ("final natural, test", "test accuracy at its end, %"),
        ("final robust, test", "test accuracy at its end, %; empty for trials that were cut short"),
        ("robust gap", "training − test accuracy at its end, points"),
    ]  # fmt: skip
    final = final_epochs(frames.epochs).set_index("trial") if len(frames.epochs) else pd.DataFrame()
    epochs = frames.epochs.groupby("trial")["epoch"].max() if len(frames.epochs) else pd.Series(dtype=float)
    at_best = frames.epochs[frames.epochs["epoch"] == frames.epochs["best_epoch"]].set_index("trial")
    rows = []
    for row in frames.told.to_dict("records"):
        name = row["trial"]
        last = final.loc[name] if name in final.index else {}
        best = at_best.loc[name] if name in at_best.index else {}
        trained, tested = (_number(last.get(f"{split}_robust_accuracy")) for split in ("train", "test"))
        rows.append(
            [
                Cell(name),
                Cell(str(row["status"])),
                *(_value(row[key]) for key in keys),
                Cell(str(row["seed"]), float(row["seed"])),
                _count(epochs.get(name)),
                _count(row.get("best_epoch")),
                _percent(best.get("test_robust_accuracy")),
                _percent(last.get("test_natural_accuracy")),
                _percent(last.get("test_robust_accuracy")),
                _percent(None if trained is None or tested is None else trained - tested),
            ]
        )
    return Grid(columns, rows)


def decision_grid(frames: Frames) -> Grid:
    """What the scheduler decided, the newest first."""
    columns = [
        ("trial", ""), ("epoch", "after which it was judged"), ("rung", "or bracket"), ("action", ""),
        ("value", "of the scheduler's metric"), ("cutoff", "that it had to reach"), ("source", "of an exploit"),
    ]  # fmt: skip
    decisions = frames.decisions
    if decisions.empty:
        return Grid(columns, [])
    order = decisions.iloc[::-1] if "decided" not in decisions else decisions.sort_values("decided", ascending=False)
    rows = [
        [
            Cell(str(row["trial"])), _count(row["epoch"]), _value(row.get("rung")), Cell(str(row["action"])),
            _metric(row.get("value")), _metric(row.get("cutoff")), _value(row.get("source")),
        ]
        for row in order.head(MOST_DECISIONS).to_dict("records")
    ]  # fmt: skip
    hidden = len(decisions) - len(rows)
    return Grid(columns, rows, f"the last {len(rows)} of {len(decisions)}" if hidden else "")


def failure_grid(trials: pd.DataFrame) -> Grid:
    """Trials that failed or diverged, with the reason."""
    columns = [("trial", ""), ("status", ""), ("reason", "")]
    if trials.empty:
        return Grid(columns, [])
    lost = trials[trials["status"].isin([status for status in Status if status.void])]
    return Grid(columns, [_texts(row["trial"], row["status"], row.get("error")) for row in lost.to_dict("records")])


def _texts(*values: Any) -> list[Cell]:
    return [Cell("" if _number(v) is None and not isinstance(v, str) else str(v)) for v in values]


def _number(value: Any) -> float | None:
    """A finite number, or None: what is missing is never zero."""
    if value is None or value is pd.NA or isinstance(value, str):
        return None
    return float(value) if math.isfinite(value) else None


def _percent(value: Any) -> Cell:
    number = _number(value)
    return Cell("") if number is None else Cell(f"{100 * number:.1f}", number)


def _spread(mean: float, spread: float) -> Cell:
    if _number(mean) is None:
        return Cell("")
    plus = "" if _number(spread) is None else f" ± {100 * spread:.1f}"
    return Cell(f"{100 * mean:.1f}{plus}", mean)


def _count(value: Any) -> Cell:
    number = _number(value)
    return Cell("") if number is None else Cell(f"{number:.0f}", number)


def _metric(value: Any) -> Cell:
    """An accuracy or a loss: never a fraction of 255, which pixels have."""
    number = _number(value)
    return Cell("") if number is None else Cell(f"{number:.4g}", number)


def _value(value: Any) -> Cell:
    if isinstance(value, str | bool | list | tuple | dict):
        return Cell(plain(value))
    number = _number(value)
    return Cell("") if number is None else Cell(plain(value), number)
