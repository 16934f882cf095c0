"""Trials at their best and at their final epoch, and the best points: frames for whoever reads results in Python."""

from typing import Any

import pandas as pd

from analysis.exploits import values_at
from analysis.frames import Frames
from analysis.points import swept_keys
from analysis.ranking import rank
from tune_at.config.section import SELECTION_SPLITS
from tune_at.errors import UserError
from tune_at.store.status import Status
from tune_at.study.points import Ranking, in_turn

MEASURED = tuple(f"{split}{kind}_accuracy" for split in ("", "test_", "train_") for kind in ("natural", "robust"))
"""Accuracies in [0, 1]; those without a split are on the selection split, as `train.selection` says."""


def best_trials(frames: Frames) -> pd.DataFrame:
    """Each trial at its best epoch by its selection split, best first.

    Trials that have diverged or failed win nothing and are not here, nor are those that were not evaluated yet. Trials
    that are not compared with each other stand apart, by `measured_on`.

    Returns:
        Columns trial, measured_on (what tells such groups apart; empty if all trials compare), objective, each swept or
        mutated key (as it was at that epoch), seed, status, epoch, and `MEASURED`: NaN where it was not measured.
    """
    if frames.epochs.empty:
        return _at(frames, frames.epochs, {})
    ranking = _ranking(frames, 1)
    order = {p.trials[0]["trial"]: ranking.comparison.label(p.group) for p in ranking.points if p.measured}
    best = frames.epochs[frames.epochs["epoch"] == frames.epochs["best_epoch"]].set_index("trial", drop=False)
    return _at(frames, best.loc[list(order)], order)


def best_points(frames: Frames, count: int) -> pd.DataFrame:
    """The best points, trials that differ in their seed alone, at each trial's best epoch: means over seeds.

    Where points are not compared with each other, the best of each group come first. A point that lacks seeds comes
    after those that are whole; one with a seed that has diverged or failed wins nothing and is not here.

    Returns:
        Columns point, measured_on, objective, each swept or mutated key, seeds (that count), planned (that the study
        has), each of `MEASURED` (mean) and its `…_spread` (standard deviation over seeds, ddof 1; NaN for one), trials
        (their names).

    Raises:
        UserError: `count` is no positive number.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError("best", f"{count!r} is not a number of points", "write best(5) for the five best points")
    rows = best_trials(frames).set_index("trial")
    keys = [column for column in rows.columns if column not in ("seed", "status", "epoch", *MEASURED)]
    measured = [name for column in MEASURED for name in (column, f"{column}_spread")]
    columns = ["point", *keys, "seeds", "planned", *measured, "trials"]
    if rows.empty:
        return pd.DataFrame(columns=columns)
    points = [point for point in in_turn(_ranking(frames, frames.seeds)) if point.measured and not point.lost]
    found = []
    for point in points[:count]:
        names = [str(row["trial"]) for row in point.measured]
        part = rows.loc[names]
        accuracies = part[list(MEASURED)].astype("float64")
        found.append(
            {
                "point": point.name, **part[keys].iloc[0].to_dict(), "seeds": len(names), "planned": point.planned,
                **accuracies.mean().to_dict(), **accuracies.std().add_suffix("_spread").to_dict(),
                "trials": tuple(names),
            }
        )  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def final_trials(frames: Frames) -> pd.DataFrame:
    """The last evaluated epoch of each completed trial, in the order of the sweep.

    A trial that was stopped, or has not come to its end yet, is never here: its last value is no final one.

    Returns:
        Columns as `best_trials`.
    """
    completed = frames.epochs[frames.epochs["status"] == Status.COMPLETED]
    if completed.empty:
        return _at(frames, completed, {})
    evaluated = completed[_selected(completed, "robust").notna()]
    last = evaluated.sort_values("epoch").groupby("trial").tail(1).sort_values("trial")
    ranking = _ranking(frames, 1)
    return _at(frames, last, {p.trials[0]["trial"]: ranking.comparison.label(p.group) for p in ranking.points})


def _ranking(frames: Frames, seeds: int) -> Ranking:
    trials = frames.trials.assign(selection=frames.trials["train.selection"])
    return rank(trials, frames.epochs, seeds, swept=frames.swept, within=frames.scheduler.compared_within)


def _at(frames: Frames, rows: pd.DataFrame, measured_on: dict[str, str]) -> pd.DataFrame:
    """Some rows of `epochs`, in their order, with what tells trials apart and `MEASURED`."""
    keys = [key for key in swept_keys(frames) if key in rows]
    columns = ["trial", "measured_on", "objective", *keys, "seed", "status", "epoch", *MEASURED]
    if rows.empty:
        return pd.DataFrame(columns=columns)
    shown = rows.assign(
        measured_on=rows["trial"].map(measured_on),
        objective=rows["objective.name"],
        natural_accuracy=_selected(rows, "natural"),
        robust_accuracy=_selected(rows, "robust"),
    )
    shown = shown.reindex(columns=columns).reset_index(drop=True)
    changes = _changes(frames, shown)
    for key in keys:
        if any(key in values for values in changes):
            shown[key] = [values.get(key, old) for values, old in zip(changes, shown[key], strict=True)]
    return shown


def _changes(frames: Frames, shown: pd.DataFrame) -> list[dict[str, Any]]:
    """What exploits had changed of each row's trial when its epoch was trained."""
    decisions = frames.decisions
    made = decisions[decisions["action"] == "exploit"] if len(decisions) else decisions
    by_trial = dict(list(made.groupby("trial"))) if len(made) else {}
    pairs = zip(shown["trial"], shown["epoch"], strict=True)
    return [values_at(by_trial[trial], trial, int(epoch)) if trial in by_trial else {} for trial, epoch in pairs]


def _selected(rows: pd.DataFrame, kind: str) -> "pd.Series[float]":
    """An accuracy on each trial's selection split; NaN where it was not measured."""
    found = pd.Series(float("nan"), index=rows.index)
    for selection, split in SELECTION_SPLITS.items():
        if (column := f"{split}_{kind}_accuracy") in rows:
            found = found.where(rows["train.selection"] != selection, rows[column].astype("float64"))
    return found
