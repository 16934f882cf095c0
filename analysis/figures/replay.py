"""What early stopping would have saved and cost, replayed over the whole curves of a sweep."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, ScalarFormatter

from analysis.figures.base import Figure, alone
from analysis.frames import Frames
from analysis.replays import in_units, ranks, replay_defaults, summarise
from analysis.style import DARK, LIGHT, LOOKS, panels, styled
from tune_at.config.scheduler import is_loss
from tune_at.errors import UserError
from tune_at.scheduling.curves import read_recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure


def prepare_replay(frames: Frames) -> pd.DataFrame:
    """Replay all schedulers with the options that are tried by default, in 20 orders; `replay` takes others.

    Returns:
        As `analysis.replays.prepare_replays`.
    """
    if frames.sweep is None:
        raise UserError("replay", "these tables are of no sweep", "load one")
    return replay_defaults(read_recording(frames.sweep))


@styled
def draw_replay(frame: pd.DataFrame) -> "MatplotlibFigure":
    """Left a mark a setting, full by the best epoch and hollow by the last; right what a rung tells of the outcome."""
    figure, (left, right) = panels(2, width=5.0, height=4.2, shared=False)
    _draw_outcomes(left, summarise(frame), str(frame["score"].iloc[0]))
    _draw_ranks(right, ranks(frame))
    return figure


def _draw_outcomes(axis: "Axes", settings: pd.DataFrame, score: str) -> None:
    """Epochs saved against regret, means over orders with their standard deviations."""
    scale = in_units(score)
    handles = []
    for place, (name, part) in enumerate(settings.groupby("scheduler", sort=False)):
        marker = LOOKS[place % len(LOOKS)][2]
        for colour, side in ((DARK, "best"), (LIGHT, "final")):
            mean, spread = scale * part[f"regret_{side}"], scale * part[f"regret_{side}_spread"].fillna(0)
            below = spread.clip(upper=mean.clip(lower=0).fillna(0))  # no regret is below 0
            axis.errorbar(
                100 * part["saved"], mean, yerr=[below, spread], fmt=marker, color=colour, markersize=5.5,
                markerfacecolor=colour if side == "best" else "white", elinewidth=0.6, alpha=0.85,
            )  # fmt: skip
        handles.append(Line2D([], [], marker=marker, color="0.3", linestyle="none", label=name))
    for colour, label in ((DARK, "by the best epoch"), (LIGHT, "by the last epoch")):
        face = colour if colour == DARK else "white"
        handles.append(Line2D([], [], marker="o", color=colour, markerfacecolor=face, linestyle="none", label=label))
    axis.axhline(0, color="0.5", linewidth=0.8)
    unit = "" if is_loss(score) else " (points)"
    axis.set(xlabel="epochs saved (%)", ylabel=f"regret in {score.replace('_', ' ')}{unit}")
    axis.set_title(f"{len(settings)} settings, mean and spread over orders")
    axis.legend(handles=handles, fontsize="small", loc="upper left")


def _draw_ranks(axis: "Axes", rows: pd.DataFrame) -> None:
    """Kendall's tau by rung with its bootstrap interval, of the least smoothed score; else of what there is."""
    kind = "score" if (rows["judged"] == "score").any() else rows["judged"].iloc[0]
    rows = rows[rows["judged"] == kind]
    rows = rows[rows["smooth"] == rows["smooth"].min()]
    for colour, style, side in ((DARK, "-", "best"), (LIGHT, "--", "final")):
        axis.plot(
            rows["epoch"].astype(float), rows[f"tau_{side}"], color=colour, linestyle=style, marker="o", markersize=3.5,
            label=f"with the {'best' if side == 'best' else 'last'} epoch's",
        )  # fmt: skip
        low, high = (rows[f"{end}_{side}"].astype(float) for end in ("low", "high"))
        axis.fill_between(rows["epoch"].astype(float), low, high, color=colour, alpha=0.18, linewidth=0)
    axis.axhline(0, color="0.5", linewidth=0.8)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_minor_locator(NullLocator())
    ticks = sorted(rows["epoch"].astype(int))
    axis.set_xticks([tick for place, tick in enumerate(ticks) if place == 0 or tick >= 1.35 * ticks[place - 1]])
    smoothed = rows["smooth"].iloc[0]
    over = f" (mean of {smoothed:g} evaluations)" if smoothed > 1 else ""
    axis.set(xlabel="epoch of the rung", ylabel=f"Kendall's τ of the {kind} there{over}")
    axis.set_title("what a rung tells, with 95% intervals")
    axis.legend(fontsize="small")


FIGURE = Figure(prepare_replay, draw_replay)

if __name__ == "__main__":
    alone(FIGURE, "replay")
