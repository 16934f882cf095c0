"""Hyperband: synchronous successive halving in brackets."""

import math
from collections.abc import Iterator, Sequence

from tune_at.config.scheduler import HyperBand
from tune_at.scheduling.board import Board, TrialState
from tune_at.scheduling.policies.base import Together, Verdict
from tune_at.study.judged import brackets_of, judged_trials
from tune_at.study.study import Study


class HyperBandPolicy(Together):
    """Hyperband (Li et al., 2018). The trials of a group fill brackets in order, the most aggressive bracket first.

    Bracket s has n = ceil((S + 1) / (s + 1) * eta^s) trials and its first rung at R / eta^s, where R is the longest
    trial and S = floor(log_eta R); at each rung ceil(n / eta) go on, as in Ray's. After the last bracket the first
    comes again. A bracket that the sweep cannot fill is halved by what it has.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config = study.scheduler
        assert isinstance(config, HyperBand)
        self.config, self.eta = config, config.eta
        self.filled = brackets_of(study, config, judged_trials(study).groups)
        self.halvings = {place: bracket.halvings for bracket in self.filled for place in bracket.places}
        """Of each trial's bracket, by the trial's place in the sweep."""

    def brackets(self, board: Board) -> Iterator[tuple[int, Sequence[int]]]:
        """The brackets, numbered in the order of their first trials."""
        yield from ((number, bracket.places) for number, bracket in enumerate(self.filled))

    def rungs(self, state: TrialState) -> Sequence[int]:
        """R / eta^s, R / eta^(s-1), ..., below R."""
        return self.config.rungs(self.longest, self.halvings[state.index])

    def judge_bracket(
        self, bracket: int, members: Sequence[TrialState], arrived: Sequence[tuple[TrialState, int]]
    ) -> list[Verdict]:
        """Keep the best ceil(n / eta); of equal ones those that started earlier."""
        state, epoch = arrived[0]
        rung = self.reached(state)[epoch]
        halvings = 1 + list(self.rungs(state)).index(rung)
        keep = len(members)
        for _ in range(halvings):
            keep = math.ceil(keep / self.eta)
        ranked = sorted(arrived, key=lambda item: (-self.score(*item), item[0].index))
        cutoff = self.score(*ranked[min(keep, len(ranked)) - 1])
        return [
            self.verdict(m, e, self.score(m, e), place >= keep, cutoff, bracket) for place, (m, e) in enumerate(ranked)
        ]
