"""How far the trials of a sweep come under early stopping, from those that have come somewhere so far."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import pairwise


class Survival:
    """The share of trials that go on after each epoch: Kaplan and Meier's estimate (1958).

    After each epoch at which trials were stopped, the share of those that had come as far and were not. What runs,
    completed, diverged or failed counts as far as it is. Under ASHA trials that come later find more to be compared
    with, and stop more often; so the estimate is on the long side.
    """

    def __init__(self, stopped: Iterable[int], others: Iterable[int]) -> None:
        """The epochs after which trials were stopped, and those that the others have finished."""
        ends = Counter(stopped)
        reached = sorted([*ends.elements(), *others])
        self.epochs = sorted(ends)
        self.shares: list[float] = []
        share = 1.0
        for epoch in self.epochs:
            at_risk = len(reached) - bisect_right(reached, epoch - 1)
            share *= 1 - ends[epoch] / at_risk
            self.shares.append(share)
        self.expected = cache(self._expected)

    def after(self, epoch: int) -> float:
        """The share of trials that go on after an epoch."""
        place = bisect_right(self.epochs, epoch)
        return self.shares[place - 1] if place else 1.0

    def _expected(self, epoch: int, epochs: int) -> float:
        """The share of its remaining epochs that a trial of so many runs on average, once it has gone on after `epoch`.

        1 if nothing like it was stopped, or if nothing has ever come further.
        """
        now = self.after(epoch)
        if epoch >= epochs or not now:
            return 1.0
        bounds = [epoch, *(e for e in self.epochs if epoch < e < epochs), epochs]
        run = sum((end - start) * self.after(start) for start, end in pairwise(bounds))
        return run / now / (epochs - epoch)
