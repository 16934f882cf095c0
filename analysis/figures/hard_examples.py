"""Fig. 6c (two seeds) and C.2 (two architectures): are the same training images hard for two networks?"""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames
from analysis.hardness import adversarial_losses, paired_losses, prepare_rank_correlations, shown
from analysis.style import DARK, LIGHT, legend_below, panels, styled
from tune_at.wording import trial_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

MOST = 6
"""Pairs of trials that are drawn."""


def prepare_hard_examples(frames: Frames) -> pd.DataFrame:
    """The adversarial losses of pairs of trials on 500 training images, sorted by the loss of the first.

    Returns:
        Columns first, second (trials), tau (Kendall's, over all samples), samples (their number), differ (`seed`, or
        the keys in which the two differ), place, first_loss, second_loss. At most six pairs, those that differ in the
        seed alone before others.
    """
    losses = adversarial_losses(frames.samples)
    pairs = prepare_rank_correlations(losses)
    trials = frames.trials.set_index("trial")
    keys = [c for c in trials.columns if c == "seed" or ("." in c and not c.startswith("resources"))]
    pairs["differ"] = [
        ", ".join(k for k in keys if str(trials.loc[a, k]) != str(trials.loc[b, k]))
        for a, b in zip(pairs["first"], pairs["second"], strict=True)
    ]
    rank = pairs["differ"].map(lambda keys: (keys != "seed", "seed" in keys.split(", "), keys))
    parts = []
    for _, pair in pairs.iloc[rank.argsort(kind="stable")].head(MOST).iterrows():
        rows = shown(paired_losses(losses, pair["first"], pair["second"]))
        part = pd.DataFrame({"place": range(len(rows)), "first_loss": rows["first"], "second_loss": rows["second"]})
        parts.append(part.assign(**{key: pair[key] for key in ("first", "second", "tau", "samples", "differ")}))
    columns = ["first", "second", "tau", "samples", "differ", "place", "first_loss", "second_loss"]
    return pd.concat(parts, ignore_index=True)[columns]


@styled
def draw_hard_examples(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a pair: dots are the second network's losses, the line the first's."""
    pairs = list(dict.fromkeys(zip(frame["first"], frame["second"], strict=True)))
    figure, axes = panels(len(pairs))
    for axis, letter, (first, second) in zip(axes, ascii_lowercase, pairs, strict=False):
        part = frame[(frame["first"] == first) & (frame["second"] == second)]
        axis.plot(part["place"], part["second_loss"], ".", color=LIGHT, markersize=3.5, label="second network")
        axis.plot(part["place"], part["first_loss"], color=DARK, label="first network")
        names = f"{trial_label(first)}\nand {trial_label(second)}"
        axis.set_title(f"({letter}) {names}: τ = {part['tau'].iloc[0]:.2f}", fontsize=9)
        axis.set_xlabel("sample, by the first network's loss")
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("adversarial loss")
    legend_below(figure, axes)
    return figure


FIGURE = Figure(prepare_hard_examples, draw_hard_examples)

if __name__ == "__main__":
    alone(FIGURE, "hard_examples")
