"""A sweep's points as a table: what was swept, and what came out of it."""

from typing import Any

import pandas as pd

from analysis.exploits import values_at
from analysis.frames import Frames
from analysis.ranking import rank
from tune_at.errors import UserError
from tune_at.store.status import Status
from tune_at.study.comparison import plain
from tune_at.study.points import Point


def completed_points(frames: Frames, figure: str) -> tuple[pd.DataFrame, list[Point]]:
    """Each point whose trials have all completed, at their best epochs, on the selection split: means over seeds.

    Returns:
        A frame with a row a point, and the points in its order. Columns trial (of several seeds the point's name),
        objective, seeds, natural, robust (in [0, 1]), natural_spread, robust_spread (standard deviation over seeds,
        ddof 1; NaN for one), group (in words, what metrics are measured on where that differs), front (False); and each
        swept or mutated value by its dotted path, as it was at that epoch.

    Raises:
        UserError: there is no such point; `figure` is where the message says it is missing.
    """
    paths = swept_keys(frames)
    trials = frames.trials.assign(selection=frames.trials["train.selection"])
    ranking = rank(trials, frames.epochs, frames.seeds, swept=frames.swept)
    completed = [p for p in ranking.points if p.whole and all(t["status"] == Status.COMPLETED for t in p.trials)]
    completed.sort(key=lambda point: point.trials[0]["trial"])
    if not completed:
        raise _none_completed(frames, figure)
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
    return pd.DataFrame(rows), completed


def _none_completed(frames: Frames, figure: str) -> UserError:
    if frames.trials["status"].isin([Status.STOPPED, Status.DIVERGED]).all():
        ended = " or ".join(sorted(set(frames.trials["status"])))
        return UserError(figure, f"every trial was {ended}: none is completed", "the figure early_stopping shows them")
    what = "no completed trial has been evaluated"
    if (frames.trials["status"] == Status.COMPLETED).any():
        what = "no point has all of its seeds completed and evaluated"
    return UserError(figure, what, "wait, or resume the sweep")


def swept_keys(frames: Frames) -> list[str]:
    """The keys that tell points apart, those that PBT changes among them; the objective's name has its own column."""
    paths = dict.fromkeys([*frames.swept, *getattr(frames.scheduler, "mutations", ())])
    paths.pop("objective", None)
    return list(paths)


def varied(frames: Frames, figure: str) -> tuple[pd.DataFrame, list[str]]:
    """`completed_points`, and the columns of it that differ between points, the objective among them.

    Of keys that say the same of every point (a schedule and its name) only the first is there.

    Raises:
        UserError: there are fewer than two points, or nothing differs.
    """
    frame, _ = completed_points(frames, figure)
    keys: list[str] = []
    for key in dict.fromkeys(("objective", *swept_keys(frames))):
        if key not in frame or frame[key].dropna().map(plain).nunique() < 2:
            continue
        values = frame[key].map(plain)
        if not any(_same(values, frame[other].map(plain)) for other in keys):
            keys.append(key)
    if len(frame) < 2 or not keys:
        what = f"{len(frame)} completed point{'s' * (len(frame) != 1)}: nothing differs"
        raise UserError(figure, what, "let a sweep of several finish")
    return frame, keys


def _same(one: "pd.Series[Any]", other: "pd.Series[Any]") -> bool:
    """Whether two columns part the rows alike."""
    pairs = len(set(zip(one, other, strict=True)))
    return pairs == one.nunique() == other.nunique()


def is_number(column: "pd.Series[Any]") -> bool:
    """Whether a column has numbers, which have an order and a scale, rather than words."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def is_wide(column: "pd.Series[Any]") -> bool:
    """Whether positive numbers differ by a factor of 20 or more, which a logarithmic axis shows better."""
    known = column.dropna()
    return bool(len(known) and known.min() > 0 and known.max() >= 20 * known.min())
