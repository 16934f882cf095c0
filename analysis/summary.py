"""A sweep's outcome in lines: its best point, or the best of each group; of a search for several metrics, the front."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from analysis.exploits import exploits, values_at
from analysis.ranking import fronts, rank
from tune_at.config.scheduler import find_metric, is_loss
from tune_at.config.search import Optuna
from tune_at.config.section import SELECTION_SPLITS
from tune_at.store.status import Status
from tune_at.study.points import Point, Ranking
from tune_at.study.study import Study
from tune_at.wording import assignments, counted, trial_label

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 8
"""Lines for groups, or for the trials of a front; the others are counted."""

INDENT = " " * 12


def summary(
    study: Study,
    trials: "pd.DataFrame",
    epochs: "pd.DataFrame",
    decisions: "pd.DataFrame",
    picture: str,
    ranking: Ranking | None = None,
) -> list[str]:
    """What came out of a sweep, in lines; none if there is nothing to compare.

    `picture`: where `report` puts the figure `pareto_front`; `ranking`: of the trials by robust accuracy, if it is
    known.
    """
    if len(trials) < 2:
        return []
    if isinstance(study.search, Optuna) and len(study.search.objectives) > 1:
        metrics = [_metric(study, objective) for objective in study.search.objectives]
        robust = next((metric for metric in metrics if metric.startswith("robust")), metrics[0])
        return _front(
            study, study.search.score, metrics, rank(trials, epochs, len(study.seeds), robust), epochs, picture
        )
    ranking = ranking or rank(trials, epochs, len(study.seeds), within=study.scheduler.compared_within)
    if not any(point.measured for point in ranking.points):
        return []
    selection = trials["selection"].iloc[0]
    if ranking.comparison.count > 1:
        return _best_of_each(study, ranking, selection)
    best = ranking.best(0)
    if best is None:
        return ["best        none: every point has a seed that diverged or failed"]
    lines = [f"best        {_standing(best, f'highest{_mean(best)} robust accuracy on {selection} data, ')}"]
    if best.planned > 1:
        lines.append(f"{INDENT}{_members(best)}")
    row = best.trials[0]
    if changed := exploits(decisions, row["trial"], int(row["best_epoch"])):
        values = assignments(values_at(decisions, row["trial"], int(row["best_epoch"])))
        lines.append(f"{INDENT}trained there with {values}, from the exploit after epoch {max(changed)}")
    if higher := _higher(ranking, best):
        lines.append(f"{INDENT}{higher}")
    notes = _notes(study, best)
    return lines + [f"{INDENT}{'; '.join(notes)}"] * bool(notes)


def _standing(point: Point, before: str = "") -> str:
    """`00-trades-s0 at epoch 8: 40.0%`, `trades: 76.0% ± 2.1% (3 seeds)`."""
    if point.planned == 1:
        return f"{trial_label(point.name)} at epoch {int(point.trials[0]['best_epoch'])}: {before}{point.score:.1%}"
    spread = point.spread("score")
    plus = "" if spread != spread else f" ± {spread:.1%}"
    return f"{trial_label(point.name)}: {before}{point.score:.1%}{plus} ({point.seeds})"


def _mean(point: Point) -> str:
    return " mean" if point.planned > 1 else ""


def _members(point: Point) -> str:
    """The trials of a point, each with its own best epoch."""
    rows = [f"{r['trial']} at epoch {int(r['best_epoch'])} ({r['score']:.1%})" for r in point.measured]
    return "its trials: " + _listed(rows, 4)


def _listed(words: Sequence[str], most: int) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def _higher(ranking: Ranking, best: Point) -> str:
    """The point whose mean is higher than the best one's, and which has lost a seed or lacks one."""
    others = [p for p in ranking.of(best.group) if p.measured and p.score > best.score]
    first = max(others, key=lambda p: p.score, default=None)
    return f"a higher mean without all of its seeds: {_standing(first)}" if first else ""


def _judged(study: Study) -> list[str]:
    """What a search or a scheduler went by, if not by what points are ranked by."""
    notes = []
    if study.search.judged_by and _metric(study, study.search.judged_by[0]) != "robust_accuracy":
        notes.append(f"the search was for {_metric(study, study.search.judged_by[0])}")
    if study.scheduler.early and _metric(study, study.scheduler.metric) != "robust_accuracy":
        notes.append(f"the scheduler judged {_metric(study, study.scheduler.metric)}")
    return notes


def _notes(study: Study, best: Point) -> list[str]:
    notes = _judged(study)
    stopped = [row for row in best.measured if row["status"] == Status.STOPPED]
    if stopped and best.planned == 1:
        notes.append(f"this trial was stopped after epoch {stopped[0]['epochs']}")
    elif stopped:
        notes.append(f"{len(stopped)} of its trials {'was' if len(stopped) == 1 else 'were'} stopped early")
    return notes


def _best_of_each(study: Study, ranking: Ranking, selection: str) -> list[str]:
    """The best point within each group, or why there is none."""
    comparison = ranking.comparison
    measured = [point for point in ranking.points if point.measured]
    keys = " and ".join(comparison.keys)
    verb = "differs" if len(comparison.keys) == 1 else "differ"
    if len({point.group for point in measured}) == len(measured):
        what = "its own trial" if measured[0].planned == 1 else "its own point"
        return [f"best        none: {keys} {verb} from trial to trial, so that each value has only {what}"]
    winners = [(group, best) for group in range(comparison.count) if (best := ranking.best(group))]
    lines = [f"best        for each {keys}, by{_mean(measured[0])} robust accuracy on {selection} data:"]
    lines += [f"{INDENT}{comparison.label(group)}: {_standing(best)}" for group, best in winners[:SHOWN]]
    lines += _more(len(winners) - SHOWN, "group")
    return lines + [f"{INDENT}{'; '.join(notes)}" for notes in [_judged(study)] if notes]


def _more(hidden: int, noun: str) -> list[str]:
    return [f"{INDENT}and {counted(hidden, 'more ' + noun)}"] if hidden > 0 else []


def _front(
    study: Study, score: str, metrics: Sequence[str], ranking: Ranking, epochs: "pd.DataFrame", picture: str
) -> list[str]:
    """The points on the front, at the epochs that count for the search; a front a group, where there are several."""
    points = [p for p in ranking.points if all(r["status"] == Status.COMPLETED for r in p.trials) and p.whole]
    if not points:
        return []
    values = _values(points, metrics, score, epochs)
    signs = [-1 if is_loss(metric) else 1 for metric in metrics]
    on_front = fronts(points, [[s * v for s, v in zip(signs, row, strict=True)] for row in values])
    what = "completed trials" if len(study.seeds) == 1 else f"points with {len(study.seeds)} seeds"
    selection = points[0].trials[0]["selection"]
    head = f"front       {sum(on_front)} of {len(points)} {what} are on the Pareto front of {' and '.join(metrics)}"
    keys = f" for each {' and '.join(ranking.comparison.keys)}" if ranking.comparison.count > 1 else ""
    lines = [f"{head} on {selection} data{keys}:"]
    chosen = sorted((place for place, flag in enumerate(on_front) if flag), key=lambda p: -signs[0] * values[p][0])
    lines += [
        f"{INDENT}{trial_label(points[place].name)}: {_pair(metrics, values[place])}"
        for place in _spread(chosen, SHOWN)
    ]
    lines += _more(len(chosen) - SHOWN, "point" if len(study.seeds) > 1 else "trial")
    # The figure is of both accuracies at the best epochs, whatever was searched for.
    same = {*metrics} == {"natural_accuracy", "robust_accuracy"} and score == "best"
    if same and "pareto_front" in study.figures:
        lines.append(f"{INDENT}`report` draws it: {picture}")
    return lines


def _spread(chosen: Sequence[int], most: int) -> list[int]:
    """At most so many of a sequence, evenly apart, both ends among them."""
    if len(chosen) <= most:
        return list(chosen)
    return [chosen[round(place * (len(chosen) - 1) / (most - 1))] for place in range(most)]


def _pair(metrics: Iterable[str], values: Iterable[float]) -> str:
    """`90.1% natural accuracy, 0.532 robust loss`."""
    both = zip(metrics, values, strict=True)
    return ", ".join(f"{v:.3g} {m}" if is_loss(m) else f"{v:.1%} {m}" for m, v in both).replace("_", " ")


def _values(points: Sequence[Point], metrics: Sequence[str], score: str, epochs: "pd.DataFrame") -> list[list[float]]:
    """The metrics of each point, means over its seeds: at each trial's best epoch, or at its last evaluated one."""
    split = SELECTION_SPLITS[points[0].trials[0]["selection"]]
    measured = epochs[epochs[f"{split}_robust_accuracy"].notna()]
    if score == "best":
        best = {(row["trial"], int(row["best_epoch"])) for point in points for row in point.trials}
        keys = zip(measured["trial"], measured["epoch"], strict=True)
        measured = measured[[key in best for key in keys]]
    last = measured.sort_values("epoch").groupby("trial").tail(1).set_index("trial")
    columns = [last[f"{split}_{metric}"].to_dict() for metric in metrics]
    return [[sum(c[row["trial"]] for row in point.trials) / len(point.trials) for c in columns] for point in points]


def _metric(study: Study, written: str) -> str:
    return find_metric(written, study.selection, study.origin)
