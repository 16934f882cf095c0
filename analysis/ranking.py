"""Which of a sweep's trials are best, and with which values."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tune_at.config.scheduler import FIFO, find_metric, is_loss
from tune_at.config.search import Optuna
from tune_at.config.section import SELECTION_SPLITS
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.wording import assignments

if TYPE_CHECKING:
    import pandas as pd


def best_trials(trials: "pd.DataFrame", epochs: "pd.DataFrame") -> "pd.DataFrame":
    """The rows of trials that have a best epoch, by their robust accuracy there on the selection split, best first.

    Adds the column `score`. Diverged and failed trials win nothing.
    """
    able = trials[trials["best_epoch"].notna() & ~trials["status"].map(lambda status: Status(status).void)].copy()
    at = epochs.set_index(["trial", "epoch"])
    places = zip(able["trial"], able["best_epoch"].astype(int), able["selection"].map(SELECTION_SPLITS), strict=True)
    able["score"] = [at.loc[(trial, epoch), f"{split}_robust_accuracy"] for trial, epoch, split in places]
    return able.sort_values(["score", "trial"], ascending=[False, True], ignore_index=True)


def undominated(points: Sequence[Sequence[float]]) -> list[bool]:
    """Whether each point is on the front: no other is at least as good in all and better in one. More is good."""
    return [not any(o != p and all(a >= b for a, b in zip(o, p, strict=True)) for o in points) for p in points]


def exploits(decisions: "pd.DataFrame", trial: str, epoch: int) -> dict[int, dict[str, Any]]:
    """The changes that exploits had made to a trial's values when `epoch` was trained, by the epoch after which."""
    found = decisions[(decisions["trial"] == trial) & (decisions["action"] == "exploit") & (decisions["epoch"] < epoch)]
    return {int(row["epoch"]): json.loads(row["changes"]) for row in found.sort_values("epoch").to_dict("records")}


def values_at(decisions: "pd.DataFrame", trial: str, epoch: int) -> dict[str, Any]:
    """The values with which an epoch was trained, by dotted path, as far as exploits had changed them by then."""
    return {path: value for changes in exploits(decisions, trial, epoch).values() for path, value in changes.items()}


def summary(
    study: Study, trials: "pd.DataFrame", epochs: "pd.DataFrame", decisions: "pd.DataFrame", picture: str
) -> list[str]:
    """A sweep's outcome in lines: the best trial by the paper's protocol; of a search for several metrics, the front.

    `picture`: where `report` puts the figure `pareto_front`.
    """
    if len(trials) < 2:
        return []
    if isinstance(study.search, Optuna) and len(study.search.objectives) > 1:
        return _front(study, study.search, trials, epochs, picture)
    ranked = best_trials(trials, epochs)
    if not len(ranked):
        return []
    best = ranked.iloc[0]
    trial, epoch = best["trial"], int(best["best_epoch"])
    where = f"highest robust accuracy on {best['selection']} data, {best['score']:.1%}"
    lines = [f"best        {trial} at epoch {epoch}: {where}"]
    if changed := exploits(decisions, trial, epoch):
        values = assignments(values_at(decisions, trial, epoch))
        lines.append(f"            trained there with {values}, from the exploit after epoch {max(changed)}")
    notes = []
    if isinstance(study.search, Optuna) and _metric(study, study.search.objectives[0]) != "robust_accuracy":
        notes.append(f"the search was for {_metric(study, study.search.objectives[0])}")
    if not isinstance(study.scheduler, FIFO) and _metric(study, study.scheduler.metric) != "robust_accuracy":
        notes.append(f"the scheduler judged {_metric(study, study.scheduler.metric)}")
    if best["status"] == Status.STOPPED:
        notes.append(f"this trial was stopped after epoch {best['epochs']}")
    return lines + [f"            {'; '.join(notes)}"] * bool(notes)


def _front(study: Study, search: Optuna, trials: "pd.DataFrame", epochs: "pd.DataFrame", picture: str) -> list[str]:
    """The size of the front over completed trials, at the epochs that count for the search."""
    metrics = [_metric(study, objective) for objective in search.objectives]
    points = []
    for trial in trials[(trials["status"] == Status.COMPLETED) & trials["best_epoch"].notna()].to_dict("records"):
        split = SELECTION_SPLITS[trial["selection"]]
        rows = epochs[(epochs["trial"] == trial["trial"]) & epochs[f"{split}_robust_accuracy"].notna()]
        row = rows[rows["epoch"] == trial["best_epoch"]] if search.score == "best" else rows.tail(1)
        points.append([float(row[f"{split}_{m}"].iloc[0]) * (-1 if is_loss(m) else 1) for m in metrics])
    if not points:
        return []
    head = f"front       {sum(undominated(points))} of {len(points)} completed trials are on the Pareto front of"
    lines = [f"{head} {' and '.join(metrics)} on {trials['selection'].iloc[0]} data"]
    # The figure is of both accuracies at the best epochs, whatever was searched for.
    same = {*metrics} == {"natural_accuracy", "robust_accuracy"} and search.score == "best"
    if same and "pareto_front" in study.figures:
        lines.append(f"            `report` draws it: {picture}")
    return lines


def _metric(study: Study, written: str) -> str:
    return find_metric(written, study.samples()[0].config.train.selection, study.origin)
