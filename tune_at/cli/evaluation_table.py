"""What `evaluate` prints: accuracies by trial, checkpoint and attack, and warnings."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from analysis.robustness import AUTOATTACK, Accuracy, Cell, mean, reordered, suspicions
from tune_at.cli.results import mean_and_spread
from tune_at.study.points import Ranking
from tune_at.tables import Column, fitted
from tune_at.wording import counted, trial_label

if TYPE_CHECKING:
    from tune_at.recording.evaluation_plan import Target


@dataclass(frozen=True)
class Evaluated:
    """What was asked for, and what has come of it.

    Attributes:
        targets: the checkpoints.
        attacks: as the tables name them.
        split: of which images.
        known: the accuracies that there are.
        ranking: the sweep's points, of the trials that have been trained.
        seeds: how many the study has.
    """

    targets: "Sequence[Target]"
    attacks: Sequence[str]
    split: str
    known: Mapping[Cell, Accuracy]
    ranking: Ranking
    seeds: int

    def of(self, target: "Target", attack: str) -> Accuracy | None:
        """A target's accuracy under an attack; None if it is not there."""
        return self.known.get((target.trial.name, target.checkpoint, target.epoch, attack))

    def robust(self, target: "Target") -> dict[str, float]:
        """A target's robust accuracies by attack, of those that are there."""
        return {attack: cell.robust for attack in self.attacks if (cell := self.of(target, attack)) is not None}

    def points(self) -> "Iterator[tuple[str, int, dict[str, list[Target]]]]":
        """The sweep's points that are asked for: name, group, and by checkpoint the targets of its seeds."""
        by_trial: dict[str, list[Target]] = {}
        for target in self.targets:
            by_trial.setdefault(target.trial.name, []).append(target)
        for point in self.ranking.points:
            targets: dict[str, list[Target]] = {}
            for row in point.trials:
                for target in by_trial.get(row["trial"], ()):
                    targets.setdefault(target.asked, []).append(target)
            if targets:
                yield trial_label(point.name), point.group, targets

    @property
    def checkpoints(self) -> list[str]:
        """Those asked for."""
        return list(dict.fromkeys(target.asked for target in self.targets))


def tables(evaluated: Evaluated, width: int | None) -> list[Table]:
    """A line a (trial, checkpoint); and with several seeds a line a (point, checkpoint)."""
    columns = [Column("trial"), Column("checkpoint"), Column("natural", right=True)]
    columns += [Column(attack, right=True) for attack in evaluated.attacks]
    rows = []
    for target in evaluated.targets:
        shown = target.asked if target.asked == str(target.epoch) else f"{target.asked} ({target.epoch})"
        rows.append(_row(evaluated, trial_label(target.trial.name), shown, [target]))
    cells = [cell for t in evaluated.targets for a in evaluated.attacks if (cell := evaluated.of(t, a)) is not None]
    counts = "/".join(map(str, sorted({cell.n for cell in cells})))
    caption = f"accuracy in % on {counts} images of {evaluated.split}" if counts else ""
    made = [fitted(columns, rows, width, caption=caption)]
    if evaluated.seeds > 1:
        rows = [
            _row(evaluated, name, asked, targets[asked]) | {"seeds": _seeds(evaluated, targets[asked])}
            for name, _, targets in evaluated.points()
            for asked in evaluated.checkpoints
            if asked in targets
        ]
        columns = [Column("point"), Column("checkpoint"), Column("seeds", right=True), *columns[2:]]
        made.append(fitted(columns, rows, width, caption="mean ± standard deviation over seeds"))
    return made


def _row(evaluated: Evaluated, name: str, checkpoint: str, targets: "Sequence[Target]") -> dict[str, str]:
    row = {"trial": name, "point": name, "checkpoint": checkpoint}
    cells = {a: [cell for t in targets if (cell := evaluated.of(t, a)) is not None] for a in evaluated.attacks}
    natural = next((found for found in cells.values() if found), [])
    row["natural"] = mean_and_spread([cell.natural for cell in natural])
    return row | {attack: mean_and_spread([cell.robust for cell in found]) for attack, found in cells.items()}


def _seeds(evaluated: Evaluated, targets: "Sequence[Target]") -> str:
    """How many seeds a point's means are over: `2`, or `1 of 2` where one is lost or not evaluated whole."""
    counts = [sum(evaluated.of(target, attack) is not None for target in targets) for attack in evaluated.attacks]
    return str(evaluated.seeds) if min(counts) == evaluated.seeds else f"{min(counts)} of {evaluated.seeds}"


def warnings(evaluated: Evaluated) -> list[str]:
    """What should give pause, one line each; see `analysis.robustness`."""
    lines = []
    for target in evaluated.targets:
        where = f"{trial_label(target.trial.name)}, {target.asked}"
        lines += [f"warning: {where}: {line}" for line in suspicions(evaluated.robust(target))]
    for attack in evaluated.attacks if {"best", "final"} <= set(evaluated.checkpoints) else ():
        lines += _reordered(evaluated, attack)
    if not any(attack.startswith(AUTOATTACK) for attack in evaluated.attacks):
        lines.append("note: without autoattack it does not show whether gradients are masked")
    return lines + list(_radii(evaluated))


def _reordered(evaluated: Evaluated, attack: str) -> list[str]:
    """Best and final rank the methods differently; of points that are compared at all, over the same seeds."""
    values: dict[int, dict[str, dict[str, float]]] = {}
    for name, group, targets in evaluated.points():
        known = {
            asked: {
                t.trial.name: cell.robust
                for t in targets.get(asked, ())
                if (cell := evaluated.of(t, attack)) is not None
            }
            for asked in ("best", "final")
        }
        if known["best"] and known["best"].keys() == known["final"].keys():
            for asked, by_trial in known.items():
                values.setdefault(group, {"best": {}, "final": {}})[asked][name] = mean(by_trial.values())
    lines = []
    for means in values.values():
        for a, b in reordered(means["best"], means["final"]):
            numbers = [f"{100 * means[asked][name]:.1f}" for asked in ("best", "final") for name in (a, b)]
            lines.append(
                f"warning: {attack}: best and final rank differently: {a} before {b} at the"
                f" best checkpoint ({numbers[0]} and {numbers[1]}%), behind it at the final one"
                f" ({numbers[2]} and {numbers[3]}%)"
            )
    return lines


def _radii(evaluated: Evaluated) -> Iterable[str]:
    """Attacks whose radius is not that of a trial's training."""
    odd: dict[tuple[str, float, float], int] = {}
    for target in {target.trial.name: target for target in evaluated.targets}.values():
        trained = target.trial.config.attack.eps
        for attack in evaluated.attacks:
            cell = evaluated.of(target, attack)
            eps = json.loads(cell.settings)["eps"] if cell else trained
            if eps != trained:
                odd[attack, eps, trained] = odd.get((attack, eps, trained), 0) + 1
    for (attack, eps, trained), count in odd.items():
        trials = counted(count, "trial")
        yield f"note: {attack}: eps is {_radius(eps)}, and {_radius(trained)} in the training of {trials}"


def _radius(eps: float) -> str:
    """`8/255` where it is such a fraction."""
    return f"{round(eps * 255)}/255" if abs(eps * 255 - round(eps * 255)) < 1e-9 and eps else f"{eps:g}"
