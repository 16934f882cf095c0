"""How fast a storage is: what a row of an epoch and what a checkpoint would cost there. Leaves nothing behind."""

import contextlib
import os
import shutil
import time
import uuid
from dataclasses import dataclass

from tune_at.errors import UserError
from tune_at.store.files import nearest_existing, require_writable
from tune_at.store.place import LocalPlace, Place

SMALL, LARGE = 8 * 2**10, 16 * 2**20
"""Bytes of about what an epoch's rows take, and a checkpoint of a small network."""
TRIES = 3


@dataclass(frozen=True)
class Speed:
    """What was measured."""

    small: float
    """Seconds to write a file of `SMALL` bytes whole, as an epoch's rows are: the best of `TRIES`."""
    write: float
    """Bytes a second, of a file of `LARGE` bytes."""
    read: float
    """Bytes a second, of the same file right after: a disk's may come from the system's memory."""
    free: int | None
    """Bytes that are free; None on an object store."""


def try_storage(folder: Place) -> Speed:
    """Write two files in `folder` or, where it is missing, in its nearest parent; read one, and remove both.

    A write that fails is not tried again: it is told as it is. Raises `UserError`.
    """
    require_writable(folder, "--storage")
    place: Place = nearest_existing(folder.resolve()) if isinstance(folder, LocalPlace) else folder
    content = os.urandom(LARGE)  # what compresses would make some file systems look faster
    written: list[Place] = []

    def write(data: bytes) -> float:
        file = place / f".tune-at-{uuid.uuid4().hex[:8]}.tmp"
        began = time.perf_counter()
        file.write_whole(data, patience=0)
        taken = time.perf_counter() - began
        written.append(file)
        return taken

    try:
        small = min(write(content[:SMALL]) for _ in range(TRIES))
        large = write(content)
        began = time.perf_counter()
        back = written[-1].read_bytes()
        read = time.perf_counter() - began
    finally:
        for file in written:
            with contextlib.suppress(OSError, UserError):
                file.unlink(missing_ok=True)
    if back != content:
        raise UserError(str(folder), "gives back other bytes than were written", "choose another storage")
    free = shutil.disk_usage(str(place)).free if isinstance(place, LocalPlace) else None
    return Speed(small, LARGE / large, LARGE / read, free)
