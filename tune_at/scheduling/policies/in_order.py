"""Policies that judge trials one after the other."""

import math
from abc import abstractmethod
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from tune_at.scheduling.board import Board, TrialState
from tune_at.scheduling.policies.base import Course, Marks, Policy, Replayed, Verdict, by_epoch
from tune_at.store.status import Status
from tune_at.study.groups import Group


class Rung:
    """The scores that trials are held against at one rung of a group."""

    __slots__ = ("entries", "epoch", "index", "scores")

    def __init__(self) -> None:
        self.scores: list[float] = []
        """Ascending."""
        self.entries: list[tuple[int, int, float]] = []
        """(the trial's place in the sweep, its epoch, its score) of each."""
        self.index, self.epoch = -1, 0
        """The largest of these places and epochs."""

    def before(self, index: int, epoch: int) -> Sequence[float]:
        """The scores, ascending, of the trials that started before place `index`, and were there by `epoch`.

        Where trials are evaluated at different epochs, a later one may reach a rung first; and a trial that had failed
        is judged when later ones were. What had come from whom by then is in no decision: only what started earlier is.
        """
        if index > self.index and epoch >= self.epoch:
            return self.scores
        return sorted(score for other, at, score in self.entries if other < index and at <= epoch)

    def enter(self, index: int, epoch: int, score: float) -> None:
        """Add a trial's score."""
        insort(self.scores, score)
        self.entries.append((index, epoch, score))
        self.index, self.epoch = max(self.index, index), max(self.epoch, epoch)


Rungs = defaultdict[Hashable, Rung]


@dataclass
class Progress:
    """What has been judged on a board: all of it follows from the board."""

    board: Board
    seen: int = 0
    """Trials of the board that are known here."""
    open: list[TrialState] = field(default_factory=list)
    """Those that are not settled, in order."""
    groups: Counter[Group] = field(default_factory=Counter)
    """Their number in each group."""
    rungs: dict[Group, Rungs] = field(default_factory=dict)
    entered: dict[int, int] = field(default_factory=dict)
    """By a trial's place: the newest epoch that is in the rungs."""


class InOrder(Policy):
    """Judges a trial against those of its group that started before it, as if one ran at a time.

    Trial i is judged after epoch e once every earlier trial of its group has ended or is past e. Earlier trials started
    earlier, so this seldom waits; and how many run at a time changes no decision.
    """

    brackets = 1
    """Ladders of rungs, each trial having one of them."""
    _progress: Progress | None = None

    @abstractmethod
    def ladder(self, bracket: int, epochs: int) -> Sequence[int]:
        """The rungs of a bracket for a trial of that many epochs."""

    @abstractmethod
    def key(self, bracket: int, rung: int, epoch: int) -> Hashable:
        """Equal for scores that are held against each other."""

    @abstractmethod
    def judged(self, state: TrialState, epoch: int) -> float:
        """What of a trial is judged after an epoch, signed so that more is better. Later epochs do not count."""

    @abstractmethod
    def entered(self, state: TrialState, epoch: int, judged: float) -> float:
        """What later trials are held against, likewise."""

    @abstractmethod
    def cutoff(self, scores: Sequence[float]) -> float | None:
        """The score below which a trial is stopped, given those before it, ascending; None if they are too few."""

    def course(self, states: Sequence[TrialState]) -> Course:
        """Replay one trial after the other."""
        return InOrderCourse(self, states)

    def bracket_at(self, index: int) -> int:
        """The bracket of the trial at a place in the sweep."""
        return 0

    def rungs(self, state: TrialState) -> Sequence[int]:
        """The rungs of its bracket."""
        return self.ladder(self.bracket_at(state.index), state.epochs)

    def decide(self, board: Board) -> list[Verdict]:
        """All decisions that can be made now, each entered on the board before the next is made."""
        progress, verdicts, settled = self._follow(board), list[Verdict](), False
        fronts: dict[Group, float] = {}  # the least epoch that all earlier trials of the group are past
        blocked = 0
        for state in progress.open:
            group = self.group(state)
            front = fronts.get(group, math.inf)
            if front <= 0:
                continue
            rungs = progress.rungs[group]
            self._enter(progress, rungs, state)
            while (epoch := self.due(state)) is not None and epoch <= front:
                verdict = self._judge(rungs, state, epoch)
                state.decide(verdict[1])
                verdicts.append(verdict)
                self._enter(progress, rungs, state)
            fronts[group] = front = min(front, self._passed(state))
            state.settled = state.ended and epoch is None
            settled |= state.settled
            blocked += front <= 0
            if blocked == len(progress.groups):
                break
        if settled:
            for state in progress.open:
                progress.groups[self.group(state)] -= state.settled
            progress.groups = +progress.groups
            progress.open = [state for state in progress.open if not state.settled]
        return verdicts

    def _follow(self, board: Board) -> Progress:
        """What is known of this board, with the trials that are new on it."""
        if self._progress is None or self._progress.board is not board:
            self._progress = Progress(board)
        progress = self._progress
        for state in board.states[progress.seen :]:
            group = self.group(state)
            progress.open.append(state)
            progress.groups[group] += 1
            progress.rungs.setdefault(group, defaultdict(Rung))
        progress.seen = len(board.states)
        return progress

    def _enter(self, progress: Progress, rungs: Rungs, state: TrialState) -> None:
        """Let later trials see what has been decided about this one; after a restart, decisions from before it, too."""
        last = progress.entered.get(state.index, 0)
        if last >= state.last_evaluated:
            return
        bracket = self.bracket_at(state.index)
        for epoch, rung in self.reached(state).items():
            if epoch <= last:
                continue
            if (decision := state.decisions.get(epoch)) is None:
                return
            score = self.entered(state, epoch, self.sign * decision.value)
            rungs[self.key(bracket, rung, epoch)].enter(state.index, epoch, score)
            progress.entered[state.index] = epoch

    def _judge(self, rungs: Rungs, state: TrialState, epoch: int) -> Verdict:
        bracket, rung = self.bracket_at(state.index), self.reached(state)[epoch]
        score = self.judged(state, epoch)
        cutoff = self.cutoff(rungs[self.key(bracket, rung, epoch)].before(state.index, epoch))
        return self.verdict(state, epoch, score, cutoff is not None and score < cutoff, cutoff, bracket)

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
        if epoch is None:
            return []
        earlier = (other for other in self._follow(board).open if other.index < state.index)
        return [other for other in earlier if self.group(other) == group and self._passed(other) < epoch]


Arrival = tuple[Hashable, int, int, float, float]
"""Of a trial at a rung: what it is compared with, the epoch, the rung, what is judged, what later ones see."""


class InOrderCourse:
    """Trials that start one after the other, in any order."""

    def __init__(self, policy: InOrder, states: Sequence[TrialState]) -> None:
        self.policy, self.states = policy, states
        self.groups = [policy.group(state) for state in states]
        self.known: dict[tuple[int, int], list[Arrival]] = {}

    def arrivals(self, trial: int, bracket: int) -> list[Arrival]:
        """Of a trial at all rungs of a bracket, if nothing stops it."""
        if (key := (trial, bracket)) not in self.known:
            policy, state, found = self.policy, self.states[trial], list[Arrival]()
            reached = Marks(0).follow(state.evaluated, policy.ladder(bracket, state.epochs))
            for epoch, rung in reached.items():
                judged = policy.judged(state, epoch)
                found.append(
                    (policy.key(bracket, rung, epoch), epoch, rung, judged, policy.entered(state, epoch, judged))
                )
            self.known[key] = found
        return self.known[key]

    def play(self, order: Sequence[int], made: list[Replayed] | None = None) -> dict[int, int]:
        """See `Course`."""
        policy, cutoff_of, stops = self.policy, self.policy.cutoff, dict[int, int]()
        fields: dict[Group, Rungs] = {group: defaultdict(Rung) for group in self.groups}
        for place, trial in enumerate(order):
            rungs, bracket, state = fields[self.groups[trial]], policy.bracket_at(place), self.states[trial]
            for key, epoch, number, judged, entered in self.arrivals(trial, bracket):
                rung = rungs[key]
                cutoff = cutoff_of(rung.before(place, epoch))
                stop = cutoff is not None and judged < cutoff
                if made is not None:
                    made.append(policy.replayed(trial, state, epoch, number, bracket, judged, cutoff, stop))
                rung.enter(place, epoch, entered)
                if stop and epoch < state.epochs:
                    stops[trial] = epoch
                    break
        return stops

    def judged(self, most: int) -> dict[int, dict[int, float]]:
        """See `Course`."""
        arrivals = (
            (rung, trial, epoch, judged)
            for trial in range(len(self.states))
            for bracket in range(self.policy.brackets)
            for _, epoch, rung, judged, _ in self.arrivals(trial, bracket)
        )
        return by_epoch(arrivals, most)
