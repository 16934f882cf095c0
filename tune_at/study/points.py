"""A study's points, best first.

Trials are compared only where what they are measured on is equal (`tune_at.study.comparison`); a point is the mean over
its seeds. A trial that diverged or failed wins nothing, and neither does its point. A point that lacks seeds is second
to any that is whole: its mean may be that of the lucky ones.
"""

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tune_at.store.status import Status
from tune_at.study.comparison import Comparison
from tune_at.wording import counted

VOID = [status for status in Status if status.void]


@dataclass(frozen=True)
class Point:
    """The trials that differ in nothing but their seed, in the order of the sweep."""

    name: str
    """The trial's name; of several seeds what their names have in common, with the stage where another stage's point
    would be called the same."""
    group: int
    """Of the comparison: points of different groups are not compared."""
    planned: int
    """The number of seeds that the study has."""
    trials: tuple[Mapping[str, Any], ...]
    """Of each trial, whatever its status, at least `trial` (its name), `status` and `score`."""

    @property
    def measured(self) -> tuple[Mapping[str, Any], ...]:
        """The trials that count: neither diverged nor failed, and evaluated at least once."""
        return tuple(row for row in self.trials if row["score"] == row["score"])

    @property
    def lost(self) -> bool:
        """Whether a seed has diverged or failed."""
        return any(row["status"] in VOID for row in self.trials)

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
        return statistics.stdev(values) if len(values) > 1 else float("nan")

    @property
    def seeds(self) -> str:
        """`3 seeds`, `2 of 3 seeds, 1 failed`."""
        known = len(self.measured)
        text = counted(self.planned, "seed") if known >= self.planned else f"{known} of {counted(self.planned, 'seed')}"
        lost = [f"{n} {status}" for status in VOID if (n := sum(row["status"] == status for row in self.trials))]
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


def arrange(rows: Sequence[Mapping[str, Any]], comparison: Comparison, keys: Sequence[Any], seeds: int) -> Ranking:
    """Points from their trials, best first within each group of the comparison.

    Args:
        rows: of each trial its name, `trial`; its `status`; its `stage`; and its `score`, of which more is better, NaN
            if it is to win nothing or has none yet.
        comparison: of these trials, in this order.
        keys: for each trial what it has in common with its point's other seeds alone.
        seeds: how many the study has; with one, each trial is a point of its own.
    """
    members: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        members.setdefault(place if seeds == 1 else key, []).append(place)
    firsts = [rows[places[0]] for places in members.values()]
    names = [row["trial"] if seeds == 1 else point_name(row["trial"]) for row in firsts]
    points, known = [], Counter(names)
    for places, first, name in zip(members.values(), firsts, names, strict=True):
        whole = name if known[name] == 1 else f"{name} ({first['stage']})"
        points.append(Point(whole, comparison.groups[places[0]], seeds, tuple(rows[place] for place in places)))
    return Ranking(tuple(sorted(points, key=_order)), comparison)


def _order(point: Point) -> tuple[Any, ...]:
    score = point.score
    return point.group, point.lost or score != score, not point.whole, -score, point.trials[0]["trial"]


def point_name(trial: str) -> str:
    """What the names of a point's trials have in common: without their place in the sweep and their seed."""
    return re.sub(r"[-_]?s\d+$", "", re.sub(r"^\d+-", "", trial)) or "all seeds"


def in_turn(ranking: Ranking) -> list[Point]:
    """All points: first the best of each group, then the second of each, and so on."""
    places: dict[int, int] = {}
    turns = []
    for point in ranking.points:
        places[point.group] = turn = places.get(point.group, -1) + 1
        turns.append((turn, point.group, point))
    return [point for _, _, point in sorted(turns, key=lambda item: item[:2])]
