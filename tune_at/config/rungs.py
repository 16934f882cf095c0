"""What schedulers make of a sweep: brackets of trials, and complete runs of several lengths as rungs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tune_at.config.section import Broken


@dataclass(frozen=True)
class Bracket:
    """Trials that Hyperband judges together."""

    halvings: int
    places: Sequence[int]
    """Of its trials, in the order in which they start."""


def run_lengths(grace: int, eta: float, longest: int) -> tuple[int, ...]:
    """The lengths of a point's runs in epochs: grace * eta^k up to `longest`, the last of which becomes `longest`.

    Stretching the last one, and not adding one more, keeps runs a factor of eta apart: 20, 60 and 200
    for 200 epochs, where a run of 180 epochs beside one of 200 would cost as much and tell nothing.
    """
    below = 0
    while grace * eta ** (below + 1) <= longest * (1 + 1e-12):
        below += 1
    whole = (math.ceil(round(grace * eta**k, 9)) for k in range(below))  # of a small eta some are equal
    return (*dict.fromkeys(epochs for epochs in whole if epochs < longest), longest)


def broken_runs(grace: int, eta: float, brackets: int, epochs: Sequence[int]) -> Iterator[Broken]:
    """What keeps runs of several lengths from being rungs; `epochs`: `train.epochs` of each trial."""
    if brackets > 1:
        problem = f"{brackets}, but complete runs (fidelity: schedule) have one ladder"
        yield Broken("scheduler.brackets", problem, "write 1, or set scheduler.fidelity=epochs")
    if len(set(epochs)) > 1:
        yield Broken(
            "train.epochs",
            "differs from trial to trial, but scheduler.fidelity: schedule sets it for each rung",
            "fix it in base at the longest run's epochs, or set scheduler.fidelity=epochs",
        )
    elif len(run_lengths(grace, eta, epochs[0])) < 2:
        yield Broken(
            "scheduler.grace",
            f"{grace} times eta {eta:g} is more than train.epochs, {epochs[0]}: there is one run, and nothing to judge",
            "lower grace or eta, or raise train.epochs",
        )
