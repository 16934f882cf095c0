"""The median stopping rule."""

from bisect import bisect_left
from collections.abc import Hashable, Sequence

import numpy as np

from tune_at.config.scheduler import Median
from tune_at.scheduling.board import TrialState
from tune_at.scheduling.policies.in_order import InOrder
from tune_at.study.study import Study


class MedianPolicy(InOrder):
    """Stops a trial whose best value is below the median of earlier trials' running means (Golovin et al., 2017).

    Only trials of its group count that were evaluated at the same epoch. The means run from the grace epoch to the
    epoch at hand, as in Ray's rule.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config = study.scheduler
        assert isinstance(config, Median)
        self.grace, self.min_trials = config.grace, config.min_trials

    def ladder(self, bracket: int, epochs: int) -> Sequence[int]:
        """Every epoch from the grace epoch on."""
        return range(self.grace, epochs + 1)

    def key(self, bracket: int, rung: int, epoch: int) -> Hashable:
        """Trials are compared at an epoch."""
        return epoch

    def judged(self, state: TrialState, epoch: int) -> float:
        """The best value so far, epochs before the grace epoch included."""
        return float(self.scores(state, epoch).max())

    def entered(self, state: TrialState, epoch: int, judged: float) -> float:
        """The running mean."""
        scores = self.scores(state, epoch)[bisect_left(state.evaluated, self.grace) :]
        return float(np.add.reduce(scores) / len(scores))  # as numpy.mean has it, without its detours

    def cutoff(self, scores: Sequence[float]) -> float | None:
        """The median of enough of them."""
        count, middle = len(scores), len(scores) // 2
        if count < self.min_trials:
            return None
        return scores[middle] if count % 2 else (scores[middle - 1] + scores[middle]) / 2
