"""The trade-off between natural and robust accuracy over a sweep's points."""

from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames, objective_label
from analysis.points import completed_points
from analysis.ranking import fronts
from analysis.style import DARK, LIGHT, panels, shade, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

MARKERS = "os^Dv<>Pp*Xhd"

LABELLED = 6
"""Fronts that have a line each in the legend; of more groups, the colours alone tell the fronts apart."""


def prepare_pareto_front(frames: Frames) -> pd.DataFrame:
    """Each point whose trials have all completed, at their best epochs, on the selection split: means over seeds.

    Returns:
        Columns of `analysis.points.completed_points`, and front: whether no other point of the group is at least as
        good in both accuracies and better in one.
    """
    frame, points = completed_points(frames, "pareto_front")
    frame["front"] = fronts(points, frame[["natural", "robust"]].to_numpy().tolist())
    return frame.sort_values(["natural", "robust", "trial"], ignore_index=True)


def far_below(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials are more than three interquartile ranges, or 15 points, below the lower quartile in an accuracy."""
    accuracy = frame[["natural", "robust"]]
    low, high = accuracy.quantile(0.25), accuracy.quantile(0.75)
    return (accuracy < low - 3 * (high - low).clip(lower=0.05)).any(axis=1) & ~frame["front"]


@styled
def draw_pareto_front(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A marker an objective; each front is joined, in a colour of its own, from dark to light by group.

    Trials that failed to learn would squeeze all others into a corner: the title counts those that are left out.
    """
    figure, (axis,) = panels(1, width=5.4, height=4.4)
    far = far_below(frame)
    if far.any():
        axis.set_title(f"{far.sum()} of {len(frame)} trials left out, far below")
    frame = frame[~far]
    _draw_fronts(axis, frame)
    axis.set(xlabel="natural accuracy on the selection split (%)", ylabel="robust accuracy on the selection split (%)")
    axis.legend(loc="best")
    return figure


def _draw_fronts(axis: "Axes", frame: pd.DataFrame) -> None:
    groups = list(dict.fromkeys(frame["group"])) if "group" in frame else [""]
    shades = [shade(place, len(groups)) for place in range(len(groups))] if len(groups) > 1 else [DARK]
    for group, color in zip(groups, shades, strict=True):
        part = frame[frame["group"] == group] if "group" in frame else frame
        front = part[part["front"]].sort_values("natural")
        label = f"front, {group}" if 1 < len(groups) <= LABELLED else "front" if group == groups[0] else None
        axis.step(100 * front["natural"], 100 * front["robust"], where="pre", color=color, linewidth=1.2, label=label)
    colours = dict(zip(groups, shades, strict=True))
    named = set()
    for marker, (name, part) in zip(MARKERS, frame.groupby("objective"), strict=False):
        for on_front, points in part.groupby("front"):
            label = objective_label(str(name)) + (", on the front" if on_front else "")
            for group, own in points.groupby("group") if "group" in points else [("", points)]:
                axis.errorbar(
                    100 * own["natural"], 100 * own["robust"],
                    xerr=_bars(own, "natural_spread"), yerr=_bars(own, "robust_spread"),
                    fmt=marker, color=colours[group] if on_front else LIGHT, markersize=6, elinewidth=0.8,
                    label=None if label in named else label,
                )  # fmt: skip
                named.add(label)


def _bars(frame: pd.DataFrame, column: str) -> "pd.Series[float] | None":
    """One standard deviation over seeds, in per cent; None where there is one seed."""
    known = column in frame and frame[column].notna().any()
    return 100 * frame[column].fillna(0) if known else None


FIGURE = Figure(prepare_pareto_front, draw_pareto_front)

if __name__ == "__main__":
    alone(FIGURE, "pareto_front")
