"""Fig. 7: natural and robust test accuracy by epoch, each method's best and final epoch marked."""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.curves import BEST, FINAL, lines_of, mean_curves
from analysis.figures.base import Figure, alone
from analysis.frames import Frames, series_label
from analysis.style import band, legend_below, look, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

KINDS = ("natural", "robust")


def prepare_test_curves(frames: Frames) -> pd.DataFrame:
    """Test accuracy by epoch, averaged over seeds, and at the best and the final epoch.

    Returns:
        Columns series, kind (natural, robust), epoch, value (mean accuracy in [0, 1]), spread (standard deviation over
        seeds; NaN for one), seeds, mark (empty on curves; `best`: means at each trial's best epoch, `final`: at the
        last of those that are completed).
    """
    return mean_curves(frames, {f"test_{kind}_accuracy": (kind,) for kind in KINDS}, ["kind"])


@styled
def draw_test_curves(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel for natural, one for robust accuracy; a line a series, its band one standard deviation over seeds."""
    series = list(dict.fromkeys(frame["series"]))
    figure, axes = panels(2, shared=False)
    for axis, letter, kind in zip(axes, ascii_lowercase, KINDS, strict=False):
        for place, name in enumerate(series):
            part = frame[(frame["series"] == name) & (frame["kind"] == kind)]
            color, style, marker = look(place, len(series))
            band(axis, lines_of(part), color=color, linestyle=style, label=series_label(name))
            draw_marks(axis, part, color, marker)
        axis.set(title=f"({letter}) {kind} accuracy", xlabel="epoch")
    axes[0].set_ylabel("test accuracy (%)")
    legend_below(figure, axes, columns=min(4, len(series)), title=MARKS)
    return figure


MARKS = "filled: best epoch; open: final epoch; bands: one standard deviation over seeds"


def draw_marks(axis: "Axes", part: pd.DataFrame, color: str, marker: str) -> None:
    """A filled marker at the best epoch, an open one at the final one."""
    for mark, face in ((BEST, color), (FINAL, "white")):
        at = part[part["mark"] == mark]
        axis.plot(
            at["epoch"], 100 * at["value"], linestyle="none", marker=marker, markersize=6, color=color,
            markerfacecolor=face, zorder=4,
        )  # fmt: skip


FIGURE = Figure(prepare_test_curves, draw_test_curves)

if __name__ == "__main__":
    alone(FIGURE, "test_curves")
