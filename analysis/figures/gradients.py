"""Fig. 3 and 4: how large the gradients of PGD-AT and TRADES are on random labels, and how they change."""

import sys
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames, series_label
from analysis.measured import over_seeds, probe_rows
from analysis.style import band, legend_below, look, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

LOSSES = {"adversarial_ce": "adversarial CE", "ce": "CE", "kl": "KL"}

WINDOW = 25
"""Iterations whose mean is drawn over the single ones."""


def prepare_gradient_norms(frames: Frames) -> pd.DataFrame:
    """Fig. 3a: mean over samples of the norm of each sample's gradient, by epoch; means over seeds.

    Returns:
        Columns series, quantity (adversarial_ce, ce, kl), epoch, value, spread, seeds.
    """
    return over_seeds(probe_rows(frames, "gradient_norms"), ["series", "quantity", "epoch"])


@styled
def draw_gradient_norms(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A line a loss of each series, on a logarithmic axis where norms differ by over a factor of 30."""
    return _lines(frame, [f"{series_label(s)}, {LOSSES.get(q, q)}" for s, q in _pairs(frame)], "gradient norm")


def prepare_gradient_cosine(frames: Frames) -> pd.DataFrame:
    """Fig. 4b: cosine between the gradients of the same images after an epoch and after the one measured before.

    Returns:
        Columns series, quantity (cosine), epoch, value, spread, seeds.
    """
    return over_seeds(probe_rows(frames, "gradient_cosine"), ["series", "quantity", "epoch"])


@styled
def draw_gradient_cosine(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A line a series."""
    names = [series_label(series) for series, _ in _pairs(frame)]
    return _lines(frame, names, "cosine between epochs' gradients", log=False)


def prepare_gradient_ratio(frames: Frames) -> pd.DataFrame:
    """Fig. 3b: what the attack (PGD-AT) or KL (TRADES) adds to a batch's clean gradient; means over seeds.

    Returns:
        Columns series, iteration, value (the ratio of norms), spread, seeds, smooth (mean of the last 25 iterations).
    """
    rows = probe_rows(frames, "gradient_ratio").rename(columns={"x": "iteration"})
    frame = over_seeds(rows, ["series", "iteration"])
    smooth = frame.groupby("series")["value"].rolling(WINDOW, min_periods=1).mean()
    return frame.assign(smooth=smooth.reset_index(level=0, drop=True))


@styled
def draw_gradient_ratio(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A pale line for each iteration's ratio, a strong one for the mean of the last 25."""
    figure, (axis,) = panels(1, width=5.4)
    series = list(dict.fromkeys(frame["series"]))
    for place, name in enumerate(series):
        part = frame[frame["series"] == name]
        color, style, _ = look(place, len(series))
        axis.plot(part["iteration"], part["value"], color=color, alpha=0.25, linewidth=0.8)
        axis.plot(part["iteration"], part["smooth"], color=color, linestyle=style, label=series_label(name))
    axis.set(xlabel="iteration", ylabel="ratio to the clean gradient's norm")
    axis.set_ylim(bottom=0, top=1.1 * max(frame["smooth"].max(), frame["value"].quantile(0.98)))
    legend_below(figure, [axis], columns=min(3, len(series)), title=f"mean of the last {WINDOW} iterations")
    return figure


def prepare_gradient_stability(frames: Frames) -> pd.DataFrame:
    """Fig. 4a: the distance that gradients move when the weights go a length along a random direction, before training.

    Returns:
        Columns series, quantity (objective; ce: clean CE, of the same networks), x (length, in filter norms), value,
        spread, seeds. Clean CE is one series, whatever the objective.
    """
    rows = probe_rows(frames, "gradient_stability")
    rows.loc[rows["quantity"] == "ce", "series"] = "ce"
    clean = rows[rows["quantity"] == "ce"].groupby(["series", "quantity", "x", "seed"], as_index=False)["value"].mean()
    others = rows[(rows["quantity"] != "ce") & (rows["objective.name"] != "standard")]
    return over_seeds(pd.concat([others, clean]), ["series", "quantity", "x"])


@styled
def draw_gradient_stability(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A line an objective, and one for clean CE."""
    names = ["clean CE" if quantity == "ce" else series_label(series) for series, quantity in _pairs(frame)]
    return _lines(
        frame.rename(columns={"x": "epoch"}), names, "change of the gradient", "length of the step", log=False
    )


def _pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(frame["series"], frame["quantity"], strict=True)))


def _lines(
    frame: pd.DataFrame, names: list[str], ylabel: str, xlabel: str = "epoch", log: bool = True
) -> "MatplotlibFigure":
    figure, (axis,) = panels(1, width=5.4)
    pairs = _pairs(frame)
    for place, ((series, quantity), name) in enumerate(zip(pairs, names, strict=True)):
        color, style, _ = look(place, len(pairs))
        part = frame[(frame["series"] == series) & (frame["quantity"] == quantity)]
        band(axis, part, 1.0, color=color, linestyle=style, label=name)
    positive = frame.loc[frame["value"] > 0, "value"]
    if log and len(positive) and positive.max() > 30 * positive.min():
        axis.set_yscale("log")
    elif log:
        axis.set_ylim(bottom=0)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    legend_below(figure, [axis], columns=min(3, len(names)))
    return figure


GRADIENT_NORMS = Figure(prepare_gradient_norms, draw_gradient_norms)
GRADIENT_RATIO = Figure(prepare_gradient_ratio, draw_gradient_ratio)
GRADIENT_STABILITY = Figure(prepare_gradient_stability, draw_gradient_stability)
GRADIENT_COSINE = Figure(prepare_gradient_cosine, draw_gradient_cosine)

if __name__ == "__main__":
    # Four figures: the file is named after the one that is chosen.
    four = {
        "gradient_norms": GRADIENT_NORMS, "gradient_ratio": GRADIENT_RATIO, "gradient_stability": GRADIENT_STABILITY,
        "gradient_cosine": GRADIENT_COSINE,
    }  # fmt: skip
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in four:
        sys.exit(f"python -m analysis.figures.gradients {{{','.join(four)}}} DIR/N")
    alone(four[name], name)
