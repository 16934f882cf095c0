"""What a sweep that was stopped early is worth, against the same sweep run whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_at.config.scheduler import is_loss
from tune_at.errors import UserError
from tune_at.scheduling.curves import Places, Recording
from tune_at.store.status import Status
from tune_at.study.groups import groups_of

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


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
        self.group_of = np.zeros(len(self.counts), dtype=np.int64)
        """Of each point, the group within which it is compared."""
        self.groups = self._groups(recording)
        self.best_of, self.final_of = self._mean(self.best), self._mean(self.final)
        """Of each point; those that have lost a seed win nothing."""
        ever = self.reached[self.rows, self.lasts]
        self.worth_best, self.worth_final = self._mean(ever), self._mean(self.final, np.isfinite(self.final))
        """Of each point, what it comes to if it is run whole: the mean over the seeds that get there."""

    def _groups(self, recording: Recording) -> list[Places]:
        """The points of each group that has a choice."""
        firsts = np.unique(self.points, return_index=True)[1]
        trials = [recording.states[first].trial for first in firsts]
        groups = [np.array(group) for group in groups_of(trials, recording.score)]
        for number, group in enumerate(groups):
            self.group_of[group] = number
        groups = [group for group in groups if len(group) > 1]
        if not groups:
            problem = f"no two points are compared by {recording.score}: what they are measured on differs"
            raise UserError("replay", problem, "replay a sweep whose points share the ball and the data")
        return groups

    def _mean(self, values: Numbers, among: Flags | None = None) -> Numbers:
        """The mean of each point over its seeds, or over some of them; NaN if there are none."""
        counts = self.counts if among is None else np.bincount(self.points, among, len(self.counts))
        known = values if among is None else np.where(among, values, 0.0)
        with np.errstate(invalid="ignore"):
            mean: Numbers = np.bincount(self.points, known, len(self.counts)) / counts
        return mean

    def outcome(self, stops: Mapping[int, int]) -> "Outcome":
        """What comes of a sweep in which these trials are stopped after these epochs."""
        ends = self.lasts.copy()
        ends[list(stops)] = list(stops.values())
        cut = ends < self.lasts
        seen = self.reached[self.rows, ends]
        best = self._mean(np.where(self.void & ~cut, -np.inf, seen))
        final = self._final(cut)
        had, ran = (self._any(flags) for flags in (seen >= self.best, ~cut & np.isfinite(self.final)))
        by_best = [_choice(self.best_of[g], self.worth_best[g], best[g], had[g]) for g in self.groups]
        by_final = [_choice(self.final_of[g], self.worth_final[g], final[g], ran[g]) for g in self.groups]
        regret_best, in_hand, kept_best = _known_means(by_best)
        regret_final, _, kept_final = _known_means(by_final)
        saved = 1 - ends.sum() / self.lasts.sum()
        return Outcome(saved, cut.mean(), regret_best, regret_final, in_hand, kept_best, kept_final)

    def _any(self, flags: Flags) -> Flags:
        """Of each point, whether it is so for one of its seeds."""
        found: Flags = np.bincount(self.points, flags, len(self.counts)) > 0
        return found

    def _final(self, cut: Flags) -> Numbers:
        """By what the choice after the last epoch goes: points whose seeds all ran to their end before others."""
        there = ~cut & np.isfinite(self.final)
        mean = np.nan_to_num(self._mean(self.final, there), nan=-np.inf)
        lost = np.bincount(self.points, self.void & ~cut, len(self.counts)) > 0
        whole = np.bincount(self.points, ~there, len(self.counts)) == 0
        for group in self.groups:
            if whole[group].any():
                mean[group] = np.where(whole[group], mean[group], -np.inf)
        mean[lost] = -np.inf
        return mean


def _choice(whole: Numbers, worth: Numbers, seen: Numbers, kept: Flags) -> tuple[float, float, float]:
    """The regret of choosing by what was seen; what was seen of it less than there is; whether a winner was kept.

    NaN if there is nothing to choose.
    """
    most, chosen = whole.max(), int(seen.argmax())
    if not np.isfinite(most):
        return np.nan, np.nan, np.nan
    winner_kept = float(kept[whole == most].any())
    if not np.isfinite(seen[chosen]):
        return np.nan, np.nan, winner_kept
    return most - worth[chosen], most - seen[chosen], winner_kept


def _known_means(rows: Sequence[tuple[float, ...]]) -> list[float]:
    """The mean of each column over the groups that have one."""
    columns = [[value for value in column if value == value] for column in zip(*rows, strict=True)]
    return [sum(values) / len(values) if values else np.nan for values in columns]


@dataclass(frozen=True)
class Outcome:
    """What early stopping in one order comes to. Regrets are NaN if nothing was left to be chosen."""

    saved: float
    """Share of all epochs that was not run."""
    stopped: float
    """Share of the trials that were stopped early."""
    regret_best: float
    """The best score of all points at their best epochs, less that of the point that is chosen by the best epochs that
    were run: both from whole curves."""
    regret_final: float
    """The same after the last epoch; chosen from trials that ran to their end."""
    regret_in_hand: float
    """As `regret_best`, less the score that the chosen point has reached by the time it ended."""
    kept_best: float
    """Whether a trial of the point that wins by its best epoch was run up to that epoch; a share, if there are several
    groups."""
    kept_final: float
    """Whether a trial of the point that wins by its last epoch was run to its end, likewise."""
