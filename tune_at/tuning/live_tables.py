"""What the live view shows of trials: those that run, and the best so far."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.text import Text

from tune_at.config.tree import leaves
from tune_at.store.status import Status
from tune_at.study.comparison import Comparison, compare
from tune_at.study.points import Point, Ranking, arrange
from tune_at.study.trials import Trial
from tune_at.tables import Column, fitted
from tune_at.wording import trial_label

SHOWN = 8
"""Running trials in the view; the others are counted."""
BEST = 5
"""Points, or groups with their best point, in the view."""


@dataclass
class TrialView:
    """What the view knows of one trial."""

    trial: Trial
    epoch: int = 0
    """The newest that is finished."""
    status: Status = Status.PENDING
    metrics: dict[str, float] = field(default_factory=dict)
    """The newest of each."""
    best: dict[str, float] = field(default_factory=dict)
    """The metrics of the best epoch so far, and the epoch itself."""

    @property
    def name(self) -> str:
        """The trial's name."""
        return self.trial.name

    @property
    def epochs(self) -> int:
        """Epochs of the whole trial."""
        return self.trial.config.train.epochs


class Standings:
    """The best so far, by the rule that the tables at the sweep's end follow."""

    def __init__(self, split: str, seeds: int) -> None:
        self.split, self.seeds = split, seeds
        self.configs: dict[str, dict[str, Any]] = {}
        self.comparison: Comparison | None = None

    def rank(self, views: Mapping[str, TrialView]) -> Ranking:
        """The points of all trials that are known."""
        if self.comparison is None or len(self.configs) != len(views):
            for name, view in views.items():
                self.configs.setdefault(name, dict(leaves(view.trial.config.as_tree())))
            self.comparison = compare([self.configs[name] for name in views])
        key = f"{self.split}_robust_accuracy"
        rows = [
            {
                "trial": view.name,
                "stage": view.trial.stage,
                "status": view.status,
                "score": float("nan") if view.status.void else view.best.get(key, float("nan")),
                "best": view.best,
            }
            for view in views.values()
        ]
        keys = [(view.trial.stage, repr(view.trial.swept)) for view in views.values()]
        return arrange(rows, self.comparison, keys, self.seeds)

    def table(self, views: Mapping[str, TrialView], width: int) -> Group | None:
        """The best points; of several groups the best of each; None if nothing can be compared yet."""
        ranking = self.rank(views)
        measured = [point for point in ranking.points if point.measured and not point.lost]
        title = f"best {self.split} robust accuracy so far"
        if ranking.comparison.count > 1:
            groups = {point.group for point in measured}
            if len(groups) == len(measured):
                return None
            measured = [best for group in sorted(groups) if (best := ranking.best(group))]
            title += f", for each {' and '.join(ranking.comparison.keys)}"
        if not measured:
            return None
        cells = [self._cells(point) for point in measured[:BEST]]
        hidden = len(measured) - BEST if ranking.comparison.count > 1 else 0
        return _table(title, cells, self.split, width, hidden, "at")

    def _cells(self, point: Point) -> dict[str, str]:
        at = [row["best"] for row in point.measured]
        cells = {}
        for metric in metrics_of(self.split):
            known = [row[metric] for row in at if metric in row]
            cells[metric] = f"{sum(known) / len(known):.1%}" if known else "-"
        if (spread := point.spread("score")) == spread:
            cells[f"{self.split}_robust_accuracy"] += f" ± {spread:.1%}"
        # Not `8/80`, which would look like a trial under way.
        where = f"epoch {int(at[0]['epoch'])}" if point.planned == 1 else point.seeds
        return {"trial": trial_label(point.name), "at": where, **cells}


def running_table(views: Sequence[TrialView], split: str, width: int, staged: bool) -> Group:
    """Trials under way with their epoch and newest accuracies."""
    cells = []
    for view in views[:SHOWN]:
        shown = {key: f"{view.metrics[key]:.1%}" if key in view.metrics else "-" for key in metrics_of(split)}
        label = trial_label(view.name)
        cells.append({"trial": label, "stage": view.trial.stage, "epoch": f"{view.epoch}/{view.epochs}", **shown})
    return _table("running", cells, split, width, len(views) - SHOWN, *(["stage"] if staged else []), "epoch")


def metrics_of(split: str) -> list[str]:
    """The metrics that the view shows: of the training part and of the selection split."""
    return [f"{part}_{kind}_accuracy" for part in ("train", split) for kind in ("natural", "robust")]


def _table(title: str, cells: Iterable[Mapping[str, str]], split: str, width: int, hidden: int, *between: str) -> Group:
    names = dict(zip(metrics_of(split), ("train nat.", "train rob.", f"{split} nat.", f"{split} rob."), strict=True))
    headings = {**{key: "" if key == "at" else key for key in ("trial", *between)}, **names}
    worth = {"stage": 4, "epoch": 5, "at": 5, **{metric: number for number, metric in enumerate(list(names)[:3], 1)}}
    columns = [
        Column(heading, right=key in names or key == "epoch", worth=worth.get(key), extra=worth.get(key, 9) <= 2)
        for key, heading in headings.items()
    ]
    rows = [{headings[key]: cell[key] for key in headings} for cell in cells]
    table = fitted(columns, rows, width)
    if hidden > 0:
        table.add_row(f"and {hidden} more")
    # Not the table's own title, which would be wrapped where the table is narrow.
    return Group(Text(title, style="bold", no_wrap=True, overflow="ellipsis"), table)
