"""Fig. 5: complexity measures against the robust generalization gap, one point a trained network."""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.figures.memorization_curves import rate_color, rate_label
from analysis.frames import Frames, final_epochs, without_gap
from analysis.measured import MEASURES, probe_rows
from analysis.style import LOOKS, legend_below, panels, styled
from tune_at.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure


def prepare_complexity(frames: Frames) -> pd.DataFrame:
    """Each completed trial's measures after its last epoch, and its robust generalization gap there.

    Returns:
        Columns measure (its title in `MEASURES`), trial, series, noise_rate, seed, value (mean over lengths for
        flatness; NaN where a margin is not positive, as the measure is not defined there), gap (robust training - test
        accuracy).
    """
    final = final_epochs(frames.epochs).set_index("trial")
    gap = (final["train_robust_accuracy"] - final["test_robust_accuracy"]).dropna()
    if gap.empty:
        raise without_gap(frames, "complexity")
    parts, refused = [], []
    for measure in MEASURES:
        try:
            rows = probe_rows(frames, measure.probe, last=True)
        except UserError as error:
            refused.append(error)
            continue
        keys = ["trial", "series", "data.noise_rate", "seed"]
        of_trial = rows[rows["trial"].isin(gap.index)].drop_duplicates("trial")[keys]
        values = rows[rows["quantity"] == measure.quantity].groupby("trial")["value"].mean()
        parts.append(of_trial.assign(measure=measure.title, value=of_trial["trial"].map(values)))
    if not parts:
        raise refused[0]
    frame = pd.concat(parts, ignore_index=True).rename(columns={"data.noise_rate": "noise_rate"})
    frame["gap"] = frame["trial"].map(gap)
    return frame[["measure", "trial", "series", "noise_rate", "seed", "value", "gap"]]


@styled
def draw_complexity(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a measure; a marker a noise rate. Networks for which it is not defined are counted in the title."""
    measures, rates = list(dict.fromkeys(frame["measure"])), sorted(frame["noise_rate"].unique())
    figure, axes = panels(len(measures), height=3.5)
    for axis, letter, measure in zip(axes, ascii_lowercase, measures, strict=False):
        part = frame[frame["measure"] == measure]
        for number, rate in enumerate(rates):
            points = part[(part["noise_rate"] == rate) & part["value"].notna()]
            axis.plot(
                points["value"], 100 * points["gap"], LOOKS[number % len(LOOKS)][2], color=rate_color(rate, rates),
                markersize=7, label=rate_label(rate),
            )  # fmt: skip
        undefined = part["value"].isna().sum()
        axis.set(title=f"({letter}) {measure}" + (f"\n{undefined} not defined: margin ≤ 0" if undefined else ""))
        axis.margins(0.1)
    for axis in axes[:: 2 if len(measures) == 4 else 3]:
        axis.set_ylabel("robust generalization gap (points)")
    legend_below(figure, axes)
    return figure


FIGURE = Figure(prepare_complexity, draw_complexity)

if __name__ == "__main__":
    alone(FIGURE, "complexity")
