"""The trade-off between natural and robust accuracy over a sweep's points."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames, add_series, series_label
from analysis.points import completed_points, swept_keys
from analysis.ranking import fronts
from analysis.style import DARK, LIGHT, legend_below, panels, shade, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

MARKERS = "os^Dv<>Pp*Xhd"

LABELLED = 6
"""Fronts, and series, that have a line each in the legend; of more groups the colours alone tell the fronts apart, and
of more series an objective has one marker."""


INSIDE = 24
"""Letters of a name from which on the legend stands below: inside it would cover points."""


def prepare_pareto_front(frames: Frames) -> pd.DataFrame:
    """Each point whose trials have all completed, at their best epochs, on the selection split: means over seeds.

    Returns:
        Columns of `analysis.points.completed_points`, and front: whether no other point of the group is at least as
        good in both accuracies and better in one; series (the objective, and what else tells the points of a group
        apart). Points that are left out are noted.
    """
    frame, points = completed_points(frames, "pareto_front")
    frame["front"] = fronts(points, frame[["natural", "robust"]].to_numpy().tolist())
    apart = [key for key in swept_keys(frames) if any(f"{key}=" in label for label in frame["group"])]
    series = add_series(frames.trials, apart, frames.drawn).set_index("trial")["series"]
    frame["series"] = [series[point.trials[0]["trial"]] for point in points]
    return frame.sort_values(["natural", "robust", "trial"], ignore_index=True)


def far_below(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials are more than three interquartile ranges, or 15 points, below the lower quartile in an accuracy."""
    accuracy = frame[["natural", "robust"]]
    low, high = accuracy.quantile(0.25), accuracy.quantile(0.75)
    return (accuracy < low - 3 * (high - low).clip(lower=0.05)).any(axis=1) & ~frame["front"]


@styled
def draw_pareto_front(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A marker a series; each front is joined. Of several groups each has a colour, from dark to light.

    Filled points are on the front, hollow ones are not; of one group alone, dark ones are and light ones are not.

    Trials that failed to learn would squeeze all others into a corner: the title counts those that are left out.
    """
    figure, (axis,) = panels(1, width=5.4, height=4.4)
    far = far_below(frame)
    if far.any():
        axis.set_title(f"{far.sum()} of {len(frame)} trials left out, far below")
    frame = frame[~far]
    _draw_fronts(axis, frame)
    axis.set(xlabel="natural accuracy on the selection split (%)", ylabel="robust accuracy on the selection split (%)")
    if any(len(text) > INSIDE for text in axis.get_legend_handles_labels()[1]):
        legend_below(figure, [axis])
    else:
        axis.legend(loc="best")
    return figure


def _draw_fronts(axis: "Axes", frame: pd.DataFrame) -> None:
    several = "group" in frame and frame["group"].nunique() > 1
    groups = sorted(set(frame["group"])) if several else [""]
    names = _names(frame)
    for place, group in enumerate(groups):
        part = frame[frame["group"] == group] if several else frame
        color = shade(place, len(groups)) if several else DARK
        front = part[part["front"]].sort_values("natural")
        label = "front" if not several else f"front, {group}" if len(groups) <= LABELLED else None
        axis.step(100 * front["natural"], 100 * front["robust"], where="pre", color=color, linewidth=1.2, label=label)
        for (name, on_front), own in part.groupby([names, "front"]):
            filled = bool(on_front) or not several
            axis.errorbar(
                100 * own["natural"], 100 * own["robust"],
                xerr=_bars(own, "natural_spread"), yerr=_bars(own, "robust_spread"), elinewidth=0.8,
                label=None if several else series_label(str(name)) + (", on the front" if on_front else ""),
                color=color if several or on_front else LIGHT, **_shape(names, name, filled),
            )  # fmt: skip
    if several:
        _name_shapes(axis, frame, names)


def _names(frame: pd.DataFrame) -> "pd.Series[str]":
    """What a marker stands for: the series, or of many the objective alone."""
    return frame["series"] if "series" in frame and frame["series"].nunique() <= LABELLED else frame["objective"]


def _shape(names: "pd.Series[str]", name: object, filled: bool) -> dict[str, Any]:
    marker = MARKERS[sorted(set(names)).index(str(name)) % len(MARKERS)]
    return {"fmt": marker, "markersize": 6} | ({} if filled else {"markerfacecolor": "white"})


def _name_shapes(axis: "Axes", frame: pd.DataFrame, names: "pd.Series[str]") -> None:
    """Legend entries of shapes that stand in each group, in a grey that is no group's."""
    for name in sorted(set(names)):
        axis.errorbar([], [], color="0.45", label=series_label(name), **_shape(names, name, filled=True))
    if not frame["front"].all():
        axis.plot([], [], "o", color="0.45", markersize=6, markerfacecolor="white", label="hollow: not on a front")


def _bars(frame: pd.DataFrame, column: str) -> "pd.Series[float] | None":
    """One standard deviation over seeds, in per cent; None where there is one seed."""
    known = column in frame and frame[column].notna().any()
    return 100 * frame[column].fillna(0) if known else None


FIGURE = Figure(prepare_pareto_front, draw_pareto_front)

if __name__ == "__main__":
    alone(FIGURE, "pareto_front")
