"""TensorBoard: scalars by epoch while a trial runs, and HParams with every key and the best and last metrics."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from tune_at.config.trial import TrialConfig
from tune_at.recording.events import EventFile
from tune_at.recording.hparams import KINDS, experiment, hparams, session_name
from tune_at.recording.spec import TrialSpec
from tune_at.store.failures import StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.patience import storage_patience
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.training.record import SPLITS, EpochRecord, best_record

CLOSE_PATIENCE = 5.0
"""Seconds that the end of a trial waits for storage that fails; by then the trial itself is recorded."""


class TrialEvents:
    """One trial's events, in `tensorboard/<trial>`.

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
        folder = spec.place.events(spec.trial)
        folder.remove_tree()
        self.selection = config.train.selection
        self.history: list[EpochRecord] = []
        self.file = EventFile(folder)
        self.file.add(hparams_pb(hparams(config.as_tree()), session_name(spec), started.timestamp()))
        for record in history:
            self._write(record)
        self.file.flush()

    def add(self, record: EpochRecord) -> None:
        """Write one epoch and flush, so that a TensorBoard that watches sees it."""
        self._write(record)
        self.file.flush()

    def _write(self, record: EpochRecord) -> None:
        self.history.append(record)
        values = [
            Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(record, self.history, self.selection)
        ]
        self.file.add(Summary(value=values), record.epoch)

    def close(self, status: Status) -> None:
        """Write how the trial ended, for the HParams page."""
        ends = {Status.COMPLETED: api_pb2.STATUS_SUCCESS, Status.RUNNING: api_pb2.STATUS_UNKNOWN}
        self.file.add(session_end_pb(ends.get(status, api_pb2.STATUS_FAILURE)))
        with contextlib.suppress(StorageFailed):  # the trial's own rows say how it ended
            self.file.flush(min(CLOSE_PATIENCE, storage_patience()))


def session_end_pb(status: "api_pb2.Status") -> Summary:
    """The record that ends a session on the HParams page."""
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    return _plugin_summary(metadata.SESSION_END_INFO_TAG, session_end_info=end)


def scalars(record: EpochRecord, history: Sequence[EpochRecord], selection: str) -> Iterator[tuple[str, float]]:
    """The (tag, value) pairs of an epoch."""
    yield "training/lr", record.lr
    for name, value in record.scalars.items():
        yield f"training/{name}", value
    for split in SPLITS:
        for name, value in record.metrics.items():
            if name.startswith(f"{split}_"):
                yield f"{split}/{name.removeprefix(f'{split}_')}", value
    for kind in KINDS:
        train, test = (record.metrics.get(f"{split}_{kind}_accuracy") for split in ("train", "test"))
        if train is not None and test is not None:
            yield f"gap/{kind}", train - test
    best = best_record(history, selection)
    if best is not None:
        yield "best/epoch", best.epoch
        for name, value in best.metrics.items():
            if name.endswith("accuracy"):
                yield f"best/{name}", value
    yield "seconds/training", record.train_seconds
    yield "seconds/evaluation", record.evaluation_seconds


def write_experiment(sweep: SweepFolder, study: Study) -> None:
    """Declare the HParams page of a sweep, in place of what was declared before. Raises `StorageFailed`."""
    folder = sweep.events()
    before = folder.files("events.out.tfevents.")
    file = EventFile(folder)
    file.add(_plugin_summary(metadata.EXPERIMENT_TAG, experiment=experiment(study)))
    file.flush()
    for old in before:
        old.unlink(missing_ok=True)


def _plugin_summary(tag: str, **content: Any) -> Summary:
    # TensorBoard's own helpers for these want TensorFlow, or cannot say which keys differ.
    data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString())
    return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))])
