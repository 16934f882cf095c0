"""What all policies have in common; `in_order` and `together` have the two kinds of them."""

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tune_at.config.scheduler import find_metric, is_loss
from tune_at.scheduling.board import Board, Decision, TrialState
from tune_at.study.groups import Group, group_of
from tune_at.study.judged import is_apart
from tune_at.study.study import Study

Verdict = tuple[TrialState, Decision]


class Replayed(NamedTuple):
    """A decision in a replay, with the columns of the `decisions` table."""

    trial: int
    """Its place among the recorded ones."""
    epoch: int
    rung: int
    bracket: int
    value: float
    cutoff: float | None
    action: str


class Course(Protocol):
    """Whole curves that a policy is ready to judge as if they had been trained now, in any order."""

    def play(self, order: Sequence[int], made: list[Replayed] | None = None) -> dict[int, int]:
        """Which trials are stopped after which epoch.

        Args:
            order: the trials' places among the recorded ones, in the order in which they start.
            made: gets every decision; they are the ones that a live sweep in this order makes.
        """
        ...

    def judged(self, most: int) -> dict[int, dict[int, float]]:
        """What is judged, signed so that more is better, of each trial that gets to a rung if nothing stops it.

        By the epoch at which the last trial gets there: rungs between two evaluations are one. Of more than `most`
        epochs those that are evenly spread on a logarithmic scale.
        """
        ...


def by_epoch(arrivals: Iterable[tuple[int, int, int, float]], most: int) -> dict[int, dict[int, float]]:
    """`Course.judged` from (rung, trial, epoch, what is judged), in any order."""
    rungs: dict[int, dict[int, float]] = {}
    last: dict[int, int] = {}
    for rung, trial, epoch, judged in arrivals:
        rungs.setdefault(rung, {})[trial] = judged
        last[rung] = max(last.get(rung, 0), epoch)
    found: dict[int, dict[int, float]] = {}
    for rung in sorted(rungs):
        found.setdefault(last[rung], {}).update(rungs[rung])
    return {epoch: found[epoch] for epoch in spread(found, most)}


def spread(epochs: Iterable[int], most: int) -> list[int]:
    """At most so many of some epochs, ascending, with the first and the last, evenly spread by their logarithms."""
    known = sorted(set(epochs))
    if len(known) <= most:
        return known
    wanted = np.geomspace(known[0], known[-1], most)
    return sorted({min(known, key=lambda epoch: abs(epoch - want)) for want in wanted})


@dataclass
class Marks:
    """What follows from a trial's evaluated epochs so far."""

    revision: int
    """Of the trial, when they were worked out."""
    seen: int = 0
    """Evaluated epochs that were looked at."""
    passed: int = 0
    """Rungs at or before the newest of these."""
    reached: dict[int, int] = field(default_factory=dict)
    """The rungs that it has reached, by the epoch, ascending."""
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    """At each of the first evaluated epochs."""

    def follow(self, evaluated: Sequence[int], rungs: Sequence[int]) -> dict[int, int]:
        """Look at the evaluated epochs that are new. Rungs skipped on the way are not judged."""
        for epoch in evaluated[self.seen :]:
            now = bisect_right(rungs, epoch)
            if now > self.passed:
                self.reached[epoch], self.passed = rungs[now - 1], now
        self.seen = len(evaluated)
        return self.reached


class Policy(ABC):
    """Decides about trials. What it keeps follows from the board alone, which it may be given at any time.

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
        """The rungs that a trial has reached, by the epoch, ascending."""
        marks = self._marks(state)
        if marks.seen == len(state.evaluated):
            return marks.reached
        return marks.follow(state.evaluated, self.rungs(state))

    def _marks(self, state: TrialState) -> Marks:
        marks: Marks | None = state.marks.get(self)
        if marks is None or marks.revision != state.revision:
            marks = state.marks[self] = Marks(state.revision)
        return marks

    def due(self, state: TrialState) -> int | None:
        """The first epoch after which the trial waits for a decision."""
        if state.settled or not state.metrics:
            return None
        return next((epoch for epoch in self.reached(state) if epoch not in state.decisions), None)

    def course(self, states: Sequence[TrialState]) -> Course:
        """Get ready to replay trials of which all is known that they have ever reported.

        Raises `NotImplementedError` if what trials would report depends on what is decided.
        """
        raise NotImplementedError(self.name)

    def replayed(
        self, trial: int, state: TrialState, epoch: int, rung: int, bracket: int, score: float, cutoff: float | None,
        stop: bool,
    ) -> Replayed:  # fmt: skip
        """A decision as `verdict` has it; score and cutoff are signed."""
        action = action_at(state, epoch, stop)
        return Replayed(
            trial, epoch, rung, bracket, self.sign * score, None if cutoff is None else self.sign * cutoff, action
        )

    def held(self, state: TrialState) -> bool:
        """Whether the trial must not run on yet."""
        return not state.ended and self.due(state) is not None

    def first(self, waiting: Iterable[TrialState]) -> TrialState | None:
        """Which of the trials that may start, in the order of the board, does so first."""
        return next(iter(waiting), None)

    def score(self, state: TrialState, epoch: int) -> float:
        """What is judged at an epoch, signed so that more is better."""
        return self.sign * state.value(self.metric, epoch, self.smooth)

    def scores(self, state: TrialState, epoch: int) -> NDArray[np.float64]:
        """The score at each evaluated epoch up to this one, of which there is one at least."""
        known = self._marks(state).scores
        for new in state.evaluated[len(known) :]:
            known.append(self.score(state, new))
        return np.frombuffer(known)[: bisect_right(state.evaluated, epoch)]

    def verdict(
        self, state: TrialState, epoch: int, score: float, stop: bool, cutoff: float | None, bracket: int = 0
    ) -> Verdict:
        """A decision at a trial's due epoch; a trial that is complete by then has nothing to be stopped from.

        `score` is what was compared with `cutoff`, signed as `score()` is.
        """
        rung = self.reached(state)[epoch]
        action = action_at(state, epoch, stop)
        shown = None if cutoff is None else self.sign * cutoff
        return state, Decision(epoch, rung, self.sign * score, shown, action, bracket)


def action_at(state: TrialState, epoch: int, stop: bool) -> str:
    """The action of a decision after an epoch: after the last one there is nothing left to be stopped."""
    return "completed" if epoch >= state.epochs else "stop" if stop else "continue"


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
