"""Asynchronous successive halving."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from tune_at.config.scheduler import ASHA
from tune_at.scheduling.board import TrialState
from tune_at.scheduling.policies.base import InOrder, Verdict
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
        self.eta = config.eta
        self.milestones = [
            bracket_milestones(config.grace, config.eta, self.longest, s) for s in range(config.brackets)
        ]
        """Of each bracket."""
        self.ladders = [list(dict.fromkeys(map(math.ceil, milestones))) for milestones in self.milestones]
        """Each bracket's rungs in epochs: a fraction is reached with the next whole one."""
        self.seed = getattr(study.search, "seed", 0)

    def bracket_of(self, state: TrialState) -> int:
        """The trial's bracket: at random, as likely as Ray's are, but fixed by its place in the sweep."""
        if len(self.ladders) == 1:
            return 0
        sizes = np.array([len(milestones) for milestones in self.milestones])
        weights = np.exp(sizes - sizes.max())
        rng = np.random.default_rng(derive_seed(self.seed, "bracket", state.index))
        return int(rng.choice(len(sizes), p=weights / weights.sum()))

    def rungs(self, state: TrialState) -> Sequence[int]:
        """The epochs grace * eta^k of the trial's bracket."""
        return self.ladders[self.bracket_of(state)]

    def judge(self, earlier: Sequence[TrialState], state: TrialState, epoch: int) -> Verdict:
        """Stop what is below the (1 - 1/eta) quantile of the rung so far."""
        bracket, rung = self.bracket_of(state), self.reached(state)[epoch]
        decisions = (decision for other in earlier for decision in other.decisions.values())
        before = [self.sign * d.value for d in decisions if (d.bracket, d.rung) == (bracket, rung)]
        cutoff = float(np.percentile(before, (1 - 1 / self.eta) * 100)) if before else None
        score = self.score(state, epoch)
        return self.verdict(state, epoch, score, cutoff is not None and score < cutoff, cutoff, bracket)


def bracket_milestones(grace: int, eta: float, longest: int, bracket: int) -> list[float]:
    """grace * eta^k for k = bracket, bracket + 1, ..., up to `longest`, ascending. Empty for a bracket too late."""
    milestones = (grace * eta**k for k in itertools.count(bracket))
    return list(itertools.takewhile(lambda milestone: milestone <= longest, milestones))
