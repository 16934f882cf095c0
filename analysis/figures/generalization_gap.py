"""Fig. 2c: how the generalization gap grows with the noise rate."""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.frames import Figure, Frames, add_series, final_epochs, panel_title
from analysis.style import DARK, LIGHT, legend_below, panels, styled
from tune_at.errors import UserError
from tune_at.store.status import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

KINDS = ("natural", "robust")


def prepare_generalization_gap(frames: Frames) -> pd.DataFrame:
    """Train - test accuracy at the last epoch of completed trials, against the noise rate.

    Returns:
        Columns series (the objective, and what else varies), noise_rate, kind (natural, robust), gap (mean over
        seeds, in [-1, 1]), spread (standard deviation over seeds, ddof 1; NaN for one seed), seeds, and train, test
        (mean accuracies).
    """
    completed = frames.epochs[frames.epochs["status"] == Status.COMPLETED]
    if completed["train_robust_accuracy"].notna().any() and completed["test_robust_accuracy"].isna().all():
        remedy = "a folder of images can have one with data.val=test"
        raise UserError("generalization_gap", "the trials' data has no test split", remedy)
    final = final_epochs(frames.epochs)
    final = final[final["train_robust_accuracy"].notna()]
    if final.empty:
        raise UserError("generalization_gap", "no completed trial has training accuracies", "let the sweep finish")
    final = add_series(final, ["data.noise_rate"]).rename(columns={"data.noise_rate": "noise_rate"})
    parts = []
    for kind in KINDS:
        part = final[["series", "noise_rate", "seed"]].copy()
        part["kind"] = kind
        part["train"], part["test"] = final[f"train_{kind}_accuracy"], final[f"test_{kind}_accuracy"]
        part["gap"] = part["train"] - part["test"]
        parts.append(part)
    grouped = pd.concat(parts).groupby(["series", "noise_rate", "kind"], sort=True)
    return grouped.agg(
        gap=("gap", "mean"),
        spread=("gap", "std"),
        seeds=("seed", "nunique"),
        train=("train", "mean"),
        test=("test", "mean"),
    ).reset_index()


@styled
def draw_generalization_gap(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a series; natural and robust gap with error bars of one standard deviation over seeds."""
    series = list(dict.fromkeys(frame["series"]))
    figure, axes = panels(len(series))
    looks = {"natural": (DARK, "-", "o"), "robust": (LIGHT, (0, (4, 2)), "s")}
    for axis, letter, name in zip(axes, ascii_lowercase, series, strict=False):
        for kind, (color, style, marker) in looks.items():
            part = frame[(frame["series"] == name) & (frame["kind"] == kind)]
            axis.errorbar(
                100 * part["noise_rate"],
                100 * part["gap"],
                yerr=100 * part["spread"].fillna(0),
                color=color,
                linestyle=style,
                marker=marker,
                markersize=5,
                capsize=3,
                label=f"{kind} gap",
            )
        axis.set(title=panel_title(letter, name, len(series)), xlabel="label noise (%)")
        axis.set_xticks(sorted(100 * frame["noise_rate"].unique()))
        axis.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    axes[0].set_ylabel("train − test accuracy (points)")
    seeds = sorted({int(n) for n in frame["seeds"]})
    counted = "–".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    legend_below(figure, axes[0], title=f"bars: ± 1 standard deviation over {counted} seeds" if seeds[-1] > 1 else "")
    return figure


FIGURE = Figure(prepare_generalization_gap, draw_generalization_gap)
