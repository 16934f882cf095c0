"""Results in the terminal: the table at a sweep's end, and the output of `query`."""

import json
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
from rich.console import Console, Group
from rich.table import Table

from analysis.ranking import best_trials, exploits, values_at
from tune_at.store.status import Status
from tune_at.wording import assignments

if TYPE_CHECKING:
    import pandas as pd


SHOWN = 40
"""Trials in the table at a sweep's end; of more, the best are shown."""


def at_rest(trials: "pd.DataFrame") -> "pd.DataFrame":
    """The trials of a sweep that is not running: what its table calls `running` was interrupted."""
    return trials.assign(status=trials["status"].replace(Status.RUNNING, Status.INTERRUPTED))


def results_tables(trials: "pd.DataFrame", epochs: "pd.DataFrame", decisions: "pd.DataFrame") -> Group:
    """The table of a sweep's trials; below it the values of those that exploits have changed, if there are such.

    Of more than `SHOWN` trials the best are shown, best first.
    """
    shown = best_trials(trials, epochs).head(SHOWN) if len(trials) > SHOWN else trials
    tables = [results_table(shown, epochs, len(trials) - len(shown))]
    if (decisions["action"] == "exploit").any():
        tables.append(exploits_table(shown, decisions))
    return Group(*tables)


def exploits_table(trials: "pd.DataFrame", decisions: "pd.DataFrame") -> Table:
    """One line a trial that exploits have changed: after which epochs, and its values at its newest epoch."""
    title = "values at the newest epoch, where exploits have changed them"
    table = Table(box=None, padding=(0, 1), header_style="bold", title=title, title_justify="left")
    for name in ("trial", "exploits after", "values"):
        table.add_column(name, overflow="fold")
    for trial, epochs in zip(trials["trial"], trials["epochs"], strict=True):
        if changed := exploits(decisions, trial, epochs):
            table.add_row(trial, ", ".join(map(str, changed)), assignments(values_at(decisions, trial, epochs)))
    return table


def results_table(trials: "pd.DataFrame", epochs: "pd.DataFrame", hidden: int = 0) -> Table:
    """One line a trial: its last evaluated epoch's accuracies and the generalization gap (train - test)."""
    table = Table(box=None, padding=(0, 1), header_style="bold", caption="accuracy in %: natural / robust")
    for name in ("trial", "status"):
        table.add_column(name, overflow="fold")
    for name in ("epochs", "train", "test", "gap"):
        table.add_column(name, justify="right", no_wrap=True)
    measured = epochs[epochs["test_robust_accuracy"].notna()]
    last = measured.groupby("trial").tail(1).set_index("trial")
    for row in trials.to_dict("records"):
        cells = ["-"] * 3
        if row["trial"] in last.index:
            at = last.loc[row["trial"]]
            train, test = ([at[f"{s}_{kind}_accuracy"] for kind in ("natural", "robust")] for s in ("train", "test"))
            gap = [a - b for a, b in zip(train, test, strict=True)]
            cells = [" / ".join(map(_percent, pair)) for pair in (train, test, gap)]
        table.add_row(row["trial"], row["status"], str(row["epochs"]), *cells)
    if hidden:
        table.add_row(f"and {hidden} more")
    return table


def _percent(value: float) -> str:
    return "    -" if value != value else f"{100 * value:5.1f}"


def print_result(result: pa.Table, form: str) -> None:
    """Print an Arrow table as a terminal table, CSV, or JSON (one array of objects)."""
    if form == "csv":
        pa.csv.write_csv(result, pa.PythonFile(sys.stdout.buffer, mode="w"))
        return
    if form == "json":
        # JSON has no NaN.
        rows = [{k: None if v != v else v for k, v in row.items()} for row in result.to_pylist()]
        print(json.dumps(rows, default=str, indent=1, allow_nan=False))
        return
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for field in result.schema:
        numeric = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        table.add_column(field.name, justify="right" if numeric else "left", overflow="fold")
    for row in result.to_pylist():
        table.add_row(*map(_cell, row.values()))
    # Into a file or a pipe a table is as wide as it has to be.
    target = Console(highlight=False, markup=False)
    (target if target.is_terminal else Console(highlight=False, markup=False, width=10_000)).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
