"""ASHA, with Ray's own brackets."""

import math
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace

import numpy as np
from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.async_hyperband import _Bracket

from tune_at.config.scheduler import ASHA
from tune_at.scheduling.board import TrialState
from tune_at.scheduling.policies.base import InOrder, Verdict
from tune_at.seeding import derive_seed
from tune_at.study.study import Study


class AshaPolicy(InOrder):
    """Asynchronous successive halving (Li et al., 2020) as Ray decides it.

    Ray's scheduler forgets its rungs in a crash, lets NaN pass and records nothing. Here a rung is read from the
    decisions about earlier trials, which are in the store; Ray's bracket then judges the newcomer.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config = study.scheduler
        assert isinstance(config, ASHA)
        self.grace, self.eta, self.brackets = config.grace, config.eta, config.brackets
        self.seed = getattr(study.search, "seed", 0)

    def _bracket(self, number: int) -> _Bracket:
        return _Bracket(self.grace, self.longest, self.eta, number)

    def bracket_of(self, state: TrialState) -> int:
        """The trial's bracket: by chance, as likely as Ray's are, but fixed by its place in the sweep."""
        if self.brackets == 1:
            return 0
        sizes = np.array([len(self.milestones(s)) for s in range(self.brackets)])
        weights = np.exp(sizes - sizes.max())
        rng = np.random.default_rng(derive_seed(self.seed, "bracket", state.index))
        return int(rng.choice(self.brackets, p=weights / weights.sum()))

    @cache  # noqa: B019 - a policy lives as long as the sweep
    def milestones(self, number: int) -> list[int]:
        """The rungs of a bracket, ascending; a fraction is reached with the next whole epoch."""
        return [math.ceil(milestone) for milestone, _ in reversed(self._bracket(number)._rungs)]

    def rungs(self, state: TrialState) -> Sequence[int]:
        """The epochs grace * eta^k of the trial's bracket."""
        return self.milestones(self.bracket_of(state))

    def judge(self, earlier: Sequence[TrialState], state: TrialState, epoch: int) -> Verdict:
        """Stop what is below the (1 - 1/eta) quantile of the rung so far."""
        number = self.bracket_of(state)
        rung = self.reached(state)[epoch]
        bracket = self._bracket(number)
        place = len(bracket._rungs) - 1 - self.rungs(state).index(rung)
        milestone, recorded = bracket._rungs[place]
        for other in earlier:
            for decision in other.decisions.values():
                if decision.rung == rung and decision.bracket == number:
                    recorded[other.name] = self.sign * decision.value
        cutoff = bracket.cutoff(recorded)
        bracket._rungs = [(milestone, recorded)]
        score = self.score(state, epoch)
        action = bracket.on_result(SimpleNamespace(trial_id=state.name), epoch, score)
        return self.verdict(state, epoch, score, action == TrialScheduler.STOP, cutoff, number)
