"""A sweep's points as a table: what was swept, and what came out of it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.exploits import values_at
from analysis.frames import Frames
from analysis.notes import left_out, noted
from analysis.ranking import rank
from tune_at.errors import UserError
from tune_at.store.status import Status
from tune_at.study.comparison import plain
from tune_at.study.points import Point
from tune_at.wording import counted


def completed_points(frames: Frames, figure: str) -> tuple[pd.DataFrame, list[Point]]:
    """Each point whose trials have all completed, at their best epochs, on the selection split: means over seeds.

    Returns:
        A frame with a row a point, and the points in its order. Columns trial (of several seeds the point's name),
        objective, seeds, natural, robust (in [0, 1]), natural_spread, robust_spread (standard deviation over seeds,
        ddof 1; NaN for one), group (in words, what metrics are measured on where that differs), front (False); and each
        swept or mutated value by its dotted path, as it was at that epoch. The points that are left out are noted.

    Raises:
        UserError: there is no such point; `figure` is where the message says it is missing.
    """
    paths = swept_keys(frames)
    trials = frames.trials.assign(selection=frames.trials["train.selection"])
    ranking = rank(trials, frames.epochs, frames.seeds, swept=frames.swept, within=frames.scheduler.compared_within)
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
    told = dict(zip(frames.told["trial"], frames.told["status"], strict=True))
    reasons = [_reason(point, told) for point in ranking.points if point not in completed]
    return noted(pd.DataFrame(rows), left_out(reasons, len(ranking.points))), completed


def _reason(point: Point, told: Mapping[str, str]) -> str:
    """Why a point is not shown: the status of its first trial that is not completed, or what it lacks."""
    others = [told[row["trial"]] for row in point.trials if row["status"] != Status.COMPLETED]
    lacking = "not evaluated" if len(point.trials) >= point.planned else "without all of its seeds"
    return str(others[0]) if others else lacking


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

    Of keys that one axis sets together and that part the points alike (a schedule's name and its milestones) only the
    first is there. A key of a search's space, or an axis of its own, always is: two that were drawn from ranges part
    the points alike, and neither follows from the other. What is not there, or not of every point, is noted, and where
    points were measured on different things.

    Raises:
        UserError: there are fewer than two points, or nothing differs.
    """
    frame, _ = completed_points(frames, figure)
    keys: list[str] = []
    said: list[str] = []
    for key in dict.fromkeys(("objective", *swept_keys(frames))):
        if key not in frame:
            continue
        values = frame[key].map(plain)
        known = values[frame[key].notna()]
        if known.nunique() < 2:
            if key in swept_keys(frames) and len(known):
                which = "each" if len(known) == len(frame) else "its"
                said.append(f"not shown: {key}, {known.iloc[0]} at {which} point")
            continue
        together = {other for group in frames.linked if key in group for other in group}
        same = next((other for other in keys if other in together and _same(values, frame[other].map(plain))), None)
        if same is None:
            keys.append(key)
        else:
            said.append(f"not shown: {key}, which follows from {same}")
    if len(frame) < 2 or not keys:
        what = f"{counted(len(frame), 'completed point')}: nothing differs"
        raise UserError(figure, what, "let a sweep of several finish")
    if frame["group"].nunique() > 1:
        words = sorted({part.partition("=")[0] for label in frame["group"] for part in label.split(", ") if part})
        said.append(f"points that differ in {' or '.join(words)} do not compare")
    return noted(frame, *said), keys


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
