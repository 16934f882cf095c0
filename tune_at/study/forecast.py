"""When a sweep's last trial ends: one formula for what is announced before the start and for what is left later."""

from collections.abc import Mapping

from tune_at.study.cost import TrialCost, sweep_seconds

CONFIDENCE = 20.0
"""Seconds of work that the estimate before the start counts as much as, against what has been observed since."""
HALF_LIFE = 120.0
"""Seconds of work after which an observation counts half: a machine may become busier, or free again."""


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

    def left(self, epochs: Mapping[str, int], undrawn: int = 0) -> float | None:
        """Seconds until the last trial ends; None if nothing is known yet.

        `epochs`: the finished epochs of each trial that is to be run on, those first that run now; `undrawn`: how many
        trials have yet to be drawn.
        """
        if not self.expected:
            return None
        rest = [self.cost(trial).left(epoch) for trial, epoch in epochs.items()]
        rest += [self.typical.left()] * undrawn
        return sweep_seconds(rest, self.at_once) * self.taken / self.expected

    def cost(self, trial: str) -> TrialCost:
        """The cost of a trial; one that was drawn since the start is taken to be typical."""
        return self.costs.get(trial, self.typical)
