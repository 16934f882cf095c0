"""One driver a sweep: a lock that the operating system drops when its holder dies."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tune_at.errors import UserError


class Locked(UserError):
    """The sweep is being run by another process."""


@contextlib.contextmanager
def sweep_lock(folder: Path) -> Iterator[None]:
    """Hold the sweep's lock for the block. Raises `Locked` if another process holds it.

    Workers do not inherit it, so a driver that was killed leaves it free.
    """
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            remedy = "wait for it, or stop it; `python run.py status` shows how far it is"
            raise Locked(str(folder), f"is being run by process {holder}", remedy) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Whether another process is running the sweep."""
    try:
        with sweep_lock(folder):
            return False
    except Locked:
        return True
