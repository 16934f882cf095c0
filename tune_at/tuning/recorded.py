"""A trial that records itself: checkpoints, rows and TensorBoard events in the sweep's folder. Knows no Ray.

The order within an epoch is what makes a kill at any moment harmless: the checkpoint, which holds the rows of all
epochs so far, is whole on the disk before the rows are; a trial that comes back starts from its newest good
checkpoint and writes the rows anew from it.
"""

import json
import logging
import os
import platform
import resource
import socket
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

import tune_at
from tune_at.config.trial import TrialConfig
from tune_at.store.files import write_whole
from tune_at.store.writer import part_path, write_rows
from tune_at.training.checkpoint import (
    DamagedCheckpoint,
    checkpoint_path,
    checkpoints,
    load_state,
    prune,
    save_state,
)
from tune_at.training.trainer import Trainer
from tune_at.tuning.tensorboard import TrialBoard

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialSpec:
    """What a worker needs to run one trial; plain values only, so that it travels as a dictionary."""

    folder: str
    sweep: str
    study: str
    stage: str
    trial: str
    config: dict[str, Any]
    swept: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The spec as a plain dictionary."""
        return asdict(self)


class RecordedTrial:
    """Runs a trial one epoch at a time and keeps its part of the sweep's folder up to date."""

    def __init__(self, spec: TrialSpec) -> None:
        self.spec = spec
        self.folder = Path(spec.folder)
        self.checkpoints = self.folder / "checkpoints" / spec.trial
        self.started = first_start(self.folder, spec.trial) or datetime.now(UTC)
        self.trainer = Trainer(TrialConfig.parse(spec.config))
        self._restore()
        self._write_rows()
        self.board = TrialBoard(self.folder, spec.trial, self.trainer)

    def step(self) -> dict[str, Any]:
        """Run the next epoch, if one is left, and record it. Returns the newest epoch as a flat result."""
        trainer = self.trainer
        if trainer.status == "running":
            record = trainer.run_epoch()
            epoch = record.epoch
            if trainer.best is record:
                self._save_best(epoch)
            if trainer.status != "running" or epoch % trainer.config.train.checkpoint_every == 0:
                trainer.save(checkpoint_path(self.checkpoints, epoch))
                prune(self.checkpoints, epoch)
            self._write_rows()
            self.board.add(record)
        newest = trainer.history[-1]
        return {
            "trial": self.spec.trial,
            "status": trainer.status,
            "epochs": trainer.config.train.epochs,
            **newest.row(),
        }

    def close(self) -> None:
        """Flush TensorBoard's file."""
        self.board.close()

    def _restore(self) -> None:
        for path in checkpoints(self.checkpoints):
            try:
                self.trainer.load_state_dict(load_state(path, self.trainer.device))
                return
            except FileNotFoundError:  # pruned by a worker that outlived its driver for a moment
                continue
            except DamagedCheckpoint as error:
                log.warning("%s; the checkpoint before it is used", error)

    def _save_best(self, epoch: int) -> None:
        state = {"epoch": epoch, "config": self.trainer.config.as_json(), "model": self.trainer.model.state_dict()}
        save_state(self.checkpoints / "best.pt", state)

    def _write_rows(self) -> None:
        rows = [{"trial": self.spec.trial, **record.row()} for record in self.trainer.history]
        write_rows(self.folder, "epochs", self.spec.trial, rows)
        best = self.trainer.best
        write_trial(
            self.spec,
            self.trainer.status,
            epochs=len(rows),
            best_epoch=best.epoch if best else None,
            started=self.started,
            device=device_name(self.trainer.device),
            peak_memory_mb=peak_memory_mb(self.trainer.device),
        )


def write_trial(spec: TrialSpec, status: str, **columns: Any) -> None:
    """Write a trial's row of the `trials` table; `columns` are those that only some writers know."""
    config = TrialConfig.parse(spec.config)
    row = {
        "sweep": spec.sweep,
        "study": spec.study,
        "stage": spec.stage,
        "trial": spec.trial,
        "seed": config.seed,
        "status": status,
        "epochs": 0,
        "selection": config.train.selection,
        "config": config.as_json(),
        "config_hash": config.hash,
        "ended": None if status == "running" else datetime.now(UTC),
        "node": socket.gethostname(),
        "versions": versions(),
        **columns,
        **spec.swept,
    }
    write_rows(Path(spec.folder), "trials", spec.trial, [row])


def write_failure(spec: TrialSpec, error: BaseException) -> Path:
    """Record a trial that raised: its status, the cause in one line, and the whole traceback in `logs/`."""
    folder = Path(spec.folder)
    path = folder / "logs" / f"{spec.trial}.txt"
    write_whole(path, "".join(traceback.format_exception(error)).encode())
    cause = f"{type(error).__name__}: {error}".splitlines()[0]
    write_trial(
        spec,
        "failed",
        epochs=finished_epochs(folder, spec.trial),
        started=first_start(folder, spec.trial),
        error=cause,
    )
    return path


def first_start(folder: Path, trial: str) -> datetime | None:
    """When the trial was first started, from its row; None for a new trial."""
    path = part_path(folder, "trials", trial)
    if not path.exists():
        return None
    started: datetime | None = pq.read_table(path, columns=["started"])["started"][0].as_py()
    return started


def finished_epochs(folder: Path, trial: str) -> int:
    """The number of the trial's rows in the `epochs` table."""
    path = part_path(folder, "epochs", trial)
    return int(pq.read_metadata(path).num_rows) if path.exists() else 0


def versions() -> str:
    """What the numbers depend on, as JSON."""
    found = {
        "tune_at": tune_at.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    return json.dumps(found)


def device_name(device: torch.device) -> str:
    """The device in words: the GPU's name, or `cpu` with the machine's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory so far in MiB: on a GPU what torch allocated, on a CPU the whole worker's resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if os.uname().sysname == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
