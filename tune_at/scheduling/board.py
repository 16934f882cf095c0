"""What a sweep's driver knows: each trial's results and the decisions about it. Knows no Ray.

Everything here is rebuilt from the sweep's tables. A decision is a function of results and earlier decisions alone,
never of the order in which results happen to arrive, so that a sweep that was killed and resumed, or that ran more
trials at a time, decides as one that nobody disturbed.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tune_at.config.scheduler import METRICS
from tune_at.config.section import SELECTION_SPLITS
from tune_at.store.status import Status
from tune_at.study.trials import Trial


@dataclass(frozen=True)
class Decision:
    """A scheduler's verdict on a trial after one of its epochs; the columns of the `decisions` table."""

    epoch: int
    rung: int
    value: float
    cutoff: float | None
    action: str
    bracket: int = 0
    source: str | None = None
    changes: Mapping[str, Any] | None = None
    decided: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)


@dataclass(eq=False)
class TrialState:
    """One trial. `index` is its place in the sweep: the order in which trials start."""

    index: int
    trial: Trial
    status: Status = Status.PENDING
    epoch: int = 0
    """The newest epoch that is known."""
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    """Finite metrics on the selection split, by evaluated epoch."""
    evaluated: list[int] = field(default_factory=list)
    """These epochs, ascending."""
    revision: int = 0
    """Raised when epochs are taken back, or come late: what was worked out of those before holds no more."""
    marks: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What each policy has worked out of the evaluated epochs so far."""
    decisions: dict[int, Decision] = field(default_factory=dict)
    active: bool = False
    """Whether it has a worker, or only waits for Ray to give it one."""
    settled: bool = False
    """Ended, with nothing left to decide: policies pass it over."""
    worker: dict[str, Any] = field(default_factory=dict)
    """What its worker last said of itself: the columns of its row that nobody else knows. Empty before that."""
    proposal: str | None = None
    """JSON of what the search proposed, for the `trials` table: later proposals depend on it."""

    @property
    def name(self) -> str:
        """The trial's name."""
        return self.trial.name

    @property
    def epochs(self) -> int:
        """Epochs of the whole trial."""
        return self.trial.config.train.epochs

    @property
    def ended(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status.ended

    @property
    def last_evaluated(self) -> int:
        """The newest evaluated epoch; 0 before the first."""
        return self.evaluated[-1] if self.evaluated else 0

    def report(self, epoch: int, row: Mapping[Any, Any], metrics: Sequence[str] = METRICS) -> None:
        """Take the columns of an epoch. The same epoch may come again, after a retry.

        `metrics`: those that have to be finite, or else the epoch does not count as evaluated.
        """
        split = SELECTION_SPLITS[self.trial.config.train.selection]
        values = {metric: row.get(f"{split}_{metric}") for metric in metrics}
        finite = {m: float(v) for m, v in values.items() if isinstance(v, float | int) and math.isfinite(v)}
        if len(finite) == len(metrics):
            if epoch not in self.metrics:
                self.revision += epoch < self.last_evaluated
                insort(self.evaluated, epoch)
            self.metrics[epoch] = finite
        self.epoch = max(self.epoch, epoch)

    def decide(self, decision: Decision) -> None:
        """Enter a decision; one to stop ends a trial that has not ended by itself."""
        self.decisions[decision.epoch] = decision
        if decision.action == "stop" and not self.ended:
            self.status = Status.STOPPED

    def forget(self, epoch: int) -> None:
        """Take back what was reported from `epoch` on: it is run again."""
        self.metrics = {known: metrics for known, metrics in self.metrics.items() if known < epoch}
        self.evaluated = self.evaluated[: bisect_left(self.evaluated, epoch)]
        self.revision += 1
        self.epoch = epoch - 1

    def value(self, metric: str, epoch: int, smooth: int) -> float:
        """The mean of a metric over the last `smooth` evaluated epochs up to `epoch`."""
        end = bisect_right(self.evaluated, epoch)
        last = self.evaluated[max(0, end - smooth) : end]
        return sum(self.metrics[e][metric] for e in last) / len(last)


class Board:
    """The trials of a sweep in order. `total` counts those that a searcher has yet to draw, too."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.states: list[TrialState] = []
        self.by_name: dict[str, TrialState] = {}
        self._ended = 0
        """How many from the first on have ended."""

    def add(self, trials: Iterable[Trial]) -> list[TrialState]:
        """Append trials."""
        added = []
        for trial in trials:
            if trial.name in self.by_name:
                raise ValueError(f"{trial.name} is on the board already")
            state = TrialState(len(self.states), trial)
            self.states.append(state)
            self.by_name[trial.name] = state
            added.append(state)
        return added

    @property
    def complete(self) -> bool:
        """Whether all trials are known and have ended."""
        # Asked in each turn of Tune's loop: those that had ended before are not looked at again until all seem to have.
        while self._ended < len(self.states) and self.states[self._ended].ended:
            self._ended += 1
        known = len(self.states) >= self.total and self._ended == len(self.states)
        return known and all(state.ended for state in self.states)
