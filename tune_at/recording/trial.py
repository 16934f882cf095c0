"""A trial that records itself: checkpoints, rows and TensorBoard events in the sweep's folder. Knows no Ray.

The order within an epoch is what makes a kill at any moment harmless: the checkpoint, which holds the rows of all
epochs so far, is whole on the disk before the rows are; a trial that comes back starts from its newest good
checkpoint and writes the rows again from it.
"""

import socket
from datetime import UTC, datetime
from typing import Any

from tune_at.config.versions import SCHEMA
from tune_at.data.identity import as_state
from tune_at.engine.engine import prepare_device
from tune_at.recording.branch import begin, leave
from tune_at.recording.probing import Probing
from tune_at.recording.rows import device_name, peak_memory_mb, stored_epochs, stored_row, write_trial
from tune_at.recording.spec import TrialSpec
from tune_at.recording.tensorboard import TrialEvents
from tune_at.store.place import Place
from tune_at.store.writer import write_rows
from tune_at.training.checkpoint import (
    DamagedCheckpoint,
    checkpoint_epoch,
    checkpoint_path,
    checkpoints,
    load_state,
    prune,
    save_state,
)
from tune_at.training.trainer import Trainer


class RecordedTrial:
    """Runs a trial one epoch at a time and keeps its part of the sweep's folder up to date.

    Nothing is read or written before `restore`, which the first `step` calls.
    """

    trainer: Trainer
    """There after `restore`."""

    def __init__(self, spec: TrialSpec) -> None:
        self.spec = spec
        self.folder = spec.place
        self.checkpoints = self.folder.checkpoints(spec.trial)
        self.started = datetime.now(UTC)
        """When its first epoch began, perhaps in an earlier run."""
        self.probing = Probing(spec) if spec.probes else None
        self.events: TrialEvents | None = None
        """None before `restore`."""
        self.stored_epochs = 0
        """Epochs whose rows the store has."""
        self.notes: list[str] = []
        """What was damaged, for the next result."""
        self.reported = False
        """Whether the driver has heard of the newest epoch."""
        self.sound = True
        """Whether the trainer stands between two epochs; an error may have left it in the middle of one."""

    def restore(self) -> "RecordedTrial":
        """Continue from the newest good checkpoint, or begin; write the rows and events as they are then.

        What is damaged is named in `notes`. Raises `StorageFailed`, `UserError` for data that is not the checkpoint's,
        and whatever the network cannot be built for.
        """
        spec = self.spec
        self.started = stored_row(self.folder, spec.trial).get("started") or self.started
        self.stored_epochs = stored_epochs(self.folder, spec.trial)
        # Before the trainer is built: after an exploit a checkpoint may be of another config than the spec's first.
        kept, newest = self._good_checkpoints()
        # A checkpoint is older than the exploit of its own epoch.
        self.trainer = Trainer(spec.config_after(max(kept, default=1) - 1), spec.teacher_paths())
        self.trainer.observer = self.probing
        if newest is not None:
            self.trainer.load_state_dict(newest)
            self._check_best(kept, newest)
        elif spec.begins:
            self._begin()
        if self.probing and not self.trainer.history:
            self.probing.after_epoch(self.trainer.snapshot())
        self.reported = not self.trainer.history
        self._write_rows()
        self._open_events()
        return self

    def step(self) -> dict[str, Any]:
        """Run the next epoch, if one is left, and record it. Returns the newest epoch as a flat result.

        A trial that comes back reports its newest epoch first, before it runs another: the scheduler may not have
        judged that one yet.
        """
        if self.events is None:
            self.restore()
        restored = not self.reported
        if self.reported and not self.trainer.status.ended:
            self._exploit()
            trainer = self.trainer
            self.sound = False
            record = trainer.run_epoch()
            self.sound = True
            epoch = record.epoch
            if trainer.best is record:
                self._save_best(trainer.evaluated.state_dict())
            if self.probing and record.finite:
                # Before the checkpoint: an epoch that has one is not run again.
                self.probing.after_epoch(trainer.snapshot())
            if epoch == self.spec.leaves and record.finite:
                leave(self.spec, trainer)
            if trainer.status.ended or epoch % trainer.config.train.checkpoint_every == 0:
                trainer.save(checkpoint_path(self.checkpoints, epoch))
                prune(self.checkpoints, epoch)
            self._write_rows()
            assert self.events is not None
            self.events.add(record)
        self.reported = True
        trainer, newest = self.trainer, self.trainer.history[-1]
        notes, self.notes = self.notes, []
        return {
            "trial": self.spec.trial,
            "status": trainer.status,
            "epochs": trainer.config.train.epochs,
            "notes": notes,
            "lineage": len(self.spec.lineage),
            "worker": self._columns(),
            "history": [record.row() for record in trainer.history[:-1]] if restored else [],
            **newest.row(),
        }

    def close(self) -> None:
        """Leave a checkpoint of the newest epoch, and say for TensorBoard how the trial ended.

        A trial may be paused or stopped between two of its regular checkpoints.
        """
        if self.events is None:
            return
        newest = checkpoint_path(self.checkpoints, len(self.trainer.history))
        if self.sound and self.trainer.history and not newest.exists():
            self.trainer.save(newest)
            prune(self.checkpoints, len(self.trainer.history))
        self.events.close(self.trainer.status)

    def _good_checkpoints(self) -> tuple[dict[int, Place], dict[str, Any] | None]:
        """The checkpoints that are whole, by epoch, and the newest one's state; the others are named in `notes`."""
        device = prepare_device(self.spec.config_after(0).resources)
        kept: dict[int, Place] = {}
        newest = None
        for path in checkpoints(self.checkpoints):
            try:
                state = load_state(path, device)
            except FileNotFoundError:  # pruned by a worker that outlived its driver for a moment
                continue
            except DamagedCheckpoint as error:
                self.notes.append(f"{error}; the checkpoint before it is used")
                continue
            kept[checkpoint_epoch(path)] = path
            newest = newest or state
        if not kept and self.notes:
            self.notes.append("no good checkpoint is left; the trial starts again from its first epoch")
        return kept, newest

    def _begin(self) -> None:
        """Begin with the epochs that a shorter run of the same point has run already."""
        there, best = begin(self.spec, self.trainer, self.notes)
        if there:
            if best is not None:
                self._save_best(best)
            self.trainer.save(checkpoint_path(self.checkpoints, len(self.trainer.history)))
            self.folder.branch(self.spec.begins["source"]).unlink(missing_ok=True)

    def _exploit(self) -> None:
        """Go on from another trial's weights, if the scheduler has decided so after the newest epoch."""
        epoch = len(self.trainer.history)
        if any(step["epoch"] == epoch for step in self.spec.lineage):
            state = self._exploited(epoch)
            history = self.trainer.history
            self.trainer = Trainer(self.spec.config_after(epoch), self.spec.teacher_paths())
            self.trainer.observer = self.probing
            self.trainer.take_over(state, history)
            self._open_events()

    def _exploited(self, epoch: int) -> dict[str, Any]:
        """The state to go on from: the copy that was made of it, or else the source's own checkpoint."""
        try:
            return load_state(self.spec.exploit_path(epoch), self.trainer.device)
        except (FileNotFoundError, DamagedCheckpoint):
            source = next(step["source"] for step in self.spec.lineage if step["epoch"] == epoch)
            path = self.folder.checkpoint(source, epoch)
            if not path.exists():
                raise
            return load_state(path, self.trainer.device)

    def _check_best(self, kept: dict[int, Place], newest: dict[str, Any]) -> None:
        """The best weights were written before the checkpoint that says which epoch is best; were they lost since?"""
        best = self.trainer.best
        if best is None:
            return
        try:
            # A later epoch than the checkpoint's is run again, and gives the same weights.
            if load_state(self.folder.best(self.spec.trial))["epoch"] >= best.epoch:
                return
        except (DamagedCheckpoint, FileNotFoundError) as error:
            if best.epoch in kept:
                # The trainer itself says what is evaluated of that state, whatever config it was trained under.
                state = load_state(kept[best.epoch], self.trainer.device)
                self.trainer.take_over(state, self.trainer.history)
                self._save_best(self.trainer.evaluated.state_dict())
                self.trainer.load_state_dict(newest)
                return
            self.notes.append(f"{error}; the weights of the best epoch so far, {best.epoch}, are lost")

    def _save_best(self, weights: dict[str, Any]) -> None:
        best = self.trainer.best
        assert best is not None
        state = {
            "schema": SCHEMA,
            "epoch": best.epoch,
            "config": self.spec.config_after(best.epoch - 1).as_json(),
            "data": as_state(self.trainer.identity),
            "model": weights,
        }
        save_state(self.folder.best(self.spec.trial), state)

    def _write_rows(self) -> None:
        rows = [{"trial": self.spec.trial, **record.row()} for record in self.trainer.history]
        # After an old checkpoint the store knows more epochs than the trainer: they stay until they are reached again.
        if len(rows) >= self.stored_epochs:
            write_rows(self.folder, "epochs", self.spec.trial, rows)
        epochs = max(len(rows), self.stored_epochs)
        write_trial(self.spec, self.trainer.status, epochs=epochs, **self._columns())

    def _columns(self) -> dict[str, Any]:
        """The columns of the trial's row that only its worker knows."""
        best, device = self.trainer.best, self.trainer.device
        return {
            "started": self.started,
            "best_epoch": best.epoch if best else None,
            "device": device_name(device),
            "peak_memory_mb": peak_memory_mb(device),
            "node": socket.gethostname(),
        }

    def _open_events(self) -> None:
        self.events = TrialEvents(self.spec, self.trainer.config, self.trainer.history, self.started)
