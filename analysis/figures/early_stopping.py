"""What a scheduler did: each trial's curve of the metric that was judged, its stops and its exploits."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames
from analysis.style import DARK, LIGHT, legend_below, panels, styled
from tune_at.config.scheduler import find_metric, is_loss
from tune_at.config.section import SELECTION_SPLITS
from tune_at.errors import UserError
from tune_at.store.status import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

LABELS = {
    Status.COMPLETED: "ran to its end",
    Status.STOPPED: "stopped early",
    Status.DIVERGED: "diverged",
    Status.FAILED: "failed",
}
"""Legend entries by status; every other status is that of a trial under way."""

PROMOTED, LEFT = "complete run, promoted", "complete run, not promoted"
"""Legend entries of trials that ran to their end, where complete runs are the rungs."""

MOST_RUNGS = 12
"""Epochs with decisions that are drawn as lines; the median rule has one at every evaluation."""


def prepare_early_stopping(frames: Frames) -> pd.DataFrame:
    """The scheduler's metric on the selection split by evaluated epoch, smoothed as the scheduler has it.

    Returns:
        Columns trial, epoch, split, metric, smooth (evaluations averaged), value, status; and of the decision after
        that epoch, if there was one, action and, for an exploit, source and changes (JSON).
    """
    smooth = frames.scheduler.smooth
    selections = frames.trials.set_index("trial")["train.selection"]
    metric = find_metric(frames.scheduler.metric, selections.iloc[0], "scheduler.metric")
    epochs = frames.epochs.sort_values(["trial", "epoch"], kind="stable")
    splits = epochs["trial"].map(selections.map(SELECTION_SPLITS))
    value = pd.Series(np.nan, epochs.index)
    for split in splits.unique():
        if (column := f"{split}_{metric}") in epochs:
            value = value.where(splits != split, pd.to_numeric(epochs[column]))
    known = np.isfinite(value)
    measured = epochs.loc[known, ["trial", "epoch"]]
    measured = measured.assign(split=splits[known], metric=metric, smooth=smooth, value=value[known])
    measured["value"] = _smoothed(measured, smooth)
    measured = measured.assign(status=epochs.loc[known, "status"]).reset_index(drop=True)
    if measured.empty:
        raise UserError("early_stopping", "no epoch has been evaluated yet", "wait, or resume the sweep")
    decided = ["action", "source", "changes"]
    if frames.decisions.empty:
        return measured.assign(**dict.fromkeys(decided))
    return measured.merge(frames.decisions[["trial", "epoch", *decided]], on=["trial", "epoch"], how="left")


def _smoothed(measured: pd.DataFrame, smooth: int) -> "pd.Series[float]":
    """The mean of each trial's last `smooth` values, of fewer at its beginning."""
    values = measured.groupby("trial", sort=False)["value"]
    total, number = measured["value"].copy(), pd.Series(1, measured.index)
    for back in range(1, smooth):
        earlier = values.shift(back)
        total, number = total + earlier.fillna(0.0), number + earlier.notna()
    return total / number


@styled
def draw_early_stopping(frame: pd.DataFrame) -> "MatplotlibFigure":
    """Dark lines ran to their end, light ones were stopped where the dot is; crosses are diverged and failed trials.

    A triangle is where a trial went on from another's weights, with new values. Where complete runs are the rungs a
    light line's point got no longer run, and a thin dark one's, with a triangle at its end, did.
    """
    figure, (axis,) = panels(1, width=6.4, height=4.3)
    metric = frame["metric"].iloc[0]
    frame = frame.sort_values("epoch").assign(shown=frame["value"] * (1 if is_loss(metric) else 100))
    _draw_rungs(axis, frame)
    named = set()
    for _, line in frame.groupby("trial"):
        status = line["status"].iloc[0]
        action = line["action"].iloc[-1]
        left = status == Status.COMPLETED and action == "stop"
        promoted = status == Status.COMPLETED and action == "promote"
        label = LEFT if left else PROMOTED if promoted else LABELS.get(status, "not ended yet")
        ended_early = left or (Status(status).ended and status != Status.COMPLETED)
        marker = "^" if promoted else "" if not ended_early else "o" if left or status == Status.STOPPED else "x"
        axis.plot(
            line["epoch"], line["shown"], color=LIGHT if ended_early else DARK,
            linewidth=1.0 if ended_early or promoted else 1.8, zorder=2 if ended_early else 3,
            linestyle="-" if status in LABELS else "--", marker=marker, markevery=[-1], markersize=4,
            label=None if label in named else label,
        )  # fmt: skip
        named.add(label)
    exploits = frame[frame["action"] == "exploit"]
    if len(exploits):
        axis.plot(
            exploits["epoch"], exploits["shown"], "^", color=LIGHT, markeredgecolor=DARK, markersize=7, zorder=4,
            label="exploit: goes on from another's weights",
        )  # fmt: skip
    counts = [f"{frame['trial'].nunique()} trials"]
    stops = (frame.groupby("trial")["status"].first() == Status.STOPPED).sum()
    promotions = (frame["action"] == "promote").sum()
    if promotions:
        counts.append(f"{promotions} promoted")
    elif stops or not len(exploits):
        counts.append(f"{stops} stopped early")
    if len(exploits):
        counts.append(f"{len(exploits)} exploit{'s' * (len(exploits) > 1)}")
    counts.append(f"{len(frame)} evaluated epochs")
    axis.set(title=", ".join(counts), ylabel=_value_label(frame))
    legend_below(figure, [axis], columns=3)
    return figure


def _draw_rungs(axis: "Axes", frame: pd.DataFrame) -> None:
    """Dotted lines where trials were judged, in place of the grid's vertical ones."""
    axis.set_axisbelow(True)
    judged = frame[frame["action"].notna()]["epoch"].unique()
    if not 0 < len(judged) <= MOST_RUNGS:
        axis.set_xlabel("epoch")
        return
    axis.grid(visible=False, axis="x")
    for epoch in sorted(judged):
        axis.axvline(epoch, color="0.45", linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
    axis.set_xlabel("epoch (dotted: trials are judged)")


def _value_label(frame: pd.DataFrame) -> str:
    """The value in words: what was measured, on which split, and over how many evaluations it is averaged."""
    metric, smooth = frame["metric"].iloc[0], frame["smooth"].iloc[0]
    names = {SELECTION_SPLITS[name]: name for name in SELECTION_SPLITS}
    splits = frame["split"].unique()
    split = names[splits[0]] if len(splits) == 1 else "selection"
    label = f"{metric.replace('_', ' ')}, {split} split" + ("" if is_loss(metric) else " (%)")
    return label + (f"\nmean of the last {smooth} evaluations" if smooth > 1 else "")


FIGURE = Figure(prepare_early_stopping, draw_early_stopping)

if __name__ == "__main__":
    alone(FIGURE, "early_stopping")
