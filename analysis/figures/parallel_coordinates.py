"""All swept keys at once: a line a point, coloured by its robust accuracy."""

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke

from analysis.figures.base import Figure, alone
from analysis.frames import Frames, objective_label
from analysis.notes import noted, notes_of
from analysis.points import is_number, is_wide, varied
from analysis.style import panels, styled
from tune_at.study.comparison import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

ROBUST = "robust accuracy"

NONE = -0.14
"""The height at which points pass an axis whose key they do not have."""

TICKS = 7
"""Words that an axis names; of more the first and the last are."""


def prepare_parallel_coordinates(frames: Frames) -> pd.DataFrame:
    """Each completed point on each axis: a swept key, or robust accuracy on the selection split at its best epoch.

    Returns:
        Columns trial, robust, axis, value (as written), height (in [0, 1] from the axis' lowest to its highest; NaN
        where the point does not have the key), log (whether the axis is logarithmic). Points and keys that are not
        there are noted.
    """
    frame, keys = varied(frames, "parallel_coordinates")
    parts = []
    for key in [*keys, ROBUST]:
        column = frame["robust"] if key == ROBUST else frame[key]
        log = is_number(column) and is_wide(column)
        if is_number(column):
            values = np.log(column) if log else column
        else:
            order = {value: place for place, value in enumerate(dict.fromkeys(column.dropna().map(plain)))}
            values = column.map(lambda value, order=order: order.get(plain(value), np.nan), na_action="ignore")
        values = pd.to_numeric(values)
        span = values.max() - values.min()
        height = (values - values.min()) / span if span else values * 0 + 0.5
        named = (100 * column).map("{:.1f}%".format) if key == ROBUST else column.map(plain)
        parts.append(
            pd.DataFrame(
                {"trial": frame["trial"], "robust": frame["robust"], "axis": key, "value": named, "height": height,
                 "log": log}
            )
        )  # fmt: skip
    return noted(pd.concat(parts, ignore_index=True), *notes_of(frame))


@styled
def draw_parallel_coordinates(frame: pd.DataFrame) -> "MatplotlibFigure":
    """Dark lines are the least robust points, light ones the most; below an axis pass those that lack its key."""
    names = list(dict.fromkeys(frame["axis"]))
    figure, (axis,) = panels(1, width=max(5.0, 1.7 * len(names)), height=4.2)
    norm = matplotlib.colors.Normalize(100 * frame["robust"].min(), 100 * frame["robust"].max())
    colors = matplotlib.colormaps["cividis"]
    for _, line in frame.sort_values("robust", kind="stable").groupby("trial", sort=False):
        heights = line.set_index("axis")["height"].reindex(names).fillna(NONE)
        color = colors(norm(100 * line["robust"].iloc[0]))
        axis.plot(range(len(names)), heights, color=color, linewidth=1.4, alpha=0.85, marker=".", markersize=4)
    for place, name in enumerate(names):
        axis.plot([place, place], [0, 1], color="0.3", linewidth=0.9, zorder=0)
        part = frame[(frame["axis"] == name) & frame["height"].notna()]
        if len(part) < frame["trial"].nunique():
            _say(axis, "none", place, NONE)
        ticks = part.drop_duplicates("height").sort_values("height")
        if len(ticks) > TICKS:
            ticks = ticks.iloc[[0, -1]]
        for _, tick in ticks.iterrows():
            told = objective_label(tick["value"]) if name == "objective" else tick["value"]
            _say(axis, told, place, tick["height"])
    log = set(frame.loc[frame["log"], "axis"])
    axis.set_xticks(range(len(names)), [f"{name}\n(log)" if name in log else name for name in names])
    axis.set(yticks=[], xlim=(-0.2, len(names) - 0.5))
    axis.grid(visible=False)
    for side in axis.spines.values():
        side.set_visible(False)
    mappable = matplotlib.cm.ScalarMappable(norm, colors)
    figure.colorbar(mappable, ax=axis, label="robust accuracy, selection split (%)", fraction=0.04, pad=0.02)
    return figure


def _say(axis: "Axes", text: str, place: int, height: float) -> None:
    """A value beside its axis, with a white edge: lines pass behind it."""
    said = axis.annotate(text, (place, height), xytext=(4, 0), textcoords="offset points", fontsize=8, va="center")
    said.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


FIGURE = Figure(prepare_parallel_coordinates, draw_parallel_coordinates)

if __name__ == "__main__":
    alone(FIGURE, "parallel_coordinates")
