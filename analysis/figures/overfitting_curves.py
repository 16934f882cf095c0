"""Fig. 6a: training and test accuracies by epoch, natural and robust: robust overfitting."""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.curves import lines_of, mean_curves
from analysis.figures.base import Figure, alone
from analysis.figures.test_curves import MARKS, draw_marks
from analysis.frames import Frames, panel_title
from analysis.style import DARK, LIGHT, band, first_of, legend_below, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

SPLITS, KINDS = {"train": "training", "test": "test"}, ("natural", "robust")


def prepare_overfitting_curves(frames: Frames) -> pd.DataFrame:
    """Training and test accuracy by epoch, averaged over seeds, and at the best and the final epoch.

    Returns:
        Columns series, split (train, test), kind (natural, robust), epoch, value (mean accuracy in [0, 1]), spread,
        seeds, mark; as of `prepare_test_curves`.
    """
    columns = {f"{split}_{kind}_accuracy": (split, kind) for split in SPLITS for kind in KINDS}
    return mean_curves(frames, columns, ["split", "kind"])


@styled
def draw_overfitting_curves(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a series; dark is training, light test; solid natural, dashed robust; test has its marks."""
    series, note = first_of(frame["series"])
    figure, axes = panels(len(series))
    for axis, letter, name in zip(axes, ascii_lowercase, series, strict=False):
        for split, color in zip(SPLITS, (DARK, LIGHT), strict=True):
            for kind, style in zip(KINDS, ("-", (0, (4, 2))), strict=True):
                part = frame[(frame["series"] == name) & (frame["split"] == split) & (frame["kind"] == kind)]
                if part.empty:
                    continue
                band(axis, lines_of(part), color=color, linestyle=style, label=f"{SPLITS[split]}, {kind}")
                if split == "test":
                    draw_marks(axis, part, color, "o" if kind == "natural" else "s")
        axis.set(title=panel_title(letter, name, len(series)), xlabel="epoch", ylim=(-2, 102))
    axes[0].set_ylabel("accuracy (%)")
    legend_below(figure, axes, columns=4, title=MARKS, note=note)
    return figure


FIGURE = Figure(prepare_overfitting_curves, draw_overfitting_curves)

if __name__ == "__main__":
    alone(FIGURE, "overfitting_curves")
