"""Which of a sweep's points are best.

Trials are compared only where what they are measured on is equal (`tune_at.study.comparison`); a point is the mean over
its seeds. A trial that diverged or failed wins nothing, and neither does its point. A point that lacks seeds is second
to any that is whole: its mean may be that of the lucky ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_at.config.section import SELECTION_SPLITS
from tune_at.config.tree import leaves
from tune_at.config.trial import TrialConfig
from tune_at.store.schema import TRIALS
from tune_at.store.status import Status
from tune_at.study.comparison import Comparison, compare
from tune_at.wording import counted

if TYPE_CHECKING:
    import pandas as pd

LOST = [status for status in Status if status.void]


@dataclass(frozen=True)
class Point:
    """The trials that differ in nothing but their seed, in the order of the sweep."""

    name: str
    """The trial's name; of several seeds what their names have in common."""
    group: int
    """Of the comparison: points of different groups are not compared."""
    planned: int
    """The number of seeds that the study has."""
    trials: tuple[Mapping[str, Any], ...]
    """Rows of `scored`, of all statuses."""

    @property
    def measured(self) -> tuple[Mapping[str, Any], ...]:
        """The trials that count: neither diverged nor failed, and evaluated at least once."""
        return tuple(row for row in self.trials if row["score"] == row["score"])

    @property
    def lost(self) -> bool:
        """Whether a seed has diverged or failed."""
        return any(row["status"] in LOST for row in self.trials)

    @property
    def whole(self) -> bool:
        """Whether each of its seeds counts."""
        return len(self.measured) >= self.planned

    @property
    def score(self) -> float:
        """The mean over its seeds that count; NaN if none does."""
        return self.mean("score")

    def mean(self, column: str) -> float:
        """The mean of a column over the seeds that count; NaN if none does."""
        values = [float(row[column]) for row in self.measured]
        return sum(values) / len(values) if values else float("nan")

    def spread(self, column: str) -> float:
        """The standard deviation (n - 1) over the seeds that count; NaN of fewer than two."""
        values = [float(row[column]) for row in self.measured]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")

    @property
    def seeds(self) -> str:
        """`3 seeds`, `2 of 3 seeds, 1 failed`."""
        known = len(self.measured)
        text = counted(self.planned, "seed") if known >= self.planned else f"{known} of {counted(self.planned, 'seed')}"
        lost = [f"{n} {status}" for status in LOST if (n := sum(row["status"] == status for row in self.trials))]
        return ", ".join([text, *lost])


@dataclass(frozen=True)
class Ranking:
    """A sweep's points, best first within each group."""

    points: tuple[Point, ...]
    comparison: Comparison

    def of(self, group: int) -> list[Point]:
        """The points of a group."""
        return [point for point in self.points if point.group == group]

    def best(self, group: int) -> Point | None:
        """The best point of a group; None if each has lost a seed, or none was measured."""
        first = next((point for point in self.points if point.group == group), None)
        return None if first is None or first.lost or not first.measured else first


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
                here = (joined["selection"].map(SELECTION_SPLITS) == split) & ~joined["status"].isin(LOST)
                values = joined[column].astype("float64").where(here)
                out[name] = out[name].fillna(values.set_axis(out.index))
    return out


def rank(
    trials: "pd.DataFrame",
    epochs: "pd.DataFrame",
    seeds: int = 1,
    metric: str = "robust_accuracy",
    swept: Sequence[str] | None = None,
) -> Ranking:
    """The points of a sweep, best first by their robust accuracy at their best epochs on the selection split.

    Args:
        trials: the table `trials`, or `Frames.trials` where its configs are columns already.
        epochs: the table `epochs`.
        seeds: how many the study has.
        metric: what the points are to be compared by.
        swept: the columns that tell points apart; by default those that the table has beyond its schema.
    """
    rows: list[Any] = scored(trials, epochs).to_dict("records")
    configs = [dict(leaves(TrialConfig.tree_from_json(row["config"]))) if "config" in row else row for row in rows]
    comparison = compare(configs, metric)
    columns = [c for c in trials.columns if c not in TRIALS.names] if swept is None else swept
    members: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        # One seed: each trial is a point of its own, whatever the table says.
        key = place if seeds == 1 else (row["stage"], *(repr(row[column]) for column in columns))
        members.setdefault(key, []).append(place)
    points = []
    for places in members.values():
        name = rows[places[0]]["trial"]
        of_seeds = tuple(rows[place] for place in places)
        points.append(Point(name if seeds == 1 else point_name(name), comparison.groups[places[0]], seeds, of_seeds))
    return Ranking(tuple(sorted(points, key=_order)), comparison)


def _order(point: Point) -> tuple[Any, ...]:
    score = point.score
    return point.group, point.lost or score != score, not point.whole, -score, point.trials[0]["trial"]


def fronts(points: Sequence[Point], values: Sequence[Sequence[float]]) -> list[bool]:
    """Whether each point is on the front of its group; `values`: a row a point, more is good."""
    on_front = [False] * len(points)
    for group in {point.group for point in points}:
        places = [place for place, point in enumerate(points) if point.group == group]
        for place, flag in zip(places, undominated([values[place] for place in places]), strict=True):
            on_front[place] = flag
    return on_front


def point_name(trial: str) -> str:
    """What the names of a point's trials have in common: without their place in the sweep and their seed."""
    return re.sub(r"-?s\d+$", "", re.sub(r"^\d+-", "", trial)) or "all seeds"


def in_turn(ranking: Ranking) -> list[Point]:
    """All points: first the best of each group, then the second of each, and so on."""
    places: dict[int, int] = {}
    turns = []
    for point in ranking.points:
        places[point.group] = turn = places.get(point.group, -1) + 1
        turns.append((turn, point.group, point))
    return [point for _, _, point in sorted(turns, key=lambda item: item[:2])]


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
