"""Asynchronous successive halving whose rungs are complete runs."""

from collections.abc import Iterable, Sequence

import numpy as np

from tune_at.config.scheduler import ASHA
from tune_at.scheduling.board import Board, Decision, TrialState
from tune_at.scheduling.policies.base import Policy, Verdict
from tune_at.study.groups import Group
from tune_at.study.ladder import LENGTH, Ladder
from tune_at.study.study import Study


class RunsPolicy(Policy):
    """ASHA over runs of several lengths, each with its own complete schedule (`fidelity: schedule`).

    Every point runs for the shortest length. A run that has ended is judged by its score at its last epoch, against
    those runs of its length and group whose points stand before its own in the study: its point is promoted to the next
    length unless that score is below their (1 - 1/eta) quantile, as ASHA stops within one run. It is judged once each
    earlier point has been judged at this length or will never come to it; by then it has no worker that would wait.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config, ladder = study.scheduler, study.ladder
        assert isinstance(config, ASHA) and isinstance(ladder, Ladder)
        self.eta, self.ladder = config.eta, ladder

    def rungs(self, state: TrialState) -> Sequence[int]:
        """The trial's last epoch."""
        return (state.epochs,)

    def held(self, state: TrialState) -> bool:
        """No trial waits: what is judged has ended."""
        return False

    def waits_for(self, board: Board, state: TrialState) -> list[TrialState | None]:
        """No trial."""
        return []

    def first(self, waiting: Iterable[TrialState]) -> TrialState | None:
        """The longest run: what takes longest starts first."""
        return max(waiting, key=lambda state: (state.epochs, -state.index), default=None)

    def decide(self, board: Board) -> list[Verdict]:
        """All decisions that can be made now, in the order of the points."""
        verdicts: list[Verdict] = []
        scores: dict[tuple[int, Group], list[float]] = {}
        """Of the points so far, by rung and group."""
        blocked: set[tuple[int, Group]] = set()
        """Rungs and groups in which an earlier point is not judged yet."""
        for runs in self.ladder.runs:
            group = self.group(board.by_name[runs[0].name])
            for rung, trial in enumerate(runs):
                state = board.by_name.get(trial.name)
                made = state.decisions.get(state.epochs) if state is not None else None
                if made is None:
                    if state is not None and state.status.void:
                        break  # it comes no further, and nobody waits for it
                    if state is None or not state.ended or (rung, group) in blocked:
                        # It runs, will run once it is on the board, or waits itself.
                        blocked |= {(later, group) for later in range(rung, len(runs))}
                        break
                    verdict = self.judge(scores.get((rung, group), []), state)
                    made = verdict[1]
                    state.decide(made)
                    verdicts.append(verdict)
                scores.setdefault((rung, group), []).append(self.sign * made.value)
                if made.action != "promote":
                    break
        return verdicts

    def judge(self, before: Sequence[float], state: TrialState) -> Verdict:
        """Promote what is not below the (1 - 1/eta) quantile of the scores `before`."""
        cutoff = float(np.percentile(before, (1 - 1 / self.eta) * 100)) if before else None
        score = self.score(state, state.epochs)
        last = state.name not in self.ladder.after
        action = "completed" if last else "stop" if cutoff is not None and score < cutoff else "promote"
        shown = None if cutoff is None else self.sign * cutoff
        longer = {LENGTH: self.ladder.after[state.name].config.train.epochs} if action == "promote" else None
        return state, Decision(state.epochs, state.epochs, self.sign * score, shown, action, changes=longer)
