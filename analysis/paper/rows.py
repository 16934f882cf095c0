"""What a number of the paper is: the types of its tables' cells and of what its text states."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Checkpoint = Literal["best", "final"]

NATURAL = "natural"
"""The column without an attack."""

ATTACKS = (NATURAL, "pgd-10", "pgd-1000", "cw-1000", "autoattack")
"""The columns of Tables 1 and 2, attacks as `tune_at.config.attack` names them."""

Printed = tuple[float, float, float | None]
"""Best and final in %, and their difference in points, as they stand in the paper; None where none is printed."""

Arguments = tuple[tuple[str, float | str], ...]


@dataclass(frozen=True)
class PaperValue:
    """One test accuracy of the paper.

    Attributes:
        table: where it stands: `1a`, `1b`, `1c`, `2`, `C.1`, or `footnote 2`.
        data: as `tune_at` names the data set.
        architecture: as `tune_at` names the network.
        norm: of the ball in which was trained and attacked.
        eps: its radius, in pixels on [0, 1].
        method: the name in `tune_at.config.objective.OBJECTIVES`.
        arguments: the keys of that section that the paper fixes, and their values.
        attack: one of `ATTACKS`.
        checkpoint: the one with the highest PGD-10 accuracy on test data, or the last.
        value: accuracy in %, as printed.
        diff: best - final in points, as printed beside both; None where it is not printed.
    """

    table: str
    data: str
    architecture: str
    norm: str
    eps: float
    method: str
    arguments: Arguments
    attack: str
    checkpoint: Checkpoint
    value: float
    diff: float | None


@dataclass(frozen=True)
class RegulariserValue:
    """One row of Table A.1 for one kind of accuracy, in % and points as printed.

    Attributes:
        table: `A.1`.
        noise_rate: 0 for true labels, 1 for random ones.
        augmentation: random crop and flip.
        weight_decay: its factor, or 0.
        dropout: its rate, or 0.
        kind: natural or robust.
        training: training accuracy.
        test: test accuracy.
        gap: training - test.
    """

    table: str
    noise_rate: float
    augmentation: bool
    weight_decay: float
    dropout: float
    kind: Literal["natural", "robust"]
    training: float
    test: float
    gap: float


@dataclass(frozen=True)
class Statement:
    """What the text says of a figure, or without one.

    Attributes:
        name: ours, to look it up.
        place: where it stands.
        words: the paper's own, shortened.
        value: the number in it, if there is one; accuracies in %.
        outcome: what it says: a word such as `converges`, or how the value is meant (`=`, `about`, `nearly`).
    """

    name: str
    place: str
    words: str
    value: float | None = None
    outcome: str = "="


def results(
    table: str,
    data: str,
    architecture: str,
    norm: str,
    eps: float,
    methods: Mapping[str, Sequence[Printed]],
    arguments: Mapping[str, Arguments],
    attacks: Sequence[str] = ATTACKS,
) -> Iterator[PaperValue]:
    """The cells of a table's rows: by method, best, final and diff, one triple an attack in the order of `attacks`."""
    for method, columns in methods.items():
        for attack, (best, final, diff) in zip(attacks, columns, strict=True):
            fixed = (table, data, architecture, norm, eps, method, arguments.get(method, ()), attack)
            yield PaperValue(*fixed, "best", best, diff)
            yield PaperValue(*fixed, "final", final, diff)
