"""Accuracies under attacks from the table `evaluations`, and what in them should give pause."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

AUTOATTACK = "autoattack"

CLEAR = 0.01
"""A difference of accuracies that is spoken of: one point."""

MASKED = 0.08
"""How far AutoAttack may lie below the strongest gradient attack before gradients are taken to be masked.

In Tables 1 and 2 of the paper it lies up to 4.6 points below the lower of PGD-1000 and C&W-1000, with the exception of
TRADES on SVHN: 12.4 (best) and 11.3 (final)."""

Cell = tuple[str, str, int, str]
"""(trial, checkpoint as the table has it, epoch, attack)."""


@dataclass(frozen=True)
class Accuracy:
    """Of all examples that were attacked, how many were right."""

    n: int
    natural: float
    robust: float
    settings: str
    """JSON."""


def accuracies(evaluations: pa.Table, split: str, batches: Mapping[str, int]) -> dict[Cell, Accuracy]:
    """The accuracies of what has been evaluated whole.

    Args:
        evaluations: the table.
        split: of which images.
        batches: by trial, how many of the first batches are asked for.
    """
    rows: dict[Cell, list[dict[str, Any]]] = {}
    for row in evaluations.to_pylist():
        if row["split"] == split and row["batch"] < batches.get(row["trial"], 0):
            rows.setdefault((row["trial"], row["checkpoint"], row["epoch"], row["attack"]), []).append(row)
    known = {}
    for cell, parts in rows.items():
        if len(parts) == batches[cell[0]] and len({part["settings"] for part in parts}) == 1:
            n = sum(part["n"] for part in parts)
            natural, robust = (sum(part[name] or 0 for part in parts) / n for name in ("natural_correct", "correct"))
            known[cell] = Accuracy(n, natural, robust, parts[0]["settings"])
    return known


def strength(attack: str) -> tuple[str, int] | None:
    """Family and number of steps of a gradient attack: `("pgd", 1000)`; None for another attack.

    Settings have to be equal for two attacks to be compared, so they are a part of the family.
    """
    name, _, settings = attack.partition(" ")
    parsed = re.fullmatch(r"(pgd|cw)-(\d+)", name)
    return (f"{parsed[1]} {settings}".strip(), int(parsed[2])) if parsed else None


def suspicions(robust: Mapping[str, float]) -> list[str]:
    """What is odd in the robust accuracies of one network, by attack; one line each.

    A weaker attack that finds more than a stronger one by more than a point: fewer steps against more of the same
    family, and any against AutoAttack. And masked gradients: AutoAttack finds far more than the strongest gradient
    attack (`MASKED`), so that what these say is worth nothing.
    """
    lines = []
    gradient = {attack: known for attack in robust if (known := strength(attack)) is not None}
    for weak, strong in itertools.permutations(robust, 2):
        same = weak in gradient and strong in gradient and gradient[weak][0] == gradient[strong][0]
        weaker = same and gradient[weak][1] < gradient[strong][1]
        ensemble = weak in gradient and strong.startswith(AUTOATTACK) and _settings(weak) == _settings(strong)
        if (weaker or ensemble) and robust[weak] < robust[strong] - CLEAR:
            lines.append(
                f"{weak} finds more than {strong}, which is stronger ({_points(robust, weak, strong)}): gradients may"
                " be masked, or the step does not suit"
            )
    for attack in robust:
        if attack.startswith(AUTOATTACK):
            alike = [other for other in gradient if _settings(other) == _settings(attack)]
            longest = max((gradient[other][1] for other in alike), default=0)
            strongest = min((o for o in alike if gradient[o][1] == longest), key=lambda o: robust[o], default=None)
            if strongest is not None and robust[attack] < robust[strongest] - MASKED:
                lines.append(
                    f"{attack} finds far more than {strongest} ({_points(robust, attack, strongest)}): gradients are"
                    f" masked; trust {attack} alone"
                )
    return lines


def reordered(best: Mapping[str, float], final: Mapping[str, float]) -> list[tuple[str, str]]:
    """The pairs of methods of which the first is better at the best checkpoint and the second at the final one.

    Both by more than a point. Values are robust accuracies by method.
    """
    methods = [method for method in best if method in final]
    return [
        (a, b)
        for a, b in itertools.permutations(methods, 2)
        if best[a] > best[b] + CLEAR and final[b] > final[a] + CLEAR
    ]


def mean(values: Iterable[float]) -> float:
    """The mean; NaN of nothing."""
    known: Sequence[float] = list(values)
    return sum(known) / len(known) if known else float("nan")


def _settings(attack: str) -> str:
    return attack.partition(" ")[2]


def _points(robust: Mapping[str, float], *attacks: str) -> str:
    return " against ".join(f"{100 * robust[attack]:.1f}%" for attack in attacks)
