"""The best points of a sweep as its trials end: what is news, in constant time a trial."""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tune_at.config.tree import get_path
from tune_at.scheduling.board import TrialState
from tune_at.study.groups import group_of
from tune_at.study.points import point_name
from tune_at.study.study import Study

METRIC = "robust_accuracy"
"""What points are ranked by, at each trial's best epoch on the selection split."""


@dataclass(frozen=True)
class Lead:
    """A point that is better than all before it that it is compared with."""

    point: str
    mean: float
    """Over its seeds."""
    spread: float
    """Standard deviation (n - 1) over its seeds; NaN of one."""
    seeds: int
    before: float | None
    """The best mean before; None if there was none."""
    group: str
    """What tells the trials that are compared from others."""


class Leaders:
    """The best point of each group of trials that are compared, of those whose seeds have all ended.

    A point that has lost a seed, diverged or failed, is no best one: the rule of `tune_at.study.points`, but for points
    that lack seeds, which here count once they are whole.
    """

    def __init__(self, study: Study) -> None:
        self.seeds, self.within = len(study.seeds), study.scheduler.compared_within
        self.points: dict[Any, dict[str, float]] = {}
        self.best: dict[str, tuple[str, float]] = {}
        """Of each group the best point's name and its mean."""

    def take(self, state: TrialState) -> Lead | None:
        """A trial has ended; returns its point if it is the best of its group now."""
        trial = state.trial
        key = trial.name if self.seeds == 1 else (trial.stage, repr(trial.swept))
        scores = self.points.setdefault(key, {})
        known = [metrics[METRIC] for metrics in state.metrics.values()]
        scores[trial.name] = math.nan if state.status.void or not known else max(known)
        if len(scores) < self.seeds or any(math.isnan(score) for score in scores.values()):
            return None
        mean, name = statistics.fmean(scores.values()), trial.name if self.seeds == 1 else point_name(trial.name)
        apart = [get_path(trial.config.as_tree(), key) for key in self.within]
        group = json.dumps([*group_of(trial.config, METRIC), *zip(self.within, apart, strict=True)])
        before = self.best.get(group)
        if before is not None and before[1] >= mean:
            return None
        self.best[group] = name, mean
        spread = statistics.stdev(scores.values()) if self.seeds > 1 else math.nan
        return Lead(name, mean, spread, self.seeds, before[1] if before else None, group)

    def news(self, told: Mapping[str, tuple[str, float]]) -> list[Lead]:
        """The best points that are better than those that were told of before."""
        return [
            Lead(name, mean, math.nan, self.seeds, told[group][1] if group in told else None, group)
            for group, (name, mean) in self.best.items()
            if group not in told or told[group][1] < mean
        ]
