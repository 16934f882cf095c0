"""TensorBoard: what only a sweep's driver knows of it. Of the whole sweep: columns, layout, study, how many have ended.
Of a trial: the decisions about it, as text, and how it has ended.

A trial's worker writes its own file in the same folder, whenever it starts. TensorBoard reads a folder's files in the
order of their names, and of what is said once, such as hyperparameters, the first counts: the driver's comes first.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from tune_at.config.section import SELECTION_SPLITS
from tune_at.recording.events import EventFile
from tune_at.recording.hparams import GAP, KINDS, STOPPED, experiment, session_name
from tune_at.recording.spec import TrialSpec
from tune_at.recording.summaries import (
    code_summary,
    experiment_summary,
    layout_summary,
    scalar_summary,
    session_end_summary,
    text_summary,
)
from tune_at.recording.tensorboard import session
from tune_at.store.failures import StorageFailed
from tune_at.store.layout import EVENTS, SWEEP_RUN, SweepFolder
from tune_at.store.patience import storage_patience
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.training.record import SPLITS

DRIVER, DECLARED = "0000000000.driver", "0000000000.declared"
"""How the driver's file in a trial's folder is called, and the sweep's file that is written again with each start."""

EVERY = 10.0
"""Seconds between two writes of the sweep's own curves: on an object store each is the whole file."""

PATIENCE = 5.0
"""Seconds that storage which fails is waited for: the driver has more to do."""

OPENED = 2
"""Categories of the page Custom scalars that are open at first."""


def layout(selection: str) -> dict[str, dict[str, list[str]]]:
    """The page Custom scalars: what belongs together in one chart, by category. `selection`: `train.selection`."""
    split = SELECTION_SPLITS[selection]
    whole = lambda pattern: [f"^{pattern}$"]
    charts = {
        kind: {
            f"{kind} accuracy: train, val and test": whole(f"(train|val|test)/{kind}_accuracy"),
            f"{kind} gap: train - test": whole(f"{GAP}/{kind}"),
        }
        for kind in KINDS
    }
    return {
        "Judged by": {f"{split} robust accuracy": whole(f"{split}/robust_accuracy")},
        "Robust: overfitting": charts["robust"],
        "Natural": charts["natural"],
        "Losses": {f"{split}: natural and robust loss": whole(f"{split}/(natural|robust)_loss") for split in SPLITS},
        "Training": {"learning rate": whole("training/lr"), "the objective's own loss": whole("training/loss")},
    }


def write_declaration(events: SweepFolder, studies: Mapping[str, Study], older: bool = False) -> None:
    """Write what TensorBoard is told of a whole sweep, in place of what it was told before. Raises `StorageFailed`.

    Args:
        events: the folder whose events they are.
        studies: the study, by the sweep's name; several stand on one page.
        older: whether all trials are of version 0.1.
    """
    for old in events.events().files(EVENTS):  # where version 0.1 had it, which TensorBoard shows as a run called `.`
        old.unlink(missing_ok=True)
    file = EventFile(events.events(SWEEP_RUN), DECLARED)
    file.add(experiment_summary(experiment(studies, older)))
    file.add(layout_summary(layout(next(iter(studies.values())).selection), OPENED))
    for name, study in studies.items():
        file.add(code_summary("study" if len(studies) == 1 else f"study/{name}", study.as_yaml()))
    file.add(scalar_summary({"sweep/trials": float(sum(study.size for study in studies.values()))}))
    file.flush()


class SweepEvents:
    """The driver's files. What fails with the storage is given up: the tables have it all."""

    def __init__(self, folder: SweepFolder, statuses: Mapping[str, Status]) -> None:
        """`statuses`: of the trials that have ended before, and are not run again."""
        self.folder = folder
        self.trials: dict[str, EventFile] = {}
        """Those that have not ended, as far as anything was decided about them."""
        self.ended_before = {name for name, status in statuses.items() if status.ended}
        self.counts = Counter(status for status in statuses.values() if status.ended)
        self.file: EventFile | None = None
        self.written = 0.0

    def decided(self, spec: TrialSpec, texts: Mapping[int, str], new: Iterable[int]) -> None:
        """Write decisions about a trial.

        Args:
            spec: the trial.
            texts: all decisions about it in words, by epoch.
            new: the epochs of those that nobody has written yet.
        """
        file = self.trials.get(spec.trial)
        if file is None:
            file, new = self._open(spec), sorted(texts)
        for epoch in new:
            file.add(text_summary("decisions", texts[epoch]), epoch)
        self._flush(file)

    def ended(
        self, spec: TrialSpec, status: Status, epoch: int, started: datetime | None, texts: Mapping[int, str]
    ) -> None:
        """Write how a trial has ended.

        Args:
            spec: the trial.
            status: in which way.
            epoch: after which of its epochs; 0 before the first.
            started: when its first epoch began, if known.
            texts: all decisions about it in words, by epoch.
        """
        file = self._open(spec)  # from the beginning: the worker may have cleared the folder when it came back
        del self.trials[spec.trial]
        for at in sorted(texts):
            file.add(text_summary("decisions", texts[at]), at)
        config = spec.config_after(epoch).as_tree()
        start = started.timestamp() if started else None
        file.add(hparams_pb(session(spec, config, status), session_name(spec), start))
        file.add(session_end_summary(status))
        if status is Status.STOPPED:
            file.add(scalar_summary({STOPPED: float(epoch)}), epoch)
        self._flush(file)
        if spec.trial not in self.ended_before:
            self.ended_before.add(spec.trial)
            self.counts[status] += 1
            self._count()

    def _open(self, spec: TrialSpec) -> EventFile:
        folder, older = spec.events, spec.place.events(spec.trial)
        if not folder.exists() and older.exists():
            folder = older  # its worker has not come back since version 0.1: it would be there twice
        file = self.trials[spec.trial] = EventFile(folder, DRIVER)
        return file

    def _count(self) -> None:
        """One point of the sweep's own curves: trials by how they have ended, against how many have."""
        if self.file is None:
            self.file = EventFile(self.folder.events(SWEEP_RUN))
        counts = {f"sweep/{status}": float(number) for status, number in self.counts.items()}
        self.file.add(scalar_summary(counts), self.counts.total())
        if time.monotonic() - self.written > EVERY:
            self.close()

    def close(self) -> None:
        """Write what is left of the sweep's own curves."""
        self.written = time.monotonic()
        if self.file is not None:
            self._flush(self.file)

    def _flush(self, file: EventFile) -> None:
        with contextlib.suppress(StorageFailed):
            file.flush(min(PATIENCE, storage_patience()))
