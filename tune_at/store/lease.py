"""A lease on a sweep in an object store, which has no locks.

The object `.lock` names its holder, who writes it again every quarter of a minute. A lease that was not renewed for a
minute is stale and may be taken over; so may at once that of a process of this machine which is no more. Two who take a
lease at the same time are told apart by reading back, after a pause, whose it has become; whoever finds a lease lost
stops as if interrupted. All ages are by the store's clock: machines' clocks differ.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from tune_at.store.failures import Locked, StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.place import Where
from tune_at.store.remote import RemotePlace

STALE_SECONDS = 60.0
RENEW_SECONDS = 15.0
SETTLE_SECONDS = 1.0
"""Pause between writing a lease and reading whose it is: longer than the time between looking and writing."""

LOGGER = logging.getLogger("tune_at.store")


@dataclass(frozen=True)
class Holder:
    """Who holds a lease."""

    host: str
    machine: str
    pid: int
    nonce: str
    time: str

    @classmethod
    def here(cls) -> "Holder":
        """A holder that is this process, with a new nonce."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), machine(), os.getpid(), uuid.uuid4().hex, now)

    def is_dead(self) -> bool:
        """Whether this was a process of this machine that is no more."""
        if (self.host, self.machine) != (socket.gethostname(), machine()) or not self.machine:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        with contextlib.suppress(OSError):  # killed, and its parent has not looked yet
            return (Path("/proc") / str(self.pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return False

    def __str__(self) -> str:
        return f"{self.pid} on {self.host}"


def machine() -> str:
    """What tells machines apart whose processes have numbers of their own; empty where this is not known."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


class Lease:
    """Holds the lease of a sweep while it is entered. Raises `Locked` if another process holds it."""

    def __init__(self, folder: Where | SweepFolder) -> None:
        self.folder, self.holder = SweepFolder.of(folder), Holder.here()
        self.place = _object(self.folder)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._renew, name="tune-at-lease", daemon=True)

    def __enter__(self) -> "Lease":
        before = read_holder(self.place)
        if before is not None:
            age = self._age()
            if not before.is_dead() and age < STALE_SECONDS:
                raise Locked(self.folder, str(before))
            why = "is no more" if before.is_dead() else f"has not renewed its lease for {age:.0f} s"
            LOGGER.warning("%s: taken over from process %s, which %s", self.folder, before, why)
        self._write()
        time.sleep(SETTLE_SECONDS)
        now = read_holder(self.place)
        if now is None or now.nonce != self.holder.nonce:
            raise Locked(self.folder, str(now or "unknown"))
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.thread.join(timeout=5)  # it may be waiting for storage that has failed
        # Where the storage has failed, the lease runs out by itself.
        with contextlib.suppress(StorageFailed):
            if error is None or not isinstance(error, StorageFailed):
                now = read_holder(self.place)
                if now is not None and now.nonce == self.holder.nonce:
                    self.place.unlink(missing_ok=True)

    def _age(self) -> float:
        """Seconds since the lease was written, by the store's clock."""
        probe = self.place.parent / f".lock-{self.holder.nonce}.tmp"
        probe.write_whole(b"")
        try:
            now, then = probe.info().mtime, self.place.info().mtime
        finally:
            probe.unlink(missing_ok=True)
        return float("inf") if now is None or then is None else (now - then).total_seconds()

    def _write(self) -> None:
        self.place.write_whole(json.dumps(asdict(self.holder)).encode())

    def _renew(self) -> None:
        while not self.ended.wait(RENEW_SECONDS):
            try:
                now = read_holder(self.place)
                if now is not None and now.nonce != self.holder.nonce:
                    LOGGER.warning("%s: process %s has taken over; this one stops", self.folder, now)
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                if not self.ended.is_set():
                    self._write()
            except StorageFailed:
                continue  # nobody else can take it while nobody can write


def read_holder(place: RemotePlace) -> Holder | None:
    """Who has written the lease; None if there is none."""
    try:
        return Holder(**json.loads(place.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return Holder("an unknown machine", "", 0, "", "")


def is_leased(folder: Where | SweepFolder) -> bool:
    """Whether a process seems to hold the lease of a sweep, by this machine's clock. Writes nothing."""
    place = _object(SweepFolder.of(folder))
    holder, written = read_holder(place), place.info().mtime
    if holder is None or written is None or holder.is_dead():
        return False
    return bool((datetime.now(UTC) - written).total_seconds() < STALE_SECONDS)


def _object(folder: SweepFolder) -> RemotePlace:
    """The object of a sweep's lease."""
    place = folder.lock
    assert isinstance(place, RemotePlace)
    return place
