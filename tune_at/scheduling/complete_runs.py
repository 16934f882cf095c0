"""ASHA with either fidelity over recorded curves: rungs inside one long run, and complete runs. Trains nothing.

Both are the very policies that run live. They are asked about a board on which each trial reports what was recorded of
it, one trial after the other, in an order in which the points might have started.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tune_at.config.scheduler import ASHA, METRICS
from tune_at.config.section import SELECTION_SPLITS
from tune_at.config.trial import TrialConfig
from tune_at.scheduling.board import Board, TrialState
from tune_at.scheduling.policies.asha import AshaPolicy
from tune_at.scheduling.policies.runs import RunsPolicy
from tune_at.store.status import Status
from tune_at.study.ladder import Ladder
from tune_at.study.study import Study
from tune_at.study.trials import Trial

Curve = Mapping[int, float]
"""What is judged, more is better, by evaluated epoch."""


@dataclass(frozen=True)
class Recorded:
    """Points of which every run was run whole.

    Attributes:
        grace: epochs of the shortest run.
        eta: the factor from one run to the next.
        lengths: of the runs, ascending.
        curves: of each point the curve of each of its runs, ascending.
    """

    grace: int
    eta: float
    lengths: tuple[int, ...]
    curves: Sequence[Sequence[Curve]]

    def inside_one_run(self, order: Sequence[int]) -> list[int]:
        """The epoch after which each point's longest run ends if rungs are epochs of that run."""
        policy, board = AshaPolicy(self._studies["epochs"]), Board(len(order))
        states = board.add(self._points(order))
        for state, point in zip(states, order, strict=True):
            curve = self.curves[point][-1]
            for epoch in sorted(curve):
                _report(state, epoch, curve[epoch])
                policy.decide(board)
                if state.ended:
                    break
        ends = {point: state.epoch for state, point in zip(states, order, strict=True)}
        return [ends[point] for point in range(len(order))]

    def in_complete_runs(self, order: Sequence[int]) -> list[int]:
        """How many runs each point gets if rungs are complete runs: 1 is the shortest alone."""
        policy, board = RunsPolicy(self._studies["schedule"]), Board(len(order))
        policy.ladder = ladder = Ladder(self._points(order), self.lengths, lambda config: None)
        board.add(ladder.firsts())
        counts = {}
        for runs, point in zip(ladder.runs, order, strict=True):
            for place, trial in enumerate(runs):
                if trial.name not in board.by_name:
                    board.add([trial])
                state = board.by_name[trial.name]
                _report(state, state.epochs, self.curves[point][place][state.epochs])
                counts[point] = place + 1
                if policy.decide(board)[-1][1].action != "promote":
                    break
        return [counts[point] for point in range(len(order))]

    def _points(self, order: Sequence[int]) -> list[Trial]:
        config = TrialConfig().lasting(self.lengths[-1])
        return [Trial(f"{point:06d}-s0", config, {}) for point in order]

    @cached_property
    def _studies(self) -> dict[str, Study]:
        """As much of a study as the policy of each fidelity asks for."""
        base = {"train": {"epochs": self.lengths[-1]}}
        options = {"grace": self.grace, "eta": self.eta}
        return {
            fidelity: Study(
                "recorded", "", "", "", {}, base, {}, [0], [],
                scheduler=ASHA.model_validate({**options, "fidelity": fidelity}),
            )
            for fidelity in ("epochs", "schedule")
        }  # fmt: skip


def _report(state: TrialState, epoch: int, value: float) -> None:
    """A trial's evaluated epoch; its last one ends it."""
    split = SELECTION_SPLITS[state.trial.config.train.selection]
    state.report(epoch, {f"{split}_{metric}": value for metric in METRICS})
    if epoch >= state.epochs:
        state.status = Status.COMPLETED
