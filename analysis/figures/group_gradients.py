"""Fig. A.9: gradients of mislabelled and of other images, of PGD-AT and of standard training."""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames, panel_title
from analysis.measured import over_seeds, probe_rows
from analysis.style import DARK, LIGHT, band, first_of, legend_below, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

GROUPS = {"clean": ("right labels", DARK, "-"), "mislabelled": ("wrong labels", LIGHT, (0, (4, 2)))}


def prepare_group_gradients(frames: Frames) -> pd.DataFrame:
    """Mean norm of the samples' gradients of each group by epoch; means over seeds.

    Returns:
        Columns series, group (clean, mislabelled), loss (adversarial_ce, ce, kl), epoch, value, spread, seeds.
    """
    rows = probe_rows(frames, "group_gradient_norms")
    split = rows["quantity"].str.split("_", n=1)
    return over_seeds(rows.assign(group=split.str[0], loss=split.str[1]), ["series", "group", "loss", "epoch"])


@styled
def draw_group_gradients(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a series and loss; dark is right labels, dashed wrong ones."""
    pairs, note = first_of(zip(frame["series"], frame["loss"], strict=True))
    figure, axes = panels(len(pairs), shared=False)
    for axis, letter, (name, loss) in zip(axes, ascii_lowercase, pairs, strict=False):
        part = frame[(frame["series"] == name) & (frame["loss"] == loss)]
        for group, (label, color, style) in GROUPS.items():
            band(axis, part[part["group"] == group], 1.0, color=color, linestyle=style, label=label)
        title = panel_title(letter, name, len(pairs))
        axis.set(title=f"{title}, KL" if loss == "kl" else title, xlabel="epoch")
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("mean gradient norm")
    legend_below(figure, axes, note=note)
    return figure


FIGURE = Figure(prepare_group_gradients, draw_group_gradients)

if __name__ == "__main__":
    alone(FIGURE, "group_gradients")
