"""What training costs against the robustness that it buys."""

from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames, add_series, series_label
from analysis.notes import noted, trials_left_out
from analysis.points import is_wide
from analysis.ranking import scored
from analysis.style import legend_below, look, panels, styled
from tune_at.errors import UserError
from tune_at.store.status import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure


def prepare_training_cost(frames: Frames) -> pd.DataFrame:
    """Seconds that each completed trial trained, without evaluation, and its accuracies at its best epoch.

    Returns:
        Columns series, seconds (mean over seeds), seconds_spread, robust (mean on the selection split), robust_spread
        (standard deviation over seeds, ddof 1; NaN for one), seeds, devices (their names). Trials that are left out are
        noted.
    """
    completed = frames.trials[frames.trials["status"] == Status.COMPLETED]
    if completed.empty or "train_seconds" not in frames.epochs or frames.epochs["train_seconds"].isna().all():
        raise UserError("training_cost", "no completed trial has recorded its times", "let the sweep finish")
    named = add_series(completed.assign(selection=completed["train.selection"]), [], frames.drawn)
    trials = scored(named, frames.epochs)
    trials = trials.rename(columns={"score": "robust"}).dropna(subset=["robust"])
    if trials.empty:
        raise UserError("training_cost", "no completed trial has a best epoch", "let the sweep finish")
    trials["seconds"] = trials["trial"].map(frames.epochs.groupby("trial")["train_seconds"].sum())
    table = trials.groupby("series", sort=False).agg(
        seconds=("seconds", "mean"), seconds_spread=("seconds", "std"), robust=("robust", "mean"),
        robust_spread=("robust", "std"), seeds=("seed", "nunique"),
        devices=("device", lambda names: ", ".join(sorted({str(name) for name in names}))),
    )  # fmt: skip
    return noted(table.reset_index(), trials_left_out(frames, trials["trial"]))


@styled
def draw_training_cost(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A marker a series, with bars of one standard deviation over seeds."""
    figure, (axis,) = panels(1, width=5.4, height=4.2)
    units = ((5400, 3600, "hours"), (90, 60, "minutes"), (0, 1, "seconds"))
    unit, name = next((unit, name) for least, unit, name in units if frame["seconds"].max() >= least)
    for place, row in enumerate(frame.fillna({"seconds_spread": 0, "robust_spread": 0}).to_dict("records")):
        color, _, marker = look(place, len(frame))
        axis.errorbar(
            [row["seconds"] / unit], [100 * row["robust"]],
            xerr=[row["seconds_spread"] / unit], yerr=[100 * row["robust_spread"]],
            fmt=marker, color=color, markersize=7, elinewidth=0.8, label=series_label(row["series"]),
        )  # fmt: skip
    if is_wide(frame["seconds"]):
        axis.set_xscale("log")
    axis.set(xlabel=f"training time ({name}, without evaluation)", ylabel="robust accuracy, selection split (%)")
    if len(frame) <= 12:
        legend_below(figure, [axis], columns=3)
    devices = frame["devices"].unique()
    axis.set_title(devices[0] if len(devices) == 1 else f"{len(devices)} kinds of device", fontsize=9)
    return figure


FIGURE = Figure(prepare_training_cost, draw_training_cost)

if __name__ == "__main__":
    alone(FIGURE, "training_cost")
