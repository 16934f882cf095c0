"""A trial's own row of the `trials` table, and the log of its failure."""

import json
import os
import platform
import resource
import socket
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tune_at.config.trial import TrialConfig
from tune_at.recording.spec import TrialSpec
from tune_at.store.failures import DamagedPart
from tune_at.store.files import write_whole
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import read_part
from tune_at.store.place import Place
from tune_at.store.schema import build_table
from tune_at.store.status import Status
from tune_at.store.writer import part_path, write_rows
from tune_at.version import __version__

if TYPE_CHECKING:
    import torch

WORKER_COLUMNS = ("started", "best_epoch", "device", "peak_memory_mb", "node")
"""What only a trial's worker can tell of its row; each of its results carries it."""


def write_trial(spec: TrialSpec, status: Status, **columns: Any) -> None:
    """Write a trial's row of the `trials` table; `columns` are those that only some writers know."""
    write_rows(spec.folder, "trials", spec.trial, [trial_row(spec, status, **columns)])


def trial_row(spec: TrialSpec, status: Status, **columns: Any) -> dict[str, Any]:
    """The row that `write_trial` writes."""
    config = TrialConfig.parse(spec.config, complete=False, data=spec.known)
    return {
        "sweep": spec.sweep,
        "study": spec.study,
        "stage": spec.stage,
        "trial": spec.trial,
        "seed": config.seed,
        "status": status,
        "epochs": 0,
        "selection": config.train.selection,
        "config": config.as_json(spec.schema),
        "config_hash": config.hash,
        "ended": datetime.now(UTC) if status.ended else None,
        "node": socket.gethostname(),
        "versions": versions(),
        "proposal": spec.proposal,
        **columns,
        **spec.swept,
    }


def write_stopped(spec: TrialSpec, epochs: int, worker: Mapping[str, Any]) -> None:
    """Record that the scheduler has stopped a trial after `epochs`; `worker`: its `WORKER_COLUMNS`."""
    write_trial(spec, Status.STOPPED, **worker, epochs=epochs)


def write_failure(spec: TrialSpec, error: BaseException) -> Place:
    """Record a trial that raised: its status, the cause in one line, and the whole traceback in `logs/`."""
    folder = spec.place
    path = folder.log(spec.trial)
    write_whole(path, "".join(traceback.format_exception(error)).encode())
    write_trial(
        spec,
        Status.FAILED,
        **worker_columns(folder, spec.trial),
        epochs=stored_epochs(folder, spec.trial),
        error=cause_of(error),
    )
    return path


def worker_columns(folder: SweepFolder, trial: str) -> dict[str, Any]:
    """The trial's `WORKER_COLUMNS` as its row has them, for whoever has no result of it at hand."""
    row = stored_row(folder, trial)
    return {column: row.get(column) for column in WORKER_COLUMNS}


def cause_of(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def stored_row(folder: SweepFolder, trial: str) -> dict[str, Any]:
    """The trial's row of the `trials` table; empty if there is none, or no whole one."""
    rows = _stored(folder, "trials", trial).to_pylist()
    return dict(rows[0]) if rows else {}


def stored_epochs(folder: SweepFolder, trial: str) -> int:
    """The number of the trial's rows in the `epochs` table; 0 if its file is damaged."""
    return int(_stored(folder, "epochs", trial).num_rows)


def _stored(folder: SweepFolder, table: str, trial: str) -> pa.Table:
    path = part_path(folder, table, trial)
    try:
        return read_part(path) if path.exists() else build_table(table, [])
    except DamagedPart:
        return build_table(table, [])


def versions() -> str:
    """What the numbers depend on, as JSON."""
    import torch

    numbers = {
        "tune_at": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    return json.dumps(numbers)


def device_name(device: "torch.device") -> str:
    """The device in words: the GPU's name, or `cpu` with the machine's architecture."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


def peak_memory_mb(device: "torch.device") -> float:
    """Peak memory so far in MiB: on a GPU what torch allocated, on a CPU the whole worker's resident set."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if os.uname().sysname == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
