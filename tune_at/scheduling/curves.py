"""The whole curves of a sweep's trials, as a replay needs them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from tune_at.config.scheduler import METRICS, find_metric
from tune_at.config.section import SELECTION_SPLITS
from tune_at.errors import UserError
from tune_at.scheduling.board import Board, TrialState
from tune_at.seeding import derive_seed
from tune_at.store.snapshot import Snapshot
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.study.trials import Trial
from tune_at.wording import counted

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Recording:
    """The curves of a sweep, in the order in which its trials start; the seeds of a point stand together."""

    study: Study
    states: Sequence[TrialState]
    metrics: Sequence[str]
    """Those that the sweep reports, without a split."""
    points: Places
    """Of each trial, the number of its point."""
    left_out: int = 0
    """Trials that have not ended."""
    lasts: Places = field(init=False)
    """Of each trial, its last epoch."""

    def __post_init__(self) -> None:
        """Work out the rest."""
        object.__setattr__(self, "lasts", np.array([state.epoch for state in self.states], dtype=np.int64))

    @property
    def score(self) -> str:
        """By what points are ranked: robust accuracy, as everywhere; of curves from elsewhere what they have."""
        return self.metrics[0]

    def find_metric(self, written: str) -> str:
        """A metric by its name, or the first of the sweep. Raises `UserError` if the sweep does not report it."""
        if not written:
            return self.metrics[0]
        metric = find_metric(written, self.study.selection, "--metric")
        if metric not in self.metrics:
            raise UserError("--metric", f"{metric} has no value in this sweep", f"it has {', '.join(self.metrics)}")
        return metric

    def orders(self, count: int, seed: int) -> Iterator[list[int]]:
        """Orders in which trials might have started: first the one in which they did, then points shuffled by seed."""
        members: list[list[int]] = [[] for _ in range(int(self.points.max()) + 1)]
        for trial, point in enumerate(self.points):
            members[point].append(trial)
        yield list(range(len(self.states)))
        for number in range(1, count):
            shuffled = np.random.default_rng(derive_seed(seed, "order", number)).permutation(len(members))
            yield [trial for point in shuffled for trial in members[point]]


def read_recording(sweep: Sweep, snapshot: Snapshot | None = None, stopped_too: bool = False) -> Recording:
    """The whole curves of a sweep.

    Args:
        sweep: the sweep.
        snapshot: its tables, if they were read before.
        stopped_too: take curves that were stopped early as if they ended there by themselves.

    Raises:
        UserError: fewer than two points to choose from, or curves that are not whole.
    """
    where, study = str(sweep.folder), sweep.study
    snapshot = snapshot or sweep.read()
    if study.stages:
        problem = "has stages: later trials learn from earlier ones, which no scheduler may stop"
        raise UserError(where, problem, "replay a sweep without stages")
    if study.lengths:
        problem = "its points have runs of several lengths, and only of some is the longest recorded"
        raise UserError(where, problem, "replay a sweep with scheduler=fifo")
    if "exploit" in set(snapshot.arrow("decisions")["action"].to_pylist()):
        problem = "its trials went on from others' weights (pbt): none of their curves is one training's"
        raise UserError(where, problem, "replay a sweep with scheduler=fifo")
    statuses = sweep.statuses(snapshot)
    trials = sweep.trials(snapshot)
    if study.curves:  # whatever way the study was opened
        study = replace(study, curves=replace(study.curves, read=lambda: trials))
    ended = [trial for trial in trials if statuses.get(trial.name, Status.PENDING).ended]
    stopped = sum(statuses[trial.name] is Status.STOPPED for trial in ended)
    if stopped and not stopped_too:
        raise UserError(
            where,
            f"{stopped} of {counted(len(trials), 'trial')} {'was' if stopped == 1 else 'were'} stopped early:"
            " what they would have come to is not recorded",
            "replay curves that ran to their end, or --stopped-too to take their curves as they are",
        )
    states, metrics = _states(ended, statuses, snapshot, study.selection)
    points = _points(ended, len(study.seeds))
    if len(set(points)) < 2:
        problem = f"has {counted(len(set(points)), 'point')} whose trials have ended: there is nothing to choose from"
        raise UserError(where, problem, "replay a sweep of at least two")
    if not metrics:
        raise UserError(where, "no epoch has been evaluated", "replay a sweep that has been")
    return Recording(study, states, metrics, points, len(trials) - len(ended))


def _states(
    trials: Sequence[Trial], statuses: Mapping[str, Status], snapshot: Snapshot, selection: str
) -> tuple[list[TrialState], list[str]]:
    """The trials with all that they have reported, and the metrics that are reported at all."""
    board = Board(len(trials))
    board.add(trials)
    epochs = snapshot.arrow("epochs")
    columns = {metric: f"{SELECTION_SPLITS[selection]}_{metric}" for metric in METRICS}
    columns = {metric: column for metric, column in columns.items() if column in epochs.column_names}
    metrics = [metric for metric, column in columns.items() if pc.any(pc.is_finite(epochs[column])).as_py()]
    rows = epochs.select(["epoch", *columns.values()]).to_pylist()
    for name, row in zip(epochs["trial"].to_pylist(), rows, strict=True):
        if name in board.by_name:
            board.by_name[name].report(row["epoch"], row, metrics)
    for state in board.states:
        state.status = statuses[state.name]
    return board.states, metrics


def _points(trials: Sequence[Trial], seeds: int) -> Places:
    """The number of each trial's point, in order of first appearance; with one seed each trial is its own."""
    keys = [repr(sorted(trial.swept.items())) if seeds > 1 else trial.name for trial in trials]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)
