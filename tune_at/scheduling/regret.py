"""What a sweep that was stopped early is worth, against the same sweep run whole."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_at.config.scheduler import is_loss
from tune_at.errors import UserError
from tune_at.scheduling.curves import Places, Recording
from tune_at.store.status import Status
from tune_at.study.groups import groups_of

Numbers = NDArray[np.float64]


class Judge:
    """What the choice from a sweep that was stopped early is worth, against the choice from whole curves.

    All in `recording.score`, signed so that more is better. A point is the mean over its seeds. Among trials that are
    not compared (`study.groups`) each group has a choice of its own, and what is said is their mean.
    """

    def __init__(self, recording: Recording) -> None:
        states, self.lasts, self.points = recording.states, recording.lasts, recording.points
        sign = -1.0 if is_loss(recording.score) else 1.0
        self.reached = np.full((len(states), int(self.lasts.max()) + 1), -np.inf)
        """Of each trial, its best score up to each epoch."""
        self.final = np.full(len(states), -np.inf)
        """Of each trial that is completed, its score at its last evaluated epoch."""
        for place, state in enumerate(states):
            for epoch in state.evaluated:
                self.reached[place, epoch] = sign * state.metrics[epoch][recording.score]
            if state.status is Status.COMPLETED and state.evaluated:
                self.final[place] = sign * state.metrics[state.last_evaluated][recording.score]
        np.maximum.accumulate(self.reached, axis=1, out=self.reached)
        self.void = np.array([state.status.void for state in states])
        self.rows = np.arange(len(states))
        self.best = np.where(self.void, -np.inf, self.reached[self.rows, self.lasts])
        """Of each trial, its best score; a diverged or failed one wins nothing."""
        self.counts = np.bincount(self.points)
        self.groups = self._groups(recording)
        self.best_of, self.final_of = self._mean(self.best), self._mean(self.final)

    def _groups(self, recording: Recording) -> list[Places]:
        """The points of each group that has a choice."""
        firsts = np.unique(self.points, return_index=True)[1]
        trials = [recording.states[first].trial for first in firsts]
        groups = [np.array(group) for group in groups_of(trials, recording.score)]
        groups = [group for group in groups if len(group) > 1]
        if not groups:
            problem = f"no two points are compared by {recording.score}: what they are measured on differs"
            raise UserError("replay", problem, "replay a sweep whose points share the ball and the data")
        return groups

    def _mean(self, values: Numbers) -> Numbers:
        with np.errstate(invalid="ignore"):
            mean: Numbers = np.bincount(self.points, values, len(self.counts)) / self.counts
        return mean

    def outcome(self, stops: Mapping[int, int]) -> "Outcome":
        """What comes of a sweep in which these trials are stopped after these epochs."""
        ends = self.lasts.copy()
        ends[list(stops)] = list(stops.values())
        cut = ends < self.lasts
        seen = self.reached[self.rows, ends]
        best = self._mean(np.where(self.void & ~cut, -np.inf, seen))
        final = self._mean(np.where(cut, -np.inf, self.final))
        had = np.bincount(self.points, seen < self.best, len(self.counts)) == 0  # past each seed's best epoch
        ran = np.bincount(self.points, cut, len(self.counts)) == 0
        choices = [
            (
                *_choice(self.best_of[group], best[group], had[group]),
                *_choice(self.final_of[group], final[group], ran[group]),
            )
            for group in self.groups
        ]
        regret_best, kept_best, regret_final, kept_final = np.mean(choices, axis=0)
        saved = 1 - ends.sum() / self.lasts.sum()
        return Outcome(saved, cut.mean(), regret_best, regret_final, kept_best, kept_final)


def _choice(whole: Numbers, seen: Numbers, kept: NDArray[np.bool_]) -> tuple[float, float]:
    """The regret of choosing by what was seen, NaN if there is nothing to choose; whether a winner was kept."""
    most = whole.max()
    if not np.isfinite(most):
        return np.nan, np.nan
    regret = most - seen.max()
    return regret if np.isfinite(regret) else np.nan, float(kept[whole == most].any())


@dataclass(frozen=True)
class Outcome:
    """What early stopping in one order comes to."""

    saved: float
    """Share of all epochs that was not run."""
    stopped: float
    """Share of the trials that were stopped early."""
    regret_best: float
    """The best score of all points at their best epochs, less that of the point that is best by what was run."""
    regret_final: float
    """The same after the last epoch, of points that ran to their end; NaN if none did."""
    kept_best: float
    """Whether the point that wins by its best epoch was run up to it; a share, if there are several groups."""
    kept_final: float
    """Whether the point that wins by its last epoch was run to its end."""
