"""What the live view shows of trials: those that run, the best so far, and those that were stopped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.console import Group
from rich.text import Text

from tune_at.config.scheduler import is_loss
from tune_at.config.tree import leaves
from tune_at.store.status import Status
from tune_at.study.comparison import Comparison, compare
from tune_at.study.points import Point, Ranking, arrange
from tune_at.study.trials import Trial
from tune_at.tables import Column, fitted
from tune_at.wording import trial_label


class Room(NamedTuple):
    """Rows that each table of the view may have; what is more is counted."""

    running: int = 8
    best: int = 5
    """Points, or groups with their best point."""
    stopped: int = 4

    @classmethod
    def within(cls, height: int, running: int, stopped: int) -> "Room":
        """What fits so many rows, where so many trials run and are to be told of as stopped; one of each at least."""
        rows = [min(most, wanted) for most, wanted in zip(cls(), (running, cls().best, stopped), strict=True)]
        # Each table has a title and a head, may say how many more there are, and the cursor takes a row.
        free = height - sum(3 for wanted in rows if wanted) - 1
        while sum(rows) > free and max(rows) > 1:
            rows[rows.index(max(rows))] -= 1
        return cls(*(max(1, number) for number in rows))


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
    node: str = ""
    """Where it runs, as soon as that is known."""

    @property
    def name(self) -> str:
        """The trial's name."""
        return self.trial.name

    @property
    def epochs(self) -> int:
        """Epochs of the whole trial."""
        return self.trial.config.train.epochs


@dataclass(frozen=True)
class Stop:
    """Why a scheduler has stopped a trial."""

    trial: str
    epoch: int
    """After which it was."""
    rung: int
    bracket: int
    value: float
    """What was judged."""
    cutoff: float
    """What it was on the wrong side of."""

    def judged(self, metric: str) -> tuple[str, str]:
        """`77.2%`, `< 77.8%`: the value, and the cutoff with how it compares."""
        loss = is_loss(metric)
        value, cutoff = (f"{x:.4g}" if loss else f"{x:.1%}" for x in (self.value, self.cutoff))
        if value == cutoff:  # the places that are shown do not tell them apart
            value, cutoff = (f"{x:.6g}" if loss else f"{x:.3%}" for x in (self.value, self.cutoff))
        sign = "=" if self.value == self.cutoff else ">" if loss else "<"  # of equal ones those that started earlier
        return value, f"{sign} {cutoff}"

    @property
    def where(self) -> str:
        """`rung 5`, `rung 5 of bracket 1`."""
        return f"rung {self.rung}" + (f" of bracket {self.bracket}" if self.bracket else "")

    def because(self, metric: str) -> str:
        """`robust accuracy 77.2% < 77.8% at rung 5`."""
        return f"{metric.replace('_', ' ')} {' '.join(self.judged(metric))} at {self.where}"


class Standings:
    """The best so far, by the rule that the tables at the sweep's end follow."""

    def __init__(self, split: str, seeds: int, within: Sequence[str] = ()) -> None:
        self.split, self.seeds, self.within = split, seeds, within
        self.configs: dict[str, dict[str, Any]] = {}
        self.comparison: Comparison | None = None

    def rank(self, views: Mapping[str, TrialView]) -> Ranking:
        """The points of all trials that are known."""
        if self.comparison is None or len(self.configs) != len(views):
            for name, view in views.items():
                self.configs.setdefault(name, dict(leaves(view.trial.config.as_tree())))
            self.comparison = compare([self.configs[name] for name in views], within=self.within)
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

    def table(self, views: Mapping[str, TrialView], width: int, most: int = Room().best) -> Group | None:
        """The best points; of several groups the best of each; None if nothing can be compared yet."""
        return best_table(self.rank(views), self.split, width, most)


def best_table(ranking: Ranking, split: str, width: int, most: int = Room().best) -> Group | None:
    """`Standings.table` of a ranking whose rows have the metrics of their best epochs as `best`."""
    measured = [point for point in ranking.points if point.measured and not point.lost]
    title = f"best {split} robust accuracy so far"
    if ranking.comparison.count > 1:
        groups = {point.group for point in measured}
        if len(groups) == len(measured):
            return None
        measured = [best for group in sorted(groups) if (best := ranking.best(group))]
        title += f", for each {' and '.join(ranking.comparison.keys)}"
    if not measured:
        return None
    cells = [_best_cells(point, split) for point in measured[:most]]
    hidden = len(measured) - most if ranking.comparison.count > 1 else 0
    return _table(title, cells, split, width, hidden, "at")


def _best_cells(point: Point, split: str) -> dict[str, str]:
    at = [row["best"] for row in point.measured]
    cells = {}
    for metric in metrics_of(split):
        known = [row[metric] for row in at if metric in row]
        cells[metric] = f"{sum(known) / len(known):.1%}" if known else "-"
    if (spread := point.spread("score")) == spread:
        cells[f"{split}_robust_accuracy"] += f" ± {spread:.1%}"
    # Not `8/80`, which would look like a trial under way.
    where = f"epoch {int(at[0]['epoch'])}" if point.planned == 1 else point.seeds
    return {"trial": trial_label(point.name), "at": where, **cells}


def running_table(
    views: Sequence[TrialView], split: str, width: int, staged: bool, most: int = Room().running
) -> Group:
    """Trials under way with their epoch and newest accuracies; with their nodes, if these are several."""
    cells = []
    several = len({view.node for view in views if view.node}) > 1
    for view in views[:most]:
        shown = {key: f"{view.metrics[key]:.1%}" if key in view.metrics else "-" for key in metrics_of(split)}
        label = trial_label(view.name)
        cells.append({"trial": label, "stage": view.trial.stage, "epoch": f"{view.epoch}/{view.epochs}", **shown})
        cells[-1]["node"] = view.node or "-"
    between = [name for name, is_shown in (("stage", staged), ("node", several)) if is_shown]
    return _table("running", cells, split, width, len(views) - most, *between, "epoch")


def stopped_table(stops: Sequence[Stop], total: int, metric: str, width: int, most: int = Room().stopped) -> Group:
    """The newest of trials that were stopped, newest first, and why: what was judged, against which cutoff."""
    names = ("trial", "after", metric.replace("_", " "), "cutoff", "rung")
    rows = []
    for stop in stops[:most]:
        value, cutoff = stop.judged(metric)
        rung = str(stop.rung) + (f" of bracket {stop.bracket}" if stop.bracket else "")
        cells = (trial_label(stop.trial), f"epoch {stop.epoch}", value, cutoff, rung)
        rows.append(dict(zip(names, cells, strict=True)))
    columns = [Column(names[0]), Column("after", worth=1, extra=True), Column(names[2], right=True)]
    columns += [Column("cutoff", right=True), Column("rung", right=True, worth=2)]
    title = f"stopped early: {total}" + (f", the last {len(rows)}" if total > len(rows) else "")
    return Group(Text(title, style="bold", no_wrap=True, overflow="ellipsis"), fitted(columns, rows, width))


def metrics_of(split: str) -> list[str]:
    """The metrics that the view shows: of the training part and of the selection split."""
    return [f"{part}_{kind}_accuracy" for part in ("train", split) for kind in ("natural", "robust")]


def _table(title: str, cells: Iterable[Mapping[str, str]], split: str, width: int, hidden: int, *between: str) -> Group:
    names = dict(zip(metrics_of(split), ("train nat.", "train rob.", f"{split} nat.", f"{split} rob."), strict=True))
    headings = {**{key: "" if key == "at" else key for key in ("trial", *between)}, **names}
    worth = {metric: number for number, metric in enumerate(list(names)[:3], 1)}
    worth |= {"node": 0, "stage": 4, "epoch": 5, "at": 5}
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
