"""Asynchronous successive halving."""

import itertools
import math
from collections.abc import Hashable, Sequence

import numpy as np

from tune_at.config.scheduler import ASHA
from tune_at.scheduling.board import TrialState
from tune_at.scheduling.policies.base import Policy
from tune_at.scheduling.policies.in_order import InOrder
from tune_at.scheduling.policies.runs import RunsPolicy
from tune_at.seeding import derive_seed
from tune_at.study.study import Study


class AshaPolicy(InOrder):
    """Asynchronous successive halving (Li et al., 2020), with Ray's stopping rule.

    The rungs of bracket s are at grace * eta^(s + k), k = 0, 1, ..., up to the longest trial. At a rung a trial is
    stopped if its score is below the (1 - 1/eta) quantile, linearly interpolated, of those of its group that were
    there before it. Ray's scheduler forgets its rungs in a crash, lets NaN pass and records nothing. Here a rung is
    read from the decisions about earlier trials, which are in the store.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config = study.scheduler
        assert isinstance(config, ASHA)
        self.eta, self.brackets = config.eta, config.brackets
        self.milestones = [
            bracket_milestones(config.grace, config.eta, self.longest, s) for s in range(config.brackets)
        ]
        """Of each bracket."""
        self.ladders = [list(dict.fromkeys(map(math.ceil, milestones))) for milestones in self.milestones]
        """Each bracket's rungs in epochs: a fraction is reached with the next whole one."""
        self.seed = getattr(study.search, "seed", 0)
        self._brackets: dict[int, int] = {}

    def bracket_at(self, index: int) -> int:
        """The trial's bracket: at random, as likely as Ray's are, but fixed by its place in the sweep."""
        if len(self.ladders) == 1:
            return 0
        if index not in self._brackets:
            sizes = np.array([len(milestones) for milestones in self.milestones])
            weights = np.exp(sizes - sizes.max())
            rng = np.random.default_rng(derive_seed(self.seed, "bracket", index))
            self._brackets[index] = int(rng.choice(len(sizes), p=weights / weights.sum()))
        return self._brackets[index]

    def ladder(self, bracket: int, epochs: int) -> Sequence[int]:
        """The epochs grace * eta^k of a bracket."""
        return self.ladders[bracket]

    def key(self, bracket: int, rung: int, epoch: int) -> Hashable:
        """Trials are compared at a rung of their bracket, whatever epoch they have reached it with."""
        return bracket, rung

    def judged(self, state: TrialState, epoch: int) -> float:
        """The metric, smoothed."""
        return self.score(state, epoch)

    def entered(self, state: TrialState, epoch: int, judged: float) -> float:
        """The same."""
        return judged

    def cutoff(self, scores: Sequence[float]) -> float | None:
        """The (1 - 1/eta) quantile."""
        return quantile(scores, 1 - 1 / self.eta) if scores else None


def quantile(ascending: Sequence[float], share: float) -> float:
    """The quantile of values, linearly interpolated, to the last bit as `numpy.percentile` has it, but in no time."""
    place = (len(ascending) - 1) * (share * 100 / 100)
    below = int(place)
    if below >= len(ascending) - 1:
        return ascending[-1]
    low, high, part = ascending[below], ascending[below + 1], place - below
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def asha_policy(study: Study) -> Policy:
    """ASHA whose rungs are epochs of one run, or complete runs."""
    return RunsPolicy(study) if study.lengths else AshaPolicy(study)


def bracket_milestones(grace: int, eta: float, longest: int, bracket: int) -> list[float]:
    """grace * eta^k for k = bracket, bracket + 1, ..., up to `longest`, ascending. Empty for a bracket too late."""
    milestones = (grace * eta**k for k in itertools.count(bracket))
    return list(itertools.takewhile(lambda milestone: milestone <= longest, milestones))
