"""`status --json`: where a sweep stands, for scripts. What the keys mean is in docs/reference/status.md.

Keys are only added, never renamed or removed, while `format` is the same. A number that is not known is null; there is
no NaN and no infinity.
"""

import math
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from tune_at.store.status import Status
from tune_at.study.points import Point
from tune_at.tuning.launch import resume_command
from tune_at.tuning.live_tables import TrialView
from tune_at.tuning.machines import from_record

if TYPE_CHECKING:
    from tune_at.cli.standing import Standing

FORMAT = 1


def as_json(standing: "Standing") -> dict[str, Any]:
    """The object, of plain values alone."""
    sweep, driver = standing.sweep, standing.driver
    capacity, gpus = from_record(driver.__dict__) if driver else (None, [])
    found = {
        "format": FORMAT,
        "sweep": sweep.name,
        "folder": str(sweep.folder),
        "study": sweep.study.name,
        "title": sweep.study.title,
        "preset": sweep.study.preset,
        "state": str(standing.state),
        "reason": driver.reason if driver and not standing.running else "",
        "time": standing.now.isoformat(timespec="seconds"),
        "trials": {"total": sum(standing.counts.values())} | {str(s): standing.counts.get(s, 0) for s in SHOWN},
        "epochs": {"done": standing.done_epochs, "left_at_most": standing.left_epochs},
        "seconds_elapsed": standing.elapsed,
        "seconds_left": standing.seconds_left,
        "seconds_left_at_most": standing.seconds_left_at_most,
        "best": [_point(point, standing) for point in standing.winners],
        "running": [_running(view, standing.rows[view.name]) for view in standing.under_way],
        "stopped": [
            {**stop.__dict__, "metric": standing.metric} for stop in standing.stops
        ],
        "failed": [
            {"trial": name, "epoch": row["epochs"], "error": row["error"], "log": str(sweep.folder.log(name))}
            for name, row in standing.rows.items() if row["status"] == Status.FAILED
        ],
        "driver": None if driver is None else {
            "pid": driver.pid, "host": driver.host, "started": driver.started, "heard": driver.heard,
            "ended": driver.ended or None, "at_once": driver.at_once or None,
        },
        "machines": capacity.__dict__ if capacity else None,
        "gpus": [gpu.__dict__ for gpu in gpus],
        "resume": None if standing.running or not standing.left else resume_command(sweep.folder),
    }  # fmt: skip
    cleaned: dict[str, Any] = clean(found)
    return cleaned


SHOWN = tuple(status for status in Status if status is not Status.STORAGE)
"""The statuses that a trial may have for who looks on."""


def _point(point: Point, standing: "Standing") -> dict[str, Any]:
    comparison = standing.ranking.comparison
    rows = [{"trial": r["trial"], "epoch": int(r["best_epoch"]), "value": r["score"]} for r in point.measured]
    return {
        "point": point.name,
        "group": comparison.label(point.group) if comparison.count > 1 else "",
        "metric": f"{standing.split}_robust_accuracy",
        "mean": point.score,
        "spread": point.spread("score"),
        "seeds": len(point.measured),
        "seeds_planned": point.planned,
        "trials": rows,
    }


def _running(view: TrialView, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "trial": view.name, "stage": view.trial.stage, "epoch": view.epoch, "epochs": view.epochs,
        "metrics": view.metrics,
        "started": row["started"], "node": row["node"], "device": row["device"],
        "peak_memory_mb": row["peak_memory_mb"],
    }  # fmt: skip


def clean(value: Any) -> Any:
    """A value of plain types alone: NaN and infinities as None, times as text, NumPy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean(inner) for inner in value]
    if hasattr(value, "isoformat"):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
