"""Fig. 2a, 2b: does adversarial training memorise random labels?"""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.frames import Figure, Frames, add_series, panel_title
from analysis.style import DARK, LIGHT, legend_below, panels, styled
from tune_at.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

KINDS = ("natural", "robust")


def prepare_memorization_curves(frames: Frames) -> pd.DataFrame:
    """Training accuracy by epoch, averaged over seeds.

    Returns:
        Columns series (the objective, and what else varies), noise_rate, epoch, kind (natural, robust), accuracy
        (mean in [0, 1]), seeds.
    """
    measured = frames.epochs[frames.epochs["train_robust_accuracy"].notna()]
    if measured.empty:
        raise UserError(
            "memorization_curves", "no epoch has a training accuracy", "set evaluation.train_samples above 0"
        )
    long = add_series(measured, ["data.noise_rate"]).melt(
        id_vars=["series", "data.noise_rate", "seed", "epoch"],
        value_vars=[f"train_{kind}_accuracy" for kind in KINDS],
        var_name="kind",
        value_name="accuracy",
    )
    long["kind"] = long["kind"].str.split("_").str[1]
    named = long.rename(columns={"data.noise_rate": "noise_rate"})
    grouped = named.groupby(["series", "noise_rate", "epoch", "kind"], sort=True)
    return grouped.agg(accuracy=("accuracy", "mean"), seeds=("seed", "nunique")).reset_index()


@styled
def draw_memorization_curves(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a series; dark lines are true labels, light ones random; solid is natural, dashed robust."""
    series = list(dict.fromkeys(frame["series"]))
    rates = sorted(frame["noise_rate"].unique())
    figure, axes = panels(len(series))
    for axis, letter, name in zip(axes, ascii_lowercase, series, strict=False):
        part = frame[frame["series"] == name]
        for (rate, kind), line in part.groupby(["noise_rate", "kind"]):
            axis.plot(
                line["epoch"],
                100 * line["accuracy"],
                color=_color(rate, rates),
                linestyle="-" if kind == "natural" else (0, (4, 2)),
                label=f"{_labels(rate)}, {kind}",
            )
        axis.set(title=panel_title(letter, name, len(series)), xlabel="epoch", ylim=(-2, 102))
    axes[0].set_ylabel("training accuracy (%)")
    legend_below(figure, axes[0], columns=min(4, len(rates)))
    return figure


def _labels(rate: float) -> str:
    return {0.0: "true labels", 1.0: "random labels"}.get(rate, f"{rate:.0%} noise")


def _color(rate: float, rates: list[float]) -> str:
    if len(rates) <= 2:
        return LIGHT if rate == rates[-1] and len(rates) > 1 else DARK
    import matplotlib

    shade = matplotlib.colormaps["cividis"](0.9 * rates.index(rate) / (len(rates) - 1))
    return matplotlib.colors.to_hex(shade)


FIGURE = Figure(prepare_memorization_curves, draw_memorization_curves)
