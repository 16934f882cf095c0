"""Learning curves as means over seeds, the numbers behind every figure of accuracy by epoch."""

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.frames import Frames, add_series
from analysis.notes import noted, trials_left_out
from tune_at.errors import UserError
from tune_at.store.status import Status

BEST, FINAL = "best", "final"

CUT = (Status.STOPPED, Status.DIVERGED, Status.FAILED)
"""Trials that ended before their schedule did."""


def mean_curves(
    frames: Frames, columns: Mapping[str, tuple[str, ...]], names: Sequence[str], shown: Sequence[str] = ()
) -> pd.DataFrame:
    """Columns of `epochs` by epoch, means over seeds.

    A mean is taken over the same trials at every epoch: a series with trials that ran to their end leaves out those
    that were cut short, and its curve ends with the epoch that all of the others have reached.

    Args:
        frames: the sweep.
        columns: column → its values of `names`, as `{"test_robust_accuracy": ("test", "robust")}`.
        names: what tells the columns apart, as `("split", "kind")`.
        shown: keys that get a column of their own and tell no series apart.

    Returns:
        Columns series, `shown`, `names`, epoch, value (mean), spread (standard deviation over seeds, ddof 1; NaN for
        one), seeds, mark: empty, or `best` and `final`, which are rows of their own: means of each trial's value at its
        best epoch (and of that epoch), and of those that are completed at the last evaluated one. Trials that are left
        out are noted.

    Raises:
        UserError: none of the columns has a value.
    """
    present = [column for column in columns if column in frames.epochs]
    measured = frames.epochs.dropna(subset=present, how="all") if present else frames.epochs.iloc[:0]
    if measured.empty:
        raise UserError("report", f"no epoch has {' or '.join(_words(c) for c in columns)}", _remedy(columns, frames))
    rows = add_series(measured, shown, frames.drawn)
    keys = ["series", *shown]
    rows = rows[~_cut_among_whole(rows, keys)]
    parts = []
    for column in present:
        part = rows.dropna(subset=[column])
        part = part.assign(value=pd.to_numeric(part[column]))
        for name, value in zip(names, columns[column], strict=True):
            part[name] = value
        group = [*keys, *names]
        by_epoch = part.groupby([*group, "epoch"], sort=True, dropna=False).agg(
            value=("value", "mean"), spread=("value", "std"), seeds=("seed", "nunique")
        )
        by_epoch = by_epoch.reset_index()
        whole = by_epoch.groupby(group, dropna=False)["seeds"].transform("max")
        parts.append(by_epoch[by_epoch["seeds"] == whole].assign(mark=""))
        parts += [_marked(part, group, mark) for mark in (BEST, FINAL)]
    found = pd.concat([part for part in parts if len(part)], ignore_index=True)
    found = found[[*keys, *names, "epoch", "value", "spread", "seeds", "mark"]]
    return noted(found, trials_left_out(frames, rows["trial"].unique()))


def lines_of(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that are curves."""
    return frame[frame["mark"] == ""]


def _cut_among_whole(rows: pd.DataFrame, keys: Sequence[str]) -> "pd.Series[bool]":
    """Rows of trials that were cut short, in a series that has others."""
    cut = rows["status"].isin(CUT)
    others = (~cut).groupby([rows[key] for key in keys], dropna=False).transform("any")
    return cut & others


def _marked(part: pd.DataFrame, group: list[str], mark: str) -> pd.DataFrame:
    if mark == BEST:
        rows = part[part["epoch"] == part["best_epoch"]]
    else:
        ended = part[part["status"] == Status.COMPLETED]
        rows = ended[ended["epoch"] == ended.groupby("trial")["epoch"].transform("max")]
    means = rows.groupby(group, sort=True, dropna=False).agg(
        epoch=("epoch", "mean"), value=("value", "mean"), spread=("value", "std"), seeds=("seed", "nunique")
    )
    return means.reset_index().assign(mark=mark)


def _words(column: str) -> str:
    return "a " + column.replace("val_", "validation_").replace("train_", "training_").replace("_", " ")


def _remedy(columns: Mapping[str, tuple[str, ...]], frames: Frames) -> str:
    """What gives the columns a value: it may be switched off, be of a split that is not there, or still to come."""
    if frames.elsewhere:
        return f"if it was measured, import the curves again with --map COLUMN={next(iter(columns))}"
    samples = frames.trials.get("evaluation.train_samples")
    if any(column.startswith("train_") for column in columns) and (samples is None or not (samples > 0).any()):
        return "set evaluation.train_samples above 0"
    test = any(column.startswith("test_") for column in columns)
    folder = "; a folder of images can have a test split with data.val=test" if test else ""
    return f"wait for the first evaluation{folder}"
