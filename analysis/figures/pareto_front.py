"""The trade-off between natural and robust accuracy over a sweep's points."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.exploits import values_at
from analysis.frames import Figure, Frames, objective_label
from analysis.ranking import fronts, rank
from analysis.style import DARK, LIGHT, panels, styled
from tune_at.errors import UserError
from tune_at.store.status import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

MARKERS = "os^Dv<>Pp*Xhd"

LABELLED = 6
"""Fronts that have a line each in the legend; of more groups, the colours alone tell the fronts apart."""


def prepare_pareto_front(frames: Frames) -> pd.DataFrame:
    """Each point whose trials have all completed, at their best epochs, on the selection split: means over seeds.

    Returns:
        Columns trial (of several seeds the point's name), objective, seeds, natural, robust (in [0, 1]),
        natural_spread, robust_spread (standard deviation over seeds, ddof 1; NaN for one), group (in words, what
        metrics are measured on where that differs), front: whether no other point of the group is at least as good in
        both and better in one; and each swept or mutated value by its dotted path, as it was at that epoch.
    """
    paths = dict.fromkeys([*frames.swept, *getattr(frames.scheduler, "mutations", ())])
    paths.pop("objective", None)
    trials = frames.trials.assign(selection=frames.trials["train.selection"])
    ranking = rank(trials, frames.epochs, frames.seeds, swept=frames.swept)
    completed = [p for p in ranking.points if p.whole and all(t["status"] == Status.COMPLETED for t in p.trials)]
    if not completed:
        raise UserError("pareto_front", "no completed trial has been evaluated", "wait, or resume the sweep")
    made = dict(list(frames.decisions.groupby("trial"))) if len(frames.decisions) else {}
    rows = []
    for point in completed:
        first: Any = point.trials[0]
        row = {
            "trial": point.name, "objective": first["objective.name"], "seeds": len(point.measured),
            "natural": point.mean("natural"), "robust": point.score,
            "natural_spread": point.spread("natural"), "robust_spread": point.spread("score"),
            "group": ranking.comparison.label(point.group),
        }  # fmt: skip
        values = {path: first[path] for path in paths}
        if first["trial"] in made:
            values |= values_at(made[first["trial"]], first["trial"], int(first["best_epoch"]))
        rows.append({**row, "front": False, **values})
    frame = pd.DataFrame(rows)
    frame["front"] = fronts(completed, frame[["natural", "robust"]].to_numpy().tolist())
    return frame.sort_values(["natural", "robust", "trial"], ignore_index=True)


def far_below(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials are more than three interquartile ranges, or 15 points, below the lower quartile in an accuracy."""
    accuracy = frame[["natural", "robust"]]
    low, high = accuracy.quantile(0.25), accuracy.quantile(0.75)
    return (accuracy < low - 3 * (high - low).clip(lower=0.05)).any(axis=1) & ~frame["front"]


@styled
def draw_pareto_front(frame: pd.DataFrame) -> "MatplotlibFigure":
    """A marker an objective; each front is joined, in a colour of its own, from dark to light by group.

    Trials that failed to learn would squeeze all others into a corner: the title counts those that are left out.
    """
    figure, (axis,) = panels(1, width=5.4, height=4.4)
    far = far_below(frame)
    if far.any():
        axis.set_title(f"{far.sum()} of {len(frame)} trials left out, far below")
    frame = frame[~far]
    _draw_fronts(axis, frame)
    axis.set(xlabel="natural accuracy on the selection split (%)", ylabel="robust accuracy on the selection split (%)")
    axis.legend(loc="best")
    return figure


def _draw_fronts(axis: "Axes", frame: pd.DataFrame) -> None:
    groups = list(dict.fromkeys(frame["group"])) if "group" in frame else [""]
    shades = _shades(len(groups))
    for group, shade in zip(groups, shades, strict=True):
        part = frame[frame["group"] == group] if "group" in frame else frame
        front = part[part["front"]].sort_values("natural")
        label = f"front, {group}" if 1 < len(groups) <= LABELLED else "front" if group == groups[0] else None
        axis.step(100 * front["natural"], 100 * front["robust"], where="pre", color=shade, linewidth=1.2, label=label)
    colours = dict(zip(groups, shades, strict=True))
    named = set()
    for marker, (name, part) in zip(MARKERS, frame.groupby("objective"), strict=False):
        for on_front, points in part.groupby("front"):
            label = objective_label(str(name)) + (", on the front" if on_front else "")
            for group, own in points.groupby("group") if "group" in points else [("", points)]:
                axis.errorbar(
                    100 * own["natural"], 100 * own["robust"],
                    xerr=_bars(own, "natural_spread"), yerr=_bars(own, "robust_spread"),
                    fmt=marker, color=colours[group] if on_front else LIGHT, markersize=6, elinewidth=0.8,
                    label=None if label in named else label,
                )  # fmt: skip
                named.add(label)


def _bars(frame: pd.DataFrame, column: str) -> "pd.Series[float] | None":
    """One standard deviation over seeds, in per cent; None where there is one seed."""
    known = column in frame and frame[column].notna().any()
    return 100 * frame[column].fillna(0) if known else None


def _shades(count: int) -> list[str]:
    if count == 1:
        return [DARK]
    import matplotlib

    return [matplotlib.colors.to_hex(matplotlib.colormaps["cividis"](0.8 * n / (count - 1))) for n in range(count)]


FIGURE = Figure(prepare_pareto_front, draw_pareto_front)
