"""The two kinds of policies: those that judge trials one after the other, and those that judge them together."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from tune_at.config.scheduler import find_metric, is_loss
from tune_at.scheduling.board import Board, Decision, TrialState
from tune_at.store.status import Status
from tune_at.study.groups import Group, group_of
from tune_at.study.judged import is_apart
from tune_at.study.study import Study

Verdict = tuple[TrialState, Decision]
Arrivals = Sequence[tuple[TrialState, int]]


class Policy(ABC):
    """Decides about trials. Keeps no state of its own: the board holds all that it looks at.

    A trial *reaches a rung* at its first evaluated epoch that is at or after the rung. It is then held until the
    decision about it can be made.
    """

    copies = False
    """Whether trials go on from the checkpoints of others."""

    def __init__(self, study: Study) -> None:
        self.study, config = study, study.scheduler
        self.name, self.smooth = config.name, config.smooth
        samples = study.samples()
        self.longest = max(trial.config.train.epochs for trial in samples)
        self.metric = find_metric(config.metric, study.selection, study.origin)
        self.sign = -1.0 if is_loss(self.metric) else 1.0
        self.apart = is_apart(study)
        """Whether the metric does not compare all trials, so that each is judged within its group."""
        self._groups: dict[int, Group] = {}

    @abstractmethod
    def rungs(self, state: TrialState) -> Sequence[int]:
        """The epochs, ascending, at which a trial is judged."""

    @abstractmethod
    def decide(self, board: Board) -> list[Verdict]:
        """All decisions that can be made now, in order."""

    @abstractmethod
    def waits_for(self, board: Board, state: TrialState) -> list[TrialState | None]:
        """The trials without whose results a held trial is not judged; None stands for one not drawn yet."""

    def group(self, state: TrialState) -> Group:
        """What the trial's metric is measured on: a trial is judged only against those for which it is equal."""
        if not self.apart:
            return ()
        if state.index not in self._groups:
            self._groups[state.index] = group_of(state.trial.config, self.metric)
        return self._groups[state.index]

    def reached(self, state: TrialState) -> dict[int, int]:
        """The rungs that a trial has reached, by the epoch. Rungs skipped on the way are not judged."""
        rungs, reached, before = self.rungs(state), {}, 0
        for epoch in sorted(state.metrics):
            now = bisect_right(rungs, epoch)
            if now > before:
                reached[epoch], before = rungs[now - 1], now
        return reached

    def due(self, state: TrialState) -> int | None:
        """The first epoch after which the trial waits for a decision."""
        if state.settled or not state.metrics:
            return None
        return next((epoch for epoch in self.reached(state) if epoch not in state.decisions), None)

    def held(self, state: TrialState) -> bool:
        """Whether the trial must not run on yet."""
        return not state.ended and self.due(state) is not None

    def score(self, state: TrialState, epoch: int) -> float:
        """What is judged at an epoch, signed so that more is better."""
        return self.sign * state.value(self.metric, epoch, self.smooth)

    def verdict(
        self, state: TrialState, epoch: int, score: float, stop: bool, cutoff: float | None, bracket: int = 0
    ) -> Verdict:
        """A decision at a trial's due epoch; a trial that is complete by then has nothing to be stopped from.

        `score` is what was compared with `cutoff`, signed as `score()` is.
        """
        rung = self.reached(state)[epoch]
        action = "completed" if epoch >= state.epochs else "stop" if stop else "continue"
        shown = None if cutoff is None else self.sign * cutoff
        return state, Decision(epoch, rung, self.sign * score, shown, action, bracket)


class FifoPolicy(Policy):
    """Never decides anything."""

    def rungs(self, state: TrialState) -> Sequence[int]:
        """No epoch: nothing is judged."""
        return ()

    def decide(self, board: Board) -> list[Verdict]:
        """No decision."""
        return []

    def waits_for(self, board: Board, state: TrialState) -> list[TrialState | None]:
        """No trial: none is ever held."""
        return []


class InOrder(Policy):
    """Judges a trial against those of its group that started before it, as if one ran at a time.

    Trial i is judged after epoch e once every earlier trial of its group has ended or is past e. Earlier trials started
    earlier, so this seldom waits; and how many run at a time changes no decision.
    """

    @abstractmethod
    def judge(self, earlier: Sequence[TrialState], state: TrialState, epoch: int) -> Verdict:
        """The decision about a trial, given all earlier ones of its group."""

    def decide(self, board: Board) -> list[Verdict]:
        """All decisions that can be made now, each entered on the board before the next is made."""
        verdicts: list[Verdict] = []
        before: dict[Group, list[TrialState]] = {}
        fronts: dict[Group, float] = {}  # the least epoch that all earlier trials of the group are past
        for state in board.states:
            group = self.group(state)
            earlier, front = before.setdefault(group, []), fronts.get(group, math.inf)
            if front <= 0 and not self.apart:
                break
            if front > 0 and not state.settled:
                while (epoch := self.due(state)) is not None and epoch <= front:
                    _, decision = self.judge(earlier, state, epoch)
                    state.decide(decision)
                    verdicts.append((state, decision))
                fronts[group] = min(front, self._passed(state))
                state.settled = state.ended and self.due(state) is None
            earlier.append(state)
        return verdicts

    def _passed(self, state: TrialState) -> float:
        if state.status in (Status.STOPPED, Status.FAILED):
            return math.inf
        epoch = self.due(state)
        if epoch is not None:
            return epoch - 1
        return math.inf if state.ended else state.epoch

    def waits_for(self, board: Board, state: TrialState) -> list[TrialState | None]:
        """The earlier trials of its group that are not past the epoch."""
        epoch, group = self.due(state), self.group(state)
        earlier = (other for other in board.states[: state.index] if self.group(other) == group)
        return [other for other in earlier if epoch is not None and self._passed(other) < epoch]


class Together(Policy):
    """Judges sets of trials that compare, each when all of its trials have reached a rung or have ended."""

    @abstractmethod
    def brackets(self, board: Board) -> Iterator[tuple[int, Sequence[int]]]:
        """The (number, places in the sweep) of each set; places may not be drawn yet."""

    @abstractmethod
    def judge_bracket(
        self, bracket: int, members: Sequence[TrialState], arrived: Sequence[tuple[TrialState, int]]
    ) -> list[Verdict]:
        """Decisions about those that have `arrived` (trial, epoch) at a rung, decided already or not."""

    def decide(self, board: Board) -> list[Verdict]:
        """All decisions that can be made now, bracket by bracket and rung by rung."""
        verdicts: list[Verdict] = []
        for bracket, places in self.brackets(board):
            if places[-1] >= len(board.states):
                continue
            members = [board.states[place] for place in places]
            if not any(self.due(member) for member in members):
                continue
            rungs = sorted({rung for member in members for rung in self.rungs(member)})
            for rung in rungs:
                if any(self._before(member, rung) for member in members):
                    break
                arrived = [(m, e) for m in members if (e := self._arrival(m, rung)) is not None]
                if all(epoch in member.decisions for member, epoch in arrived):
                    continue
                for state, decision in self.judge_bracket(bracket, members, arrived):
                    if decision.epoch in state.decisions:
                        continue  # what was decided before stays
                    state.decide(decision)
                    verdicts.append((state, decision))
            for member in members:
                member.settled = member.ended and self.due(member) is None
        return verdicts

    def _arrival(self, state: TrialState, rung: int) -> int | None:
        return next((epoch for epoch, at in self.reached(state).items() if at == rung), None)

    def _before(self, state: TrialState, rung: int) -> bool:
        """Whether a trial may still reach the rung, or an earlier one, for the first time."""
        if state.ended:
            return False
        return state.last_evaluated < rung

    def waits_for(self, board: Board, state: TrialState) -> list[TrialState | None]:
        """The members of the trial's bracket that are not there yet."""
        epoch = self.due(state)
        if epoch is None:
            return []
        rung = self.reached(state)[epoch]
        for _, places in self.brackets(board):
            if state.index in places:
                known = [board.states[place] for place in places if place < len(board.states)]
                missing: list[TrialState | None] = [m for m in known if self._before(m, rung)]
                return missing + [None] * (len(places) - len(known))
        return []
