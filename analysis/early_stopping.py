"""What early stopping did: each trial's curve to where it was stopped."""

from typing import TYPE_CHECKING

import pandas as pd

from analysis.frames import Figure, Frames
from analysis.style import DARK, LIGHT, panels, styled
from tune_at.config.section import SELECTION_SPLITS
from tune_at.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure


def prepare_early_stopping(frames: Frames) -> pd.DataFrame:
    """Robust accuracy on the selection split by evaluated epoch.

    Returns:
        Columns trial, epoch, accuracy (in [0, 1]), status, action: the decision after that epoch, if there was one.
    """
    columns = {
        trial: f"{SELECTION_SPLITS[s]}_robust_accuracy"
        for trial, s in frames.trials.set_index("trial")["train.selection"].items()
    }
    epochs = frames.epochs.copy()
    epochs["accuracy"] = [row.get(columns[row["trial"]]) for row in epochs.to_dict("records")]
    measured = epochs[epochs["accuracy"].notna()][["trial", "epoch", "accuracy", "status"]]
    if measured.empty:
        raise UserError("early_stopping", "no epoch has been evaluated yet", "wait, or `python run.py resume` it")
    if frames.decisions.empty:
        return measured.assign(action=None).reset_index(drop=True)
    return measured.merge(frames.decisions[["trial", "epoch", "action"]], on=["trial", "epoch"], how="left")


@styled
def draw_early_stopping(frame: pd.DataFrame) -> "MatplotlibFigure":
    """Dark lines ran to their end, light ones were stopped where the dot is; crosses are diverged trials."""
    figure, (axis,) = panels(1, width=6.4)
    named = set()
    for _, line in frame.sort_values("epoch").groupby("trial"):
        status = line["status"].iloc[0]
        stopped = status == "stopped"
        label = {"stopped": "stopped early", "diverged": "diverged"}.get(status, "ran to its end")
        axis.plot(
            line["epoch"], 100 * line["accuracy"], color=LIGHT if stopped else DARK,
            linewidth=1.0 if stopped else 1.8, zorder=1 if stopped else 2, label=None if label in named else label,
        )  # fmt: skip
        if status in ("stopped", "diverged"):
            axis.plot(
                line["epoch"].iloc[-1:],
                100 * line["accuracy"].iloc[-1:],
                "o" if stopped else "x",
                color=LIGHT,
                markersize=4,
            )
        named.add(label)
    judged = frame[frame["action"].notna()]["epoch"]
    if 0 < judged.nunique() <= 12:
        for rung in sorted(judged.unique()):
            axis.axvline(rung, color="0.6", linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
    stops = (frame.groupby("trial")["status"].first() == "stopped").sum()
    title = f"{frame['trial'].nunique()} trials, {stops} stopped early, {len(frame)} evaluated epochs"
    axis.set(title=title, xlabel="epoch (dotted: rungs)", ylabel="robust accuracy, selection split (%)")
    axis.legend(loc="lower right")
    return figure


FIGURE = Figure(prepare_early_stopping, draw_early_stopping)
