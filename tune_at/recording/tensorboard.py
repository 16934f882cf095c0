"""TensorBoard: a trial's curves while it runs, its place on the HParams page, its config as text.

Cards stand in the order of their tags, and only the first two groups are open: so what is judged on, and the gap that
shows overfitting, have numbers in front.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import yaml
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from tune_at.config.section import SELECTION_SPLITS
from tune_at.config.tree import Tree
from tune_at.config.trial import TrialConfig
from tune_at.recording.events import EventFile
from tune_at.recording.hparams import GAP, JUDGED, KINDS, STATUS, SWEEP, hparams, session_name
from tune_at.recording.spec import TrialSpec
from tune_at.recording.summaries import code_summary, scalar_summary, session_end_summary
from tune_at.store.failures import StorageFailed
from tune_at.store.patience import storage_patience
from tune_at.store.status import Status
from tune_at.training.record import SPLITS, EpochRecord, best_record

CLOSE_PATIENCE = 5.0
"""Seconds that the end of a trial waits for storage that fails; by then the trial itself is recorded."""


class TrialEvents:
    """One trial's events, in the folder `spec.events`.

    A trial that comes back after a kill, or goes on with other values, writes its events again from its history: it is
    one session of the HParams page, and each tag has one point an epoch.
    """

    def __init__(self, spec: TrialSpec, config: TrialConfig, history: Sequence[EpochRecord], started: datetime) -> None:
        """Begin the file. Raises `StorageFailed`.

        Args:
            spec: the trial.
            config: the values with which it is trained now.
            history: the epochs that it has.
            started: when its first epoch began.
        """
        # Where version 0.1 began it, with no folders for swept keys, it would be a second run of the same curves.
        for folder in dict.fromkeys((spec.events, spec.place.events(spec.trial))):
            folder.remove_tree()
        self.selection = config.train.selection
        self.history: list[EpochRecord] = []
        self.file = EventFile(spec.events)
        tree = config.as_tree()
        self.file.add(hparams_pb(session(spec, tree, Status.RUNNING), session_name(spec), started.timestamp()))
        self.file.add(code_summary("resolved_config", yaml.safe_dump(tree, sort_keys=False)))
        for record in history:
            self._write(record)
        self.file.flush()

    def add(self, record: EpochRecord) -> None:
        """Write one epoch and flush, so that a TensorBoard that watches sees it."""
        self._write(record)
        self.file.flush()

    def _write(self, record: EpochRecord) -> None:
        self.history.append(record)
        self.file.add(scalar_summary(dict(scalars(record, self.history, self.selection))), record.epoch)

    def close(self, status: Status) -> None:
        """Write how the trial ended, for the HParams page; of one that has not, nothing.

        Only the driver knows whether a trial that is left was stopped, or will go on.
        """
        if not status.ended:
            return
        self.file.add(session_end_summary(status))
        with contextlib.suppress(StorageFailed):  # the trial's own rows say how it ended
            self.file.flush(min(CLOSE_PATIENCE, storage_patience()))


def session(spec: TrialSpec, config: Tree, status: Status) -> dict[str, bool | float | str]:
    """What the HParams page is told of a trial: its config's leaves, the sweep that it is of, and its status.

    TensorBoard takes it once, when it first sees the trial.
    """
    return {**hparams(config), SWEEP: spec.sweep, STATUS: str(status)}


def scalars(record: EpochRecord, history: Sequence[EpochRecord], selection: str) -> Iterator[tuple[str, float]]:
    """The (tag, value) pairs of an epoch.

    Args:
        record: the epoch.
        history: all epochs so far, this one the last.
        selection: `train.selection`: by which split the best epoch is found.
    """
    judged = f"{SELECTION_SPLITS[selection]}_robust_accuracy"
    if judged in record.metrics:
        yield f"{JUDGED}/{judged.replace('_', '/', 1)}", record.metrics[judged]
    yield "training/lr", record.lr
    for name, value in record.scalars.items():
        yield f"training/{name}", value
    for split in SPLITS:
        for name, value in record.metrics.items():
            if name.startswith(f"{split}_"):
                yield f"{split}/{name.removeprefix(f'{split}_')}", value
    held_out = "test" if "test_robust_accuracy" in record.metrics else "val"  # not all data has a test split
    for kind in KINDS:
        train, other = (record.metrics.get(f"{split}_{kind}_accuracy") for split in ("train", held_out))
        if train is not None and other is not None:
            yield f"{GAP}/{kind}", train - other
    best = best_record(history, selection)
    if best is not None:
        yield "best/epoch", best.epoch
        for name, value in best.metrics.items():
            if name.endswith("accuracy"):
                yield f"best/{name}", value
    yield "seconds/training", record.train_seconds
    yield "seconds/evaluation", record.evaluation_seconds
