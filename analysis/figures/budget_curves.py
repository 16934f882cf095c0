"""Fig. 6b (PGD-AT) and C.1 (TRADES): robust test accuracy by epoch in balls of several sizes."""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.curves import lines_of, mean_curves
from analysis.figures.base import Figure, alone
from analysis.figures.test_curves import MARKS, draw_marks
from analysis.frames import Frames, panel_title
from analysis.style import LOOKS, band, first_of, legend_below, panels, shade, styled
from tune_at.study.comparison import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure


def prepare_budget_curves(frames: Frames) -> pd.DataFrame:
    """Robust test accuracy by epoch for each eps, under attacks of that eps, averaged over seeds.

    Returns:
        Columns series, eps (in pixels on [0, 1], or a distance in l2), kind (robust), epoch, value, spread, seeds,
        mark; as of `prepare_test_curves`.
    """
    # A step that follows from eps tells no series apart.
    frame = mean_curves(frames, {"test_robust_accuracy": ("robust",)}, ["kind"], ["attack.eps"])
    return frame.rename(columns={"attack.eps": "eps"})


@styled
def draw_budget_curves(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a series; a line an eps, dark for the smallest, with best and final epoch marked."""
    (series, note), sizes = first_of(frame["series"]), sorted(frame["eps"].unique())
    figure, axes = panels(len(series))
    for axis, letter, name in zip(axes, ascii_lowercase, series, strict=False):
        for place, eps in enumerate(sizes):
            part = frame[(frame["series"] == name) & (frame["eps"] == eps)]
            _, style, marker = LOOKS[place % len(LOOKS)]
            color = shade(place, len(sizes))
            band(axis, lines_of(part), color=color, linestyle=style, label=f"ε = {plain(eps)}")
            draw_marks(axis, part, color, marker)
        axis.set(title=panel_title(letter, name, len(series)), xlabel="epoch")
    axes[0].set_ylabel("robust test accuracy (%)")
    legend_below(figure, axes, columns=4, title=MARKS, note=note)
    return figure


FIGURE = Figure(prepare_budget_curves, draw_budget_curves)

if __name__ == "__main__":
    alone(FIGURE, "budget_curves")
