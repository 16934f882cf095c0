"""The tables of `replay`, at most 80 columns wide."""

from typing import TYPE_CHECKING, Any

from rich.table import Table

from tune_at.cli.terminal import console
from tune_at.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from tune_at.scheduling.curves import Recording

SHOWN, LEAST = 16, 4
"""Rungs that are shown, and the least of each kind of what is judged; the file has all."""


def print_replays(recording: "Recording", frame: "pd.DataFrame") -> None:
    """What was replayed, a row a setting, and a row a rung."""
    from analysis.replays import ranks, summarise
    from tune_at.config.scheduler import is_loss

    out = console()
    points, trials = int(recording.points.max()) + 1, len(recording.states)
    of = counted(points, "point") + (f" ({counted(trials, 'trial')})" if trials > points else "")
    score, metric = (name.replace("_", " ") for name in (recording.score, str(frame["metric"].iloc[0])))
    orders = int(frame["order"].max()) + 1
    out.print(f"{of}, {recording.lasts.sum():,} epochs, {counted(orders, 'order')}", markup=False)
    by = f"judged and chosen by {score}" if score == metric else f"judged by {metric}, chosen by {score}"
    out.print(f"{by}{'' if is_loss(recording.score) else ' (regret in points)'}", markup=False)
    if recording.left_out:
        has = "has" if recording.left_out == 1 else "have"
        out.print(f"left out: {counted(recording.left_out, 'trial')} that {has} not ended")
    settings = summarise(frame)
    out.print()
    out.print(_outcomes(settings, recording.score))
    if (settings["unchosen"] > 0).any():
        out.print("* in some orders no trial ran to its end: these do not count in its regret", markup=False)
    out.print()
    out.print(_ranks(ranks(frame)))


def _outcomes(settings: "pd.DataFrame", score: str) -> Table:
    """Means over orders, and their standard deviations."""
    from analysis.replays import in_units
    from tune_at.config.scheduler import is_loss

    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    keys = [key for key in ("grace", "eta", "smooth") if key != "smooth" or settings[key].nunique() > 1]
    table.add_column("scheduler")
    for name in (*keys, "saved %", "regret best", "kept", "regret last", "kept"):
        table.add_column(name, justify="right", no_wrap=True)
    scale, digits = in_units(score), 3 if is_loss(score) else 1
    for row in settings.to_dict("records"):
        cells = [row["scheduler"], *(_number(row[key]) for key in keys), _mean(row, "saved", 100, 0)]
        for side in ("best", "final"):
            mark = "*" if side == "final" and row["unchosen"] > 0 else ""
            cells += [_mean(row, f"regret_{side}", scale, digits) + mark, f"{row[f'kept_{side}']:.0%}"]
        table.add_row(*cells)
    return table


def _ranks(rows: "pd.DataFrame") -> Table:
    """Kendall's tau of what is judged at each rung, with its 95% interval."""
    from tune_at.scheduling.policies.base import spread

    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    smoothed = rows["smooth"].nunique() > 1
    table.add_column("judged")
    for name in (*(["smooth"] if smoothed else []), "epoch", "τ with best [95%]", "τ with last [95%]"):
        table.add_column(name, justify="right", no_wrap=True)
    kinds = list(rows.groupby(["judged", "smooth"], sort=False))
    for (judged, smooth), part in kinds:
        shown = spread(part["epoch"].astype(int), max(LEAST, SHOWN // len(kinds)))
        for row in part[part["epoch"].isin(shown)].to_dict("records"):
            cells = [str(judged), *([f"{smooth:g}"] if smoothed else []), str(row["epoch"])]
            table.add_row(*cells, *(_interval(row, side) for side in ("best", "final")))
    return table


def _number(value: float) -> str:
    return "" if value != value else f"{value:g}"


def _mean(row: dict[Any, Any], name: str, scale: float, digits: int) -> str:
    mean, spread = scale * row[name], scale * row[f"{name}_spread"]
    if mean != mean:
        return "-"
    return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread == spread else "")


def _interval(row: dict[Any, Any], side: str) -> str:
    tau, low, high = (float(row[f"{name}_{side}"]) for name in ("tau", "low", "high"))
    return "-" if tau != tau else f"{tau:.2f} [{low:.2f}, {high:.2f}]"
