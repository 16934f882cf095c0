"""Fig. A.6 (PGD-AT) and A.7 (TRADES): accuracies by epoch at several noise rates."""

from typing import TYPE_CHECKING

import pandas as pd

from analysis.curves import lines_of, mean_curves
from analysis.figures.base import Figure, alone
from analysis.figures.memorization_curves import rate_color, rate_label
from analysis.frames import Frames, series_label
from analysis.style import LOOKS, MOST_PANELS, band, first_of, legend_below, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

PARTS = {
    ("train", "natural"): "natural training",
    ("train", "robust"): "robust training",
    ("test", "natural"): "natural test",
    ("test", "robust"): "robust test",
}


def prepare_noise_curves(frames: Frames) -> pd.DataFrame:
    """Training and test accuracy by epoch at each noise rate, averaged over seeds.

    Returns:
        Columns series, noise_rate, split (train, test), kind (natural, robust), epoch, value, spread, seeds, mark.
    """
    columns = {f"{split}_{kind}_accuracy": (split, kind) for split, kind in PARTS}
    frame = mean_curves(frames, columns, ["split", "kind"], ["data.noise_rate"])
    return frame.rename(columns={"data.noise_rate": "noise_rate"})


@styled
def draw_noise_curves(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A row a series, a panel a split and kind; a line a noise rate, from dark (none) to light."""
    rates = sorted(frame["noise_rate"].unique())
    parts = [part for part in PARTS if ((frame["split"] == part[0]) & (frame["kind"] == part[1])).any()]
    series, note = first_of(frame["series"], MOST_PANELS // len(parts))
    figure, axes = panels(len(series) * len(parts), width=3.1, height=2.9, columns=len(parts))
    for place, axis in enumerate(axes):
        name, (split, kind) = series[place // len(parts)], parts[place % len(parts)]
        here = frame[(frame["series"] == name) & (frame["split"] == split) & (frame["kind"] == kind)]
        for number, rate in enumerate(rates):
            line = lines_of(here[here["noise_rate"] == rate])
            style = LOOKS[number % len(LOOKS)][1]
            band(axis, line, color=rate_color(rate, rates), linestyle=style, label=rate_label(rate))
        axis.set(title=f"{series_label(name)}: {PARTS[split, kind]}" if len(series) > 1 else PARTS[split, kind])
        axis.set(xlabel="epoch", ylim=(-2, 102))
        if place % len(parts) == 0:
            axis.set_ylabel("accuracy (%)")
    legend_below(figure, axes, columns=min(6, len(rates)), note=note)
    return figure


FIGURE = Figure(prepare_noise_curves, draw_noise_curves)

if __name__ == "__main__":
    alone(FIGURE, "noise_curves")
