"""Population based training, in rounds."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tune_at.config.scheduler import PBT
from tune_at.config.space import Range
from tune_at.config.tree import get_path
from tune_at.scheduling.board import Board, TrialState
from tune_at.scheduling.policies.base import Verdict
from tune_at.scheduling.policies.together import Together
from tune_at.seeding import derive_seed
from tune_at.study.overrides import KNOWN
from tune_at.study.sampling import mutations_of
from tune_at.study.study import Study


class PbtPolicy(Together):
    """Population based training (Jaderberg et al., 2017).

    Every so many epochs the whole population is ranked. Each trial of the lowest quantile goes on from the weights of
    one of the highest, drawn at random, whose values it takes with changes: drawn again with probability `resample`,
    else multiplied by 0.8 or 1.2 (choices: the neighbour before or after). All trials are in step, so that a round
    is the same however many ran at a time.
    """

    copies = True

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config = study.scheduler
        assert isinstance(config, PBT)
        self.config = config
        self.mutations = mutations_of(config, KNOWN, study.origin)

    def rungs(self, state: TrialState) -> Sequence[int]:
        """Every `every` epochs, before the last."""
        return range(self.config.every, state.epochs, self.config.every)

    def brackets(self, board: Board) -> Iterator[tuple[int, Sequence[int]]]:
        """The whole population, whose trials are all measured on the same."""
        yield 0, range(board.total)

    def judge_bracket(
        self, bracket: int, members: Sequence[TrialState], arrived: Sequence[tuple[TrialState, int]]
    ) -> list[Verdict]:
        """Replace the lowest quantile; of equal ones the later started."""
        ranked = sorted(arrived, key=lambda item: (-self.score(*item), item[0].index))
        count = math.ceil(len(ranked) * self.config.quantile)
        count = min(count, len(ranked) // 2)
        top = ranked[:count]
        verdicts = []
        for place, (member, epoch) in enumerate(ranked):
            cutoff = self.score(*ranked[len(ranked) - count - 1]) if count else None
            state, decision = self.verdict(member, epoch, self.score(member, epoch), False, cutoff)
            if place >= len(ranked) - count and decision.action != "completed":
                rng = np.random.default_rng(derive_seed(member.trial.config.seed, "pbt", epoch, member.index))
                source = top[int(rng.integers(len(top)))][0]
                changes = self._explore(source, epoch, rng)
                decision = replace(decision, action="exploit", source=source.name, changes=changes)
            verdicts.append((state, decision))
        return verdicts

    def _explore(self, source: TrialState, epoch: int, rng: np.random.Generator) -> dict[str, Any]:
        """The source's values at the epoch, changed."""
        values = {path: get_path(source.trial.config.as_tree(), path) for path in self.mutations}
        for at, earlier in sorted(source.decisions.items()):
            if at < epoch and earlier.changes:
                values |= earlier.changes
        return {path: self._changed(path, value, rng) for path, value in values.items()}

    def _changed(self, path: str, value: Any, rng: np.random.Generator) -> Any:
        distribution = self.mutations[path]
        if rng.random() < self.config.resample:
            return distribution.draw(rng)
        if isinstance(distribution, Range):
            changed = min(max(value * float(rng.choice([0.8, 1.2])), distribution.low), distribution.high)
            return round(changed) if distribution.whole else changed
        values = distribution.corners()
        if value not in values:
            return distribution.draw(rng)
        return values[min(max(values.index(value) + int(rng.choice([-1, 1])), 0), len(values) - 1)]
