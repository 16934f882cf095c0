"""Robust accuracy against each swept key by itself."""

from string import ascii_lowercase
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames, objective_label
from analysis.notes import noted, notes_of
from analysis.points import is_number, is_wide, varied
from analysis.style import first_of, legend_below, look, panels, styled, whole_ticks
from tune_at.study.comparison import plain
from tune_at.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure


def prepare_slices(frames: Frames) -> pd.DataFrame:
    """Each completed point's robust accuracy on the selection split at its best epoch, once for each swept key.

    Returns:
        Columns key, value (numbers, or words), at (the value as a number; NaN for words), trial, objective, robust
        (mean over seeds), spread, seeds. Points that do not have a key are left out of its rows, and noted.
    """
    frame, keys = varied(frames, "slices")
    parts, lacking = [], []
    for key in keys:
        part = frame[frame[key].notna()]
        if len(part) < len(frame):
            lacking.append(f"{counted(len(frame) - len(part), 'point')} without {key}")
        number = is_number(part[key])
        parts.append(
            pd.DataFrame(
                {
                    "key": key,
                    "value": part[key].map(plain),
                    "at": pd.to_numeric(part[key]) if number else float("nan"),
                    "trial": part["trial"],
                    "objective": part["objective"],
                    "robust": part["robust"],
                    "spread": part["robust_spread"],
                    "seeds": part["seeds"],
                }
            )
        )
    return noted(pd.concat(parts, ignore_index=True), *notes_of(frame), *lacking)


@styled
def draw_slices(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A panel a key, a marker an objective; keys over a factor of 20 have a logarithmic axis."""
    (keys, note), objectives = first_of(frame["key"], noun="keys"), list(dict.fromkeys(frame["objective"]))
    figure, axes = panels(len(keys), width=3.8, height=3.3)
    for axis, letter, key in zip(axes, ascii_lowercase, keys, strict=False):
        part = frame[frame["key"] == key]
        words = part["at"].isna().any()
        values = list(dict.fromkeys(part["value"]))
        for place, name in enumerate(objectives):
            own = part[part["objective"] == name]
            color, _, marker = look(place, len(objectives))
            axis.errorbar(
                [values.index(value) for value in own["value"]] if words else own["at"], 100 * own["robust"],
                yerr=100 * own["spread"].fillna(0), fmt=marker, color=color, markersize=5, elinewidth=0.8, alpha=0.85,
                label=objective_label(name),
            )  # fmt: skip
        axis.set_title(f"({letter}) {key}")
        if words:
            shown = [objective_label(value) for value in values] if key == "objective" else values
            axis.set_xticks(range(len(values)), shown, rotation=30 if len(values) > 3 else 0, ha="center")
            axis.margins(x=0.15)
        elif is_wide(part["at"]):
            axis.set_xscale("log")
        elif (part["at"] % 1 == 0).all():
            whole_ticks(axis)
    axes[0].set_ylabel("robust accuracy, selection split (%)")
    legend_below(figure, axes, columns=min(4, len(objectives)), note=note)
    return figure


FIGURE = Figure(prepare_slices, draw_slices)

if __name__ == "__main__":
    alone(FIGURE, "slices")
