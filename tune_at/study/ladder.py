"""Points whose rungs are complete runs: one trial a (point, seed, length), each with `train.epochs` of its own.

A point starts with the shortest run. What its next run is follows from its name alone, so that a sweep's trials follow
from its study and from which of them were promoted: nothing else has to be recorded, and nothing can get lost.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.study.trials import Trial

LENGTH = "train.epochs"
"""The swept key by which a point's runs differ."""


class Ladder:
    """The runs of several points.

    Args:
        points: trials as the study has them, each with the epochs of its longest run.
        lengths: of the runs, ascending; the last is that of the points.
        check: raises `UserError` where a config breaks a rule.
    """

    def __init__(self, points: Iterable[Trial], lengths: Sequence[int], check: Callable[[TrialConfig], None]) -> None:
        self.lengths = tuple(lengths)
        width = len(str(max(lengths)))
        self.runs = [tuple(_lasting(point, epochs, width, check) for epochs in lengths) for point in points]
        """The runs of each point, ascending."""
        steps = [step for runs in self.runs for step in pairwise(runs)]
        self.after = {shorter.name: longer for shorter, longer in steps}
        """The next run of a trial's point; absent for the longest."""
        self.before = {longer.name: shorter for shorter, longer in steps}
        """The run that has to be promoted before a trial; absent for the shortest."""

    def firsts(self) -> list[Trial]:
        """The shortest run of each point: what a sweep starts with."""
        return [runs[0] for runs in self.runs]

    def all(self) -> list[Trial]:
        """All trials that there may be, point by point."""
        return list(chain.from_iterable(self.runs))

    def known(self, promoted: Container[str], begun: Container[str]) -> list[Trial]:
        """The trials that there are, point by point.

        Args:
            promoted: trials about which this was decided.
            begun: trials with a row of their own: a decision whose rows were damaged is made again.
        """
        return [trial for runs in self.runs for trial in self._climbed(runs, promoted, begun)]

    def above(self, epochs: int) -> int:
        """How many longer runs than one of so many epochs a point may have."""
        return len(self.lengths) - 1 - self.lengths.index(epochs)

    def open(self, promoted: Container[str], begun: Container[str], out: Container[str]) -> int:
        """How many more trials there may yet be, beside those that are known. `out`: such as go no further."""
        highest = ((runs, list(self._climbed(runs, promoted, begun))) for runs in self.runs)
        return sum(len(runs) - len(known) for runs, known in highest if known[-1].name not in out)

    @staticmethod
    def _climbed(runs: Sequence[Trial], promoted: Container[str], begun: Container[str]) -> Iterator[Trial]:
        top = 0
        for place, (shorter, longer) in enumerate(pairwise(runs), 1):
            if shorter.name in promoted or longer.name in begun:
                top = place
        yield from runs[: top + 1]


def _lasting(point: Trial, epochs: int, width: int, check: Callable[[TrialConfig], None]) -> Trial:
    """The point's run of so many epochs, which its name says first: a long name is cut at its end.

    There they have as many digits as those of the longest run, so that names in order are runs in order.
    """
    config = point.config.lasting(epochs)
    try:
        check(config)
    except UserError as error:
        problem = f"{error.problem} (in the run of {epochs} epochs, scheduler.fidelity: schedule)"
        remedy = error.remedy.replace("raise train.epochs", "raise scheduler.grace")
        raise UserError(error.where, problem, remedy) from None
    index, _, rest = point.name.partition("-")
    swept: dict[str, Any] = {LENGTH: epochs, **point.swept}
    return replace(point, name=f"{index}-{epochs:0{width}d}epochs-{rest}", config=config, swept=swept)
