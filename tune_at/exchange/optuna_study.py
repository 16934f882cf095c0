"""A sweep as a study of Optuna's, in a SQLite file: for its dashboard, its plots, and samplers that go on from it."""

import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tune_at.config.scheduler import find_metric, is_loss
from tune_at.config.search import Optuna
from tune_at.config.section import SELECTION_SPLITS
from tune_at.config.space import Range
from tune_at.errors import UserError
from tune_at.store.lock import is_locked
from tune_at.store.place import temporary_beside
from tune_at.store.schema import TRIALS
from tune_at.store.snapshot import Snapshot
from tune_at.store.status import Status
from tune_at.study.sweep import Sweep
from tune_at.version import __version__

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

WIDE = 20
"""From this ratio on between positive numbers of a grid their range is logarithmic, as in our figures."""

ATTRIBUTES = ("trial", "seed", "stage", "status", "epochs", "best_epoch", "device", "error")
"""Columns of `trials` that a trial's user attributes show."""

Row = Mapping[str, Any]


class Written(NamedTuple):
    """What has been written."""

    study: str
    """Its name in the file."""
    metrics: Sequence[str]
    """Of its values, as columns of `epochs`."""
    states: Mapping[str, int]
    """How many trials are COMPLETE, PRUNED, …"""


def write_study(sweep: Sweep, path: Path, force: bool = False) -> Written:
    """Write a sweep's trials as an Optuna study, one each, into a new SQLite file, whole or not at all.

    Its name is the sweep's. A value is the metric that the sweep was judged by: at the best epoch, or at the last one
    where the search counts that; for a stopped trial what it had last. Intermediate values are by epoch. A trial that
    has diverged or failed, or was never measured, is FAIL; one that waits to be resumed is WAITING.

    Args:
        sweep: which.
        path: the file.
        force: whether to replace it if it is there.

    Raises:
        UserError: the file is there, or its folder is not; a sweep with no trial, or whose tables are damaged.
    """
    import optuna
    import sqlalchemy

    if path.exists() and not force:
        raise UserError("--optuna", f"{path} exists", "name another file, or replace it with --force")
    if path.is_dir() or not path.parent.is_dir():
        raise UserError("--optuna", f"{path} is no file in a folder that exists", "make the folder, or name another")
    results = sweep.read()
    for damage in results.damage:
        raise damage.error
    rows = _rows(sweep, results)
    if not rows:
        raise UserError(str(sweep.folder), "has no trial yet", "wait for the first, or resume the sweep")
    metrics = _metrics(sweep)
    curves = _curves(results, metrics)
    trials, told = _frozen(sweep, rows, curves, metrics)
    temporary = temporary_beside(path)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{temporary}")
        sqlalchemy.event.listen(storage.engine, "connect", _hasten)
        storage.engine.dispose()
        down, up = optuna.study.StudyDirection.MINIMIZE, optuna.study.StudyDirection.MAXIMIZE
        directions = [down if is_loss(metric.partition("_")[2]) else up for metric in metrics]
        study = optuna.create_study(storage=storage, study_name=sweep.name, directions=directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names of metrics are marked as experimental
            study.set_metric_names(metrics)
        for key, value in _about(sweep).items():
            study.set_user_attr(key, value)
        study.add_trials(trials)
        one = len(metrics) == 1  # Optuna has curves of studies with one objective alone
        _add_beside(storage, study, [curves.get(row["trial"], {}) if one else {} for row in rows], told)
        storage.remove_session()
        storage.engine.dispose()
        temporary.replace(path)
    finally:
        optuna.logging.set_verbosity(verbosity)
        temporary.unlink(missing_ok=True)
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial.state.name] = counts.get(trial.state.name, 0) + 1
    return Written(sweep.name, metrics, counts)


def _add_beside(
    storage: Any, study: "optuna.Study", curves: Sequence[Mapping[int, Sequence[float]]], told: Sequence[Row]
) -> None:
    """Write all trials' intermediate values and attributes at once: one by one they take Optuna minutes for thousands.

    `curves` and `told`: by trial.
    """
    from optuna.storages._rdb.models import TrialIntermediateValueModel, TrialUserAttributeModel

    stored = TrialIntermediateValueModel.intermediate_value_to_stored_repr
    steps, attributes = [], []
    numbers = [trial._trial_id for trial in study.get_trials(deepcopy=False)]
    for number, curve, known in zip(numbers, curves, told, strict=True):
        for epoch, (value, *_) in curve.items():
            kept, kind = stored(value)
            step = {"step": epoch, "intermediate_value": kept, "intermediate_value_type": kind}
            steps.append({"trial_id": number, **step})
        attributes += [{"trial_id": number, "key": key, "value_json": json.dumps(v)} for key, v in known.items()]
    with storage.engine.begin() as connection:
        for model, rows in ((TrialIntermediateValueModel, steps), (TrialUserAttributeModel, attributes)):
            if rows:
                connection.execute(model.__table__.insert(), rows)


def _hasten(connection: Any, _: Any) -> None:
    """Do without the disk at each of Optuna's many commits: the file counts only once it is whole."""
    for setting in ("synchronous = OFF", "journal_mode = MEMORY"):
        connection.execute(f"PRAGMA {setting}")


def _about(sweep: Sweep) -> dict[str, Any]:
    study = sweep.study
    told = {"title": study.title, "study": study.name, "preset": study.preset, "sweep": str(sweep.folder)}
    return {
        key: value for key, value in {**told, "selection": study.selection, "tune_at": __version__}.items() if value
    }


def _rows(sweep: Sweep, results: Snapshot) -> list[dict[str, Any]]:
    """The rows of the table `trials`, and one for each trial that has none yet, in the order of the sweep."""
    rows = {str(row["trial"]): row for row in results.arrow("trials").to_pylist()}
    running = is_locked(sweep.folder)
    for row in rows.values():
        if row["status"] == Status.RUNNING and not running:
            row["status"] = str(Status.INTERRUPTED)
    known = {
        trial.name: {
            "trial": trial.name, "seed": trial.config.seed, "stage": trial.stage, "status": str(Status.PENDING),
            **trial.swept,
        }
        for trial in sweep.trials(results)
    }  # fmt: skip
    return [rows.get(name, row) for name, row in known.items()] or list(rows.values())


def _metrics(sweep: Sweep) -> list[str]:
    """What the sweep was judged by, as columns of `epochs`: by its search, its scheduler, or else robust accuracy."""
    study = sweep.study
    judged = study.search.judged_by or ((study.scheduler.metric,) if study.scheduler.early else ("robust_accuracy",))
    split = SELECTION_SPLITS[study.selection]
    return [f"{split}_{find_metric(written, study.selection, study.origin)}" for written in judged]


def _curves(results: Snapshot, metrics: Sequence[str]) -> dict[str, dict[int, list[float]]]:
    """Trial → epoch → its metrics, where all of them were measured and are finite."""
    epochs = results.arrow("epochs")
    names = [metric for metric in metrics if metric in epochs.column_names]
    curves: dict[str, dict[int, list[float]]] = {}
    if len(names) < len(metrics):
        return curves
    columns = [epochs[name].to_pylist() for name in ("trial", "epoch", *names)]
    for trial, epoch, *values in zip(*columns, strict=True):
        if all(value is not None and math.isfinite(value) for value in values):
            curves.setdefault(trial, {})[epoch] = values
    return curves


def _frozen(
    sweep: Sweep, rows: Sequence[Row], curves: Mapping[str, Mapping[int, list[float]]], metrics: Sequence[str]
) -> tuple[list["FrozenTrial"], list[dict[str, Any]]]:
    """The trials as Optuna has them, without their curves; and the attributes of each."""
    import optuna

    swept = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in TRIALS.names]
    spread = {key: [value for row in rows if not _absent(value := row.get(key))] for key in swept}
    distributions = {key: _distribution(sweep, key, values) for key, values in spread.items() if values}
    last = isinstance(sweep.study.search, Optuna) and sweep.study.search.score == "last"
    trials, told = [], []
    for row in rows:
        curve = curves.get(row["trial"], {})
        best = row.get("best_epoch")
        epoch = best if best in curve and not last and row["status"] != Status.STOPPED else max(curve, default=None)
        values = None if epoch is None else curve[epoch]
        state = _state(row["status"], values is not None)
        has = [key for key in distributions if not _absent(row.get(key))]
        judged = state.name in ("COMPLETE", "PRUNED") and not (state.name == "PRUNED" and len(metrics) > 1)
        trials.append(
            optuna.trial.create_trial(
                state=state, values=values if judged else None,
                params={key: _param(row[key], distributions[key]) for key in has},
                distributions={key: distributions[key] for key in has},
            )
        )  # fmt: skip
        _set_times(trials[-1], row)
        told.append(_attributes(row, epoch, values, metrics))
    return trials, told


def _set_times(trial: "FrozenTrial", row: Row) -> None:
    """Give a trial the times that it had: Optuna shows when it ran and for how long. It has them without a zone."""
    started, ended = (row.get(name) and row[name].astimezone().replace(tzinfo=None) for name in ("started", "ended"))
    if trial.state.name != "WAITING":
        trial.datetime_start = started or ended or trial.datetime_start
    if trial.state.is_finished():
        trial.datetime_complete = ended or started or trial.datetime_complete


def _attributes(row: Row, epoch: int | None, values: Sequence[float] | None, metrics: Sequence[str]) -> dict[str, Any]:
    """What a trial is beside its parameters; where a value is none of Optuna's, it stands here."""
    told = {name: row[name] for name in ATTRIBUTES if not _absent(row.get(name))}
    if values is not None:
        told |= {"value at epoch": epoch, **dict(zip(metrics, values, strict=True))}
    return told


def _state(status: str, measured: bool) -> "TrialState":
    from optuna.trial import TrialState

    if status in (Status.COMPLETED, Status.STOPPED) and not measured:
        return TrialState.FAIL
    return {
        Status.COMPLETED: TrialState.COMPLETE, Status.STOPPED: TrialState.PRUNED, Status.DIVERGED: TrialState.FAIL,
        Status.FAILED: TrialState.FAIL, Status.RUNNING: TrialState.RUNNING,
    }.get(Status(status), TrialState.WAITING)  # fmt: skip


def _distribution(sweep: Sweep, key: str, values: Sequence[Any]) -> "BaseDistribution":
    """The space that a key was drawn from, or of a grid the range of its numbers, or its words."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    drawn = sweep.study.space.get(key)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if isinstance(drawn, Range) and numbers:
        low, high, log = drawn.low, drawn.high, drawn.log
        whole = drawn.whole
    elif numbers:
        low, high, whole = min(values), max(values), False
        log = low > 0 and high >= WIDE * low
    else:
        return CategoricalDistribution(_distinct(values))
    if min(values) < low or max(values) > high:  # what population based training has changed since
        low, high = min(low, *values), max(high, *values)
    return IntDistribution(int(low), int(high), log=log) if whole else FloatDistribution(low, high, log=log)


def _distinct(values: Iterable[Any]) -> list[Any]:
    plain = [value if isinstance(value, bool | int | float | str) else str(value) for value in values]
    return sorted(dict.fromkeys(plain), key=str)


def _param(value: Any, distribution: "BaseDistribution") -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(distribution, CategoricalDistribution):
        return value if isinstance(value, bool | int | float | str) else str(value)
    return float(value) if isinstance(distribution, FloatDistribution) else int(value)


def _absent(value: Any) -> bool:
    """Whether a trial does not have a key."""
    return value is None or (isinstance(value, float) and math.isnan(value))
