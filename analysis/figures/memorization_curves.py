"""Fig. 2a, 2b, A.1 to A.5, A.8: does adversarial training memorise random labels?"""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.curves import lines_of, mean_curves
from analysis.figures.base import Figure, alone
from analysis.frames import Frames, panel_title
from analysis.style import DARK, LIGHT, band, first_of, legend_below, panels, shade, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

KINDS = ("natural", "robust")


def prepare_memorization_curves(frames: Frames) -> pd.DataFrame:
    """Training accuracy by epoch, averaged over seeds.

    Returns:
        Columns series (the objective, and what else varies), noise_rate, epoch, kind (natural, robust), value (mean
        accuracy in [0, 1]), spread (standard deviation over seeds; NaN for one), seeds.
    """
    columns = {f"train_{kind}_accuracy": (kind,) for kind in KINDS}
    curves = lines_of(mean_curves(frames, columns, ["kind"], ["data.noise_rate"]))
    named = curves.rename(columns={"data.noise_rate": "noise_rate"}).drop(columns="mark")
    return named.sort_values(["series", "noise_rate", "epoch", "kind"], ignore_index=True)


@styled
def draw_memorization_curves(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a series; dark lines are true labels, light ones random; solid is natural, dashed robust."""
    series, note = first_of(frame["series"])
    rates = sorted(frame["noise_rate"].unique())
    figure, axes = panels(len(series))
    for axis, letter, name in zip(axes, ascii_lowercase, series, strict=False):
        part = frame[frame["series"] == name]
        for (rate, kind), line in part.groupby(["noise_rate", "kind"]):
            style = "-" if kind == "natural" else (0, (4, 2))
            band(axis, line, color=rate_color(rate, rates), linestyle=style, label=f"{rate_label(rate)}, {kind}")
        axis.set(title=panel_title(letter, name, len(series)), xlabel="epoch", ylim=(-2, 102))
    axes[0].set_ylabel("training accuracy (%)")
    legend_below(figure, axes, columns=min(4, len(rates)), note=note)
    return figure


def rate_label(rate: float) -> str:
    """`true labels`, `20% noise`, `random labels`."""
    return {0.0: "true labels", 1.0: "random labels"}.get(rate, f"{rate:.0%} noise")


def rate_color(rate: float, rates: list[float]) -> str:
    """Dark for the fewest wrong labels, light for the most."""
    if len(rates) <= 2:
        return LIGHT if rate == rates[-1] and (len(rates) > 1 or rate > 0) else DARK
    return shade(rates.index(rate), len(rates))


FIGURE = Figure(prepare_memorization_curves, draw_memorization_curves)

if __name__ == "__main__":
    alone(FIGURE, "memorization_curves")
