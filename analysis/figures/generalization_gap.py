"""Fig. 2c: how the generalization gap grows with the noise rate, or with any other swept key."""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames, add_series, final_epochs, panel_title, without_gap
from analysis.notes import noted, trials_left_out
from analysis.style import DARK, LIGHT, first_of, legend_below, panels, styled
from tune_at.errors import UserError, suggestion
from tune_at.study.comparison import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

KINDS = ("natural", "robust")

NOISE = "data.noise_rate"


def prepare_generalization_gap(frames: Frames, by: str = NOISE) -> pd.DataFrame:
    """Train - test accuracy at the last epoch of completed trials, against the noise rate or another key.

    Args:
        frames: the sweep.
        by: a key of the trials' configs.

    Returns:
        Columns series (the objective, and what else varies), key (`by`), at (its value), kind (natural, robust), gap
        (mean over seeds, in [-1, 1]), spread (standard deviation over seeds, ddof 1; NaN for one seed), seeds, and
        train, test (mean accuracies). Trials that are left out are noted.
    """
    final = final_epochs(frames.epochs)
    final = final[final["train_robust_accuracy"].notna()]
    if final.empty:
        raise without_gap(frames, "generalization_gap")
    if by not in final or final[by].isna().all():
        known = [column for column in map(str, final.columns) if "." in column]
        raise UserError("generalization_gap", f"{by!r} is no key of the trials' configs", suggestion(by, known))
    final = add_series(final, [by], frames.drawn)
    # A switch is a word: it has no place between 0 and 1.
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in final[by]]
    final["at"] = [value if number else plain(value) for value, number in zip(final[by], numbers, strict=True)]
    parts = []
    for kind in KINDS:
        part = final[["series", "at", "seed"]].copy()
        part["kind"] = kind
        part["train"], part["test"] = final[f"train_{kind}_accuracy"], final[f"test_{kind}_accuracy"]
        part["gap"] = part["train"] - part["test"]
        parts.append(part)
    grouped = pd.concat(parts).groupby(["series", "at", "kind"], sort=True)
    frame = grouped.agg(
        gap=("gap", "mean"),
        spread=("gap", "std"),
        seeds=("seed", "nunique"),
        train=("train", "mean"),
        test=("test", "mean"),
    ).reset_index()
    frame.insert(1, "key", by)
    constant = f"{by} is {plain(final[by].iloc[0])} in each completed trial" if frame["at"].nunique() == 1 else ""
    return noted(frame, trials_left_out(frames, final["trial"], "without training accuracies"), constant)


def prepare_gap_by_key(frames: Frames, by: str | None = None) -> pd.DataFrame:
    """As `prepare_generalization_gap`, by default against the first key that the study sweeps beside the objective.

    Raises:
        UserError: the key has one value in all completed trials, or there is no such key.
    """
    swept = [key for key in frames.swept if not key.startswith("objective") and key in frames.trials]
    if by is not None:
        frame = prepare_generalization_gap(frames, by)
        if frame["at"].nunique() == 1:
            others = [key for key in swept if frames.trials[key].map(plain).nunique() > 1]
            what = f"{by} is {plain(frame['at'].iloc[0])} in each completed trial"
            raise UserError("gap_by_key", what, f"name a key that differs, as {others[0]}" if others else "sweep it")
        return frame
    numbers = [key for key in swept if pd.api.types.is_numeric_dtype(frames.trials[key])]
    if not swept:
        keys = "--by KEY, as train.epochs"
        raise UserError("gap_by_key", "the study sweeps no key beside the objective", f"name one with {keys}")
    return prepare_generalization_gap(frames, (numbers or swept)[0])


@styled
def draw_generalization_gap(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a series; natural and robust gap with error bars of one standard deviation over seeds."""
    (series, note), key = first_of(frame["series"]), frame["key"].iloc[0]
    figure, axes = panels(len(series))
    looks = {"natural": (DARK, "-", "o"), "robust": (LIGHT, (0, (4, 2)), "s")}
    scale = 100 if key == NOISE else 1
    words = not pd.api.types.is_numeric_dtype(frame["at"])
    values = list(dict.fromkeys(frame["at"])) if words else sorted(frame["at"].unique())
    for axis, letter, name in zip(axes, ascii_lowercase, series, strict=False):
        for kind, (color, style, marker) in looks.items():
            part = frame[(frame["series"] == name) & (frame["kind"] == kind)]
            axis.errorbar(
                [values.index(at) for at in part["at"]] if words else scale * part["at"],
                100 * part["gap"],
                yerr=100 * part["spread"].fillna(0),
                color=color,
                linestyle="none" if words else style,
                marker=marker,
                markersize=5,
                capsize=3,
                label=f"{kind} gap",
            )
        axis.set(title=panel_title(letter, name, len(series)), xlabel="label noise (%)" if key == NOISE else key)
        if words:
            axis.set_xticks(range(len(values)), values)
        elif len(values) <= 8:
            axis.set_xticks([scale * value for value in values], [f"{scale * value:.3g}" for value in values])
        axis.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    axes[0].set_ylabel("train − test accuracy (points)")
    seeds = sorted({int(n) for n in frame["seeds"]})
    counted = "–".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    title = f"bars: ± 1 standard deviation over {counted} seeds" if seeds[-1] > 1 else ""
    legend_below(figure, axes, title=title, note=note)
    return figure


BY = {"by": "the key on the x axis, as attack.eps"}

FIGURE = Figure(prepare_generalization_gap, draw_generalization_gap, BY)
GAP_BY_KEY = Figure(prepare_gap_by_key, draw_generalization_gap, BY)

if __name__ == "__main__":
    alone(FIGURE, "generalization_gap")
