"""The trade-off between natural and robust accuracy over a sweep's trials."""

from typing import TYPE_CHECKING

import pandas as pd

from analysis.exploits import values_at
from analysis.frames import Figure, Frames, objective_label
from analysis.ranking import undominated
from analysis.style import DARK, LIGHT, panels, styled
from tune_at.config.section import SELECTION_SPLITS
from tune_at.errors import UserError
from tune_at.store.status import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

MARKERS = "os^Dv<>Pp*Xhd"


def prepare_pareto_front(frames: Frames) -> pd.DataFrame:
    """Each completed trial at its best epoch, on the selection split.

    Returns:
        Columns trial, objective, natural, robust (in [0, 1]), front: whether no other trial is at least as good in
        both and better in one; and each swept or mutated value by its dotted path, as it was at that epoch.
    """
    paths = dict.fromkeys([*frames.swept, *getattr(frames.scheduler, "mutations", ())])
    paths.pop("objective", None)
    rows = []
    epochs = frames.epochs.set_index(["trial", "epoch"])
    for trial in frames.trials.to_dict("records"):
        if trial["status"] != Status.COMPLETED or trial["best_epoch"] != trial["best_epoch"]:
            continue
        best = epochs.loc[(trial["trial"], int(trial["best_epoch"]))]
        split = SELECTION_SPLITS[trial["train.selection"]]
        natural, robust = (best[f"{split}_{kind}_accuracy"] for kind in ("natural", "robust"))
        row = {"trial": trial["trial"], "objective": trial["objective.name"], "natural": natural, "robust": robust}
        values = {path: trial[path] for path in paths}
        if not frames.decisions.empty:
            values |= values_at(frames.decisions, trial["trial"], int(trial["best_epoch"]))
        rows.append({**row, "front": False, **values})
    if not rows:
        raise UserError("pareto_front", "no completed trial has been evaluated", "wait, or `python run.py resume` it")
    frame = pd.DataFrame(rows)
    frame["front"] = undominated(list(zip(frame["natural"], frame["robust"], strict=True)))
    return frame.sort_values(["natural", "robust", "trial"], ignore_index=True)


def far_below(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials are more than three interquartile ranges, or 15 points, below the lower quartile in an accuracy."""
    accuracy = frame[["natural", "robust"]]
    low, high = accuracy.quantile(0.25), accuracy.quantile(0.75)
    return (accuracy < low - 3 * (high - low).clip(lower=0.05)).any(axis=1) & ~frame["front"]


@styled
def draw_pareto_front(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A point a trial, a marker an objective; the front is dark and joined.

    Trials that failed to learn would squeeze all others into a corner: the title counts those that are left out.
    """
    figure, (axis,) = panels(1, width=5.4, height=4.4)
    far = far_below(frame)
    if far.any():
        axis.set_title(f"{far.sum()} of {len(frame)} trials left out, far below")
    frame = frame[~far]
    front = frame[frame["front"]]
    axis.step(100 * front["natural"], 100 * front["robust"], where="pre", color=DARK, linewidth=1.2, label="front")
    for marker, (name, part) in zip(MARKERS, frame.groupby("objective"), strict=False):
        for on_front, points in part.groupby("front"):
            label = objective_label(str(name)) + (", on the front" if on_front else "")
            color = DARK if on_front else LIGHT
            axis.plot(100 * points["natural"], 100 * points["robust"], marker, color=color, markersize=6, label=label)
    axis.set(xlabel="natural accuracy on the selection split (%)", ylabel="robust accuracy on the selection split (%)")
    axis.legend(loc="best")
    return figure


FIGURE = Figure(prepare_pareto_front, draw_pareto_front)
