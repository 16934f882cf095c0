"""When a sweep's last trial ends: one formula for what is announced before the start and for what is left later."""

from collections.abc import Mapping
from dataclasses import replace

from tune_at.study.cost import RECORDING, TrialCost, sweep_seconds
from tune_at.study.survival import Survival

CONFIDENCE = 20.0
"""Seconds of work that the estimate before the start counts as much as, against what has been observed since."""
HALF_LIFE = 120.0
"""Seconds of work after which an observation counts half: a machine may become busier, or free again."""

NONE_STOPPED = Survival((), ())


class Forecast:
    """What is left of a sweep, from its trials' costs and from how long their epochs have taken so far.

    The costs say how trials compare; observation says how right their sum is. What nothing is known of in seconds, as
    on a GPU that nobody has measured, has no forecast before the first epochs.
    """

    def __init__(self, costs: Mapping[str, TrialCost], typical: TrialCost, at_once: int, known: bool = True) -> None:
        """`costs`: by trial; `typical`: of a trial that is yet to be drawn; `known`: whether they are in seconds."""
        self.costs, self.typical, self.at_once = dict(costs), typical, at_once
        self.expected = self.taken = CONFIDENCE if known else 0.0

    def observe(self, trial: str, before: int, epoch: int, seconds: float) -> None:
        """A worker has taken a trial from the end of epoch `before` to that of `epoch` in so many seconds."""
        cost = self.cost(trial)
        expected = cost.left(before) - cost.left(epoch)
        if expected > 0:
            kept = 0.5 ** (expected / HALF_LIFE)
            self.expected = kept * self.expected + expected
            self.taken = kept * self.taken + seconds

    def left(self, epochs: Mapping[str, int], undrawn: int = 0, survival: Survival = NONE_STOPPED) -> float | None:
        """Seconds until the last trial ends; None if nothing is known yet.

        Args:
            epochs: the finished epochs of each trial that is to be run on, those first that run now.
            undrawn: how many trials have yet to be drawn.
            survival: how far trials come; by default each to its end.
        """
        if not self.expected:
            return None
        rest = [_share(survival, cost := self.cost(trial), epoch) * cost.left(epoch) for trial, epoch in epochs.items()]
        rest += [_share(survival, self.typical, 0) * self.typical.left()] * undrawn
        return sweep_seconds(rest, self.at_once) * self.taken / self.expected

    def cost(self, trial: str) -> TrialCost:
        """The cost of a trial; one that was drawn since the start is taken to be typical."""
        return self.costs.get(trial, self.typical)


class Paces:
    """How long epochs of a sweep take, as its tables tell: for who looks on and has seen none of them.

    A trial that has recorded epochs goes on at its own pace; another one at that of the others, the latest first of
    all, as its cost compares.
    """

    def __init__(self, costs: Mapping[str, TrialCost], recorded: Mapping[str, tuple[int, float]]) -> None:
        """`costs`: of each trial, in any unit; `recorded`: its finished epochs and the seconds that they took.

        Those that began later stand later in `recorded`.
        """
        # What is written after an epoch is not in its seconds, and takes as long whatever the network.
        self.costs = {name: replace(cost, training=cost.training - RECORDING) for name, cost in costs.items()}
        self.ratios: dict[str, float] = {}
        taken = expected = 0.0
        for name, (epochs, seconds) in recorded.items():
            cost = self.costs.get(name)
            worth = cost.left(0) - cost.start - cost.left(epochs) if cost and epochs else 0.0
            if worth > 0:
                self.ratios[name] = seconds / worth
                kept = 0.5 ** (seconds / HALF_LIFE)
                taken, expected = kept * taken + seconds, kept * expected + worth
        self.overall = taken / expected if expected else None

    def left(
        self, epochs: Mapping[str, int], undrawn: int, at_once: int, survival: Survival = NONE_STOPPED
    ) -> float | None:
        """Seconds until the last trial ends; None if no epoch is recorded. Arguments as of `Forecast.left`."""
        if self.overall is None:
            return None
        rest = [self._left(self.costs[n], epoch, self.ratios.get(n), survival) for n, epoch in epochs.items()]
        if undrawn:
            rest += [self._left(TrialCost.mean(self.costs.values()), 0, None, survival)] * undrawn
        return sweep_seconds(rest, at_once)

    def _left(self, cost: TrialCost, epoch: int, ratio: float | None, survival: Survival) -> float:
        """Of one trial; `ratio`: its own pace, if that is known."""
        assert self.overall is not None
        start = cost.start if epoch == 0 else 0.0
        computing = (ratio or self.overall) * (cost.left(epoch) - start)
        return start + _share(survival, cost, epoch) * (computing + RECORDING * max(0, cost.epochs - epoch))


def _share(survival: Survival, cost: TrialCost, epoch: int) -> float:
    """The share of what is left of a trial that it runs on average."""
    return survival.expected(epoch, cost.epochs)
