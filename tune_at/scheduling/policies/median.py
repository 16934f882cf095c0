"""The median stopping rule."""

from collections.abc import Sequence

import numpy as np

from tune_at.config.scheduler import Median
from tune_at.scheduling.board import TrialState
from tune_at.scheduling.policies.base import InOrder, Verdict
from tune_at.study.study import Study


class MedianPolicy(InOrder):
    """Stops a trial whose best value is below the median of earlier trials' running means (Golovin et al., 2017).

    Only trials of its group count. The means run from the grace epoch to the epoch at hand, as in Ray's rule.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config = study.scheduler
        assert isinstance(config, Median)
        self.grace, self.min_trials = config.grace, config.min_trials
        self.scores: dict[tuple[int, int], float] = {}
        self.means: dict[tuple[int, int], float | None] = {}

    def rungs(self, state: TrialState) -> Sequence[int]:
        """Every epoch from the grace epoch on."""
        return range(self.grace, state.epochs + 1)

    def judge(self, earlier: Sequence[TrialState], state: TrialState, epoch: int) -> Verdict:
        """Compare with those earlier trials that have come as far."""
        running = (self._mean(other, epoch) for other in earlier if other.last_evaluated >= epoch)
        means = [mean for mean in running if mean is not None]
        cutoff = float(np.median(means)) if len(means) >= self.min_trials else None
        best = max(self._score(state, e) for e in state.metrics if e <= epoch)
        return self.verdict(state, epoch, best, cutoff is not None and best < cutoff, cutoff)

    def _score(self, state: TrialState, epoch: int) -> float:
        key = (state.index, epoch)
        if key not in self.scores:
            self.scores[key] = self.score(state, epoch)
        return self.scores[key]

    def _mean(self, state: TrialState, epoch: int) -> float | None:
        """The running mean of a trial that is past the epoch. Nothing can change it any more, so it is kept."""
        key = (state.index, epoch)
        if key not in self.means:
            scores = [self._score(state, e) for e in state.metrics if self.grace <= e <= epoch]
            self.means[key] = float(np.mean(scores)) if scores else None
        return self.means[key]
