"""Which of a sweep's points are best, from its tables; the rule is in `tune_at.study.points`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.recorded import config_leaves
from tune_at.config.section import SELECTION_SPLITS
from tune_at.store.schema import TRIALS
from tune_at.study.comparison import compare
from tune_at.study.points import VOID, Point, Ranking, arrange

if TYPE_CHECKING:
    import pandas as pd


def scored(trials: "pd.DataFrame", epochs: "pd.DataFrame") -> "pd.DataFrame":
    """The trials with two more columns: their robust and natural accuracy on the selection split at their best epoch.

    These are `score` and `natural`; NaN for trials that have diverged or failed, or were never evaluated.
    """
    splits = sorted(set(trials["selection"].map(SELECTION_SPLITS)))
    columns = [f"{split}_{kind}_accuracy" for split in splits for kind in ("robust", "natural")]
    at = epochs[["trial", "epoch", *(c for c in columns if c in epochs)]].rename(columns={"epoch": "best_epoch"})
    keyed = trials.assign(best_epoch=trials["best_epoch"].astype("float64"))
    joined = keyed.drop(columns=[c for c in columns if c in keyed]).merge(
        at.assign(best_epoch=at["best_epoch"].astype("float64")), on=["trial", "best_epoch"], how="left"
    )
    out = trials.copy()
    for name, kind in (("score", "robust"), ("natural", "natural")):
        out[name] = np.nan
        for split in splits:
            if (column := f"{split}_{kind}_accuracy") in joined:
                here = (joined["selection"].map(SELECTION_SPLITS) == split) & ~joined["status"].isin(VOID)
                values = joined[column].astype("float64").where(here)
                out[name] = out[name].fillna(values.set_axis(out.index))
    return out


def rank(
    trials: "pd.DataFrame",
    epochs: "pd.DataFrame",
    seeds: int = 1,
    metric: str = "robust_accuracy",
    swept: Sequence[str] | None = None,
    within: Sequence[str] = (),
) -> Ranking:
    """The points of a sweep, best first by their robust accuracy at their best epochs on the selection split.

    Args:
        trials: the table `trials`, or `Frames.trials` where its configs are columns already.
        epochs: the table `epochs`.
        seeds: how many the study has.
        metric: what the points are to be compared by.
        swept: the columns that tell points apart; by default those that the table has beyond its schema.
        within: keys within whose values alone points compare: `SchedulerSection.compared_within`.
    """
    rows: list[Any] = scored(trials, epochs).to_dict("records")
    configs = [config_leaves(row["config"]) if "config" in row else row for row in rows]
    comparison = compare(configs, metric, within)
    columns = [c for c in trials.columns if c not in TRIALS.names] if swept is None else swept
    keys = [(row["stage"], *(repr(row[column]) for column in columns)) if seeds > 1 else None for row in rows]
    return arrange(rows, comparison, keys, seeds)


def fronts(points: Sequence[Point], values: Sequence[Sequence[float]]) -> list[bool]:
    """Whether each point is on the front of its group; `values`: a row a point, more is good."""
    on_front = [False] * len(points)
    for group in {point.group for point in points}:
        places = [place for place, point in enumerate(points) if point.group == group]
        for place, flag in zip(places, undominated([values[place] for place in places]), strict=True):
            on_front[place] = flag
    return on_front


def undominated(points: Sequence[Sequence[float]]) -> list[bool]:
    """Whether each point is on the front: no other is at least as good in all and better in one. More is good."""
    if not points:
        return []
    values = np.asarray(points, dtype=np.float64)
    front = np.empty((0, values.shape[1]))
    on_front = [False] * len(points)
    # What dominates a point comes before it in this order, or equals what does.
    for place in np.lexsort(-values.T[::-1]):
        point = values[place]
        if not ((front >= point).all(axis=1) & (front > point).any(axis=1)).any():
            on_front[place] = True
            front = np.vstack([front, point])
    return on_front
