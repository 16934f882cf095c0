"""Results in the terminal: the tables at a sweep's end and in `status`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from analysis.exploits import exploits, values_at
from analysis.ranking import rank
from tune_at.store.status import Status
from tune_at.study.points import Point, Ranking, in_turn
from tune_at.study.study import Study
from tune_at.study.trials import Trial
from tune_at.tables import Column, fitted
from tune_at.wording import assignments, counted, shortened, trial_label

if TYPE_CHECKING:
    import pandas as pd


SHOWN = 40
"""Lines in a table at a sweep's end; of more trials, the best are shown."""

EXPLOITS = "values at the newest epoch, where exploits have changed them"

TRIAL_COLUMNS = (
    Column("trial"),
    Column("stage", worth=3),
    Column("status", worth=7),
    Column("epochs", right=True, worth=4),
    Column("train", right=True, worth=2, extra=True),
    Column("test", right=True, worth=5),
    Column("robust", right=True, worth=6, instead_of="test"),
    Column("gap", right=True, worth=1, extra=True),
)
POINT_COLUMNS = (
    Column("point"),
    Column("seeds", worth=3),
    Column("selection", right=True),
    Column("test natural", right=True, worth=1),
    Column("test robust", right=True, worth=2),
)


def at_rest(trials: "pd.DataFrame") -> "pd.DataFrame":
    """The trials of a sweep that is not running: what its table calls `running` was interrupted."""
    return trials.assign(status=trials["status"].replace(Status.RUNNING, Status.INTERRUPTED))


def results_tables(
    study: Study,
    trials: "pd.DataFrame",
    epochs: "pd.DataFrame",
    decisions: "pd.DataFrame",
    known: Iterable[Trial] = (),
    width: int | None = None,
    ranking: Ranking | None = None,
) -> Group:
    """The table of a sweep's trials, of its points if it has several seeds, and of the values that exploits changed.

    Of more than `SHOWN` trials the best of each group are shown.

    Args:
        study: the sweep's.
        trials: rows of the table `trials`, as far as trials have one.
        epochs: rows of the table `epochs`: all, or `telling_epochs`.
        decisions: all rows of the table `decisions`.
        known: all trials that are known; those without a row are pending.
        width: columns that a table may take; None is as many as it has to.
        ranking: of the trials, if it is known.
    """
    ranking = ranking or rank(trials, epochs, len(study.seeds), within=study.scheduler.compared_within)
    rows: list[Any] = trials.to_dict("records")
    listed = {row["trial"] for row in rows}
    rows += [_pending(trial) for trial in known if trial.name not in listed]
    tables: list[Table | Text] = []
    hidden = len(rows) - SHOWN
    points = in_turn(ranking)
    if hidden > 0:
        best = [dict(row) for point in points for row in point.measured]
        first = {row["trial"] for row in best}
        rows = (best + [row for row in rows if row["trial"] not in first])[:SHOWN]
    if hidden <= 0 or len(study.seeds) == 1:
        tables.append(trials_table(rows, epochs, width, len(study.stages) > 1, max(0, hidden)))
    if len(study.seeds) > 1 and (measured := [point for point in ranking.points if point.measured]):
        if len(measured) > SHOWN:
            measured = [point for point in points if point.measured]
        tables.append(points_table(measured, epochs, width))
    if (decisions["action"] == "exploit").any():
        tables += [Text(EXPLOITS), exploits_table(rows, decisions, width)]
    return Group(*tables)


def _pending(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.name, "stage": trial.stage, "status": Status.PENDING, "epochs": 0}


def trials_table(
    rows: Sequence[Mapping[str, Any]], epochs: "pd.DataFrame", width: int | None, staged: bool, hidden: int = 0
) -> Table:
    """One line a trial: its last evaluated epoch's accuracies and the generalization gap (train - test).

    Data without a test split has its validation split there.
    """
    last = _last(epochs, {row["trial"] for row in rows})
    cells = []
    split = _held_out(last.values())
    for row in rows:
        cell = dict.fromkeys(("train", "test", "robust", "gap"), "-")
        if at := last.get(row["trial"]):
            train, test = ([at.get(f"{s}_{k}_accuracy", float("nan")) for k in KINDS] for s in ("train", split))
            gap = [a - b for a, b in zip(train, test, strict=True)]
            cell |= {name: _pair(pair) for name, pair in (("train", train), ("test", test), ("gap", gap))}
            cell["robust"] = _percent(test[1]).strip()
        cells.append(
            {**cell, "trial": trial_label(row["trial"]), "status": str(row["status"]), "epochs": str(row["epochs"])}
        )
        cells[-1]["stage"] = str(row.get("stage", ""))
    columns = [column for column in TRIAL_COLUMNS if staged or column.name != "stage"]
    if split == "val":
        columns = [
            replace(
                column,
                name="validation",
            )
            if column.name == "test"
            else column
            for column in columns
        ]
        columns = [replace(column, instead_of="validation") if column.instead_of else column for column in columns]
        cells = [{**cell, "validation": cell["test"]} for cell in cells]
    table = fitted(columns, cells, width, caption="accuracy in %: natural / robust")
    if any(column.header == "robust" for column in table.columns):
        table.caption = "robust accuracy in %"
    if hidden:
        table.add_row(f"and {hidden} more")
    return table


KINDS = ("natural", "robust")


def _held_out(rows: Iterable[Mapping[str, float]]) -> str:
    """The split that stands for unseen data: `test`, or `val` where the data has no test split."""
    rows = list(rows)
    tested = any((value := row.get(f"test_{k}_accuracy")) is not None and value == value for row in rows for k in KINDS)
    return "test" if tested or not rows else "val"


def _last(epochs: "pd.DataFrame", trials: set[str]) -> dict[str, dict[str, float]]:
    """The last evaluated epoch's row of each of the trials that has one."""
    # Not all data has a test split.
    items = [f"{split}_{kind}_accuracy" for split in ("test", "val") for kind in KINDS]
    evaluated = epochs.filter(items=items).notna().any(axis=1)
    measured = epochs[epochs["trial"].isin(trials) & evaluated]
    last = measured.sort_values("epoch").groupby("trial").tail(1)
    rows: list[Any] = last.to_dict("records")
    return {row["trial"]: row for row in rows}


def points_table(points: Sequence[Point], epochs: "pd.DataFrame", width: int | None) -> Table:
    """One line a point: mean ± standard deviation over seeds of what it is ranked by, and of the test accuracies."""
    shown = points[:SHOWN]
    last = _last(epochs, {row["trial"] for point in shown for row in point.measured})
    judge = shown[0].measured[0]["selection"]
    selection = "best test robust" if judge == "test" else f"{judge} robust"  # beside the last epoch's test robust
    cells = []
    for point in shown:
        rows = [last.get(row["trial"], {}) for row in point.measured]
        test = {k: [row[c] for row in rows if (c := f"test_{k}_accuracy") in row] for k in KINDS}
        cells.append(
            {
                "point": trial_label(point.name),
                "seeds": point.seeds.replace(" seeds", ""),
                selection: mean_and_spread([row["score"] for row in point.measured]),
                **{f"test {kind}": mean_and_spread(test[kind]) for kind in KINDS},
            }
        )
    columns = [Column(selection, right=True) if c.name == "selection" else c for c in POINT_COLUMNS]
    statuses = [row["status"] for point in shown for row in point.measured]
    short = sum(status != Status.COMPLETED for status in statuses)
    when = "test at the last"
    if short:
        when += f" so far, {short} of {counted(len(statuses), 'trial')} short of its end"
    caption = f"mean ± standard deviation in %: {selection} at the best epochs, {when}"
    table = fitted(columns, cells, width, caption=caption)
    if len(points) > SHOWN:
        table.add_row(f"and {counted(len(points) - SHOWN, 'more point')}")
    return table


def mean_and_spread(values: Sequence[float]) -> str:
    """`76.0 ± 2.1`, in per cent; of one value, without a deviation."""
    import numpy as np

    known = [value for value in values if value == value]
    if not known:
        return "-"
    spread = f" ± {100 * np.std(known, ddof=1):.1f}" if len(known) > 1 else ""
    return f"{100 * np.mean(known):.1f}{spread}"


def exploits_table(rows: Sequence[Mapping[str, Any]], decisions: "pd.DataFrame", width: int | None) -> Table:
    """One line a trial that exploits have changed: after which epochs, and its values at its newest epoch."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("trial", no_wrap=True)
    for name in ("exploits after", "values"):
        table.add_column(name, overflow="fold")
    made = decisions[decisions["action"] == "exploit"]
    for row in rows:
        trial, epochs = row["trial"], row["epochs"]
        if changed := exploits(made, trial, epochs):
            label = trial_label(trial)
            name = shortened(label, max(8, width // 3)) if width else label
            table.add_row(name, ", ".join(map(str, changed)), assignments(values_at(made, trial, epochs)))
    return table


def _pair(values: Iterable[float]) -> str:
    return " / ".join(map(_percent, values))


def _percent(value: float) -> str:
    return "    -" if value != value else f"{100 * value:5.1f}"
