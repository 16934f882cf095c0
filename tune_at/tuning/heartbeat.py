"""What a sweep's driver says of itself while it runs: the file `driver.json` of the sweep's folder, written every 10 s.

It is for those who look on, as `status` does: nothing that a sweep does depends on it. Whether a driver lives says the
sweep's lock; the file says which one it was, since when, what its machines do, and how it ended. One that was killed
leaves a file that says nothing of an end. Imports no Ray.
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from tune_at.errors import UserError
from tune_at.store.layout import SweepFolder
from tune_at.tuning.machines import Capacity, Gpu, local_gpus

EVERY = 10.0
"""Seconds between two words of a driver's."""
PARTING = 5.0
"""Seconds that a driver waits at its end for a word that is being written."""


@dataclass
class DriverRecord:
    """What `driver.json` holds; times are ISO 8601 in UTC."""

    pid: int = 0
    host: str = ""
    started: str = ""
    heard: str = ""
    """When it was written."""
    ended: str = ""
    """When the driver ended; empty while it runs, and of one that was killed."""
    outcome: str = ""
    """How: `finished` if no trial is left to run, `interrupted` by the user or a batch system, `failed`."""
    reason: str = ""
    """Why it failed."""
    at_once: int = 0
    """Trials at a time at most; 0 is unknown."""
    working: list[str] = field(default_factory=list)
    """The trials that have a worker; one that is running and has none is paused."""
    capacity: dict[str, float] | None = None
    """`Capacity`; None is unknown."""
    gpus: list[dict[str, Any]] | None = None
    """`Gpu` each, of the driver's machine; None where none can be asked."""

    @classmethod
    def read(cls, folder: SweepFolder) -> "DriverRecord | None":
        """What the newest driver has said; None for a sweep of an older version, or a file of another form."""
        try:
            found = json.loads(folder.driver.read_bytes())
            record = cls(**{name: value for name, value in found.items() if name in cls.__dataclass_fields__})
            return record if record.started and record.heard else None
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return None


class Heartbeat:
    """Writes the record while it is entered, in a thread: neither storage nor a GPU can hold up the driver."""

    def __init__(self, folder: SweepFolder, at_once: int, every: float = EVERY) -> None:
        self.folder, self.every = folder, every
        self.record = DriverRecord(os.getpid(), socket.gethostname(), _now(), at_once=at_once)
        self.capacity: Capacity | None = None
        self.gpus: Sequence[Gpu] | None = None
        self.working: tuple[str, ...] = ()
        self.finished, self.reason = False, ""
        """How the sweep ends, once that is known."""
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._beat, name="tune-at-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = isinstance(error, KeyboardInterrupt)
        reason = "" if error is None or interrupted else str(error) or type(error).__name__
        record = self.record
        record.reason, record.ended, self.working = self.reason or reason, _now(), ()
        finished = self.finished and error is None
        record.outcome = "failed" if record.reason else "finished" if finished else "interrupted"
        self.over.set()
        self.thread.join(PARTING)  # storage may not answer

    def _beat(self) -> None:
        while True:
            self.gpus = local_gpus()
            self._write()
            if self.over.wait(self.every):
                break
        self._write()

    def _write(self) -> None:
        self.record.heard, self.record.working = _now(), list(self.working)
        self.record.capacity = asdict(self.capacity) if self.capacity else None
        self.record.gpus = None if self.gpus is None else [asdict(gpu) for gpu in self.gpus]
        with contextlib.suppress(UserError, OSError):  # who writes results will tell of it, and be patient
            self.folder.driver.write_whole(json.dumps(asdict(self.record), indent=1).encode(), patience=0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
