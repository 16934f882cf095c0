"""One driver a sweep: on this machine a lock that the operating system drops when its holder dies.

On an object store it is a lease: an object `.lock` that its holder renews.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from tune_at.store.failures import Locked, StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.patience import remedy, storage_problem
from tune_at.store.place import LocalPlace, Where


@contextlib.contextmanager
def sweep_lock(folder: Where | SweepFolder) -> Iterator[None]:
    """Hold the sweep's lock for the block. Raises `Locked` if another process holds it, or `StorageFailed`.

    Workers do not inherit it, so a driver that was killed leaves it free: at once on this machine and for drivers of
    this machine; for another machine's, a minute after it last renewed its lease.
    """
    folder = SweepFolder.of(folder)
    place, lock = folder.place, folder.lock
    if not (isinstance(place, LocalPlace) and isinstance(lock, LocalPlace)):
        from tune_at.store.lease import Lease

        with Lease(folder):
            yield
        return
    try:
        file = lock.open("a+")
    except OSError as error:
        raise StorageFailed(str(place), storage_problem(error), remedy(error)) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its holder may have removed the file meanwhile: whoever locks that one holds nothing.
            if not lock.exists() or os.fstat(file.fileno()).st_ino != lock.stat().st_ino:
                raise BlockingIOError
        except OSError:
            file.seek(0)
            raise Locked(place, file.read().strip() or "unknown") from None
        with contextlib.suppress(OSError):  # on a full disk the holder has no name; it holds the lock all the same
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def holder_pid(folder: Where | SweepFolder) -> int:
    """The number of the process that runs the sweep, on whatever machine; 0 if it is not known. Writes nothing."""
    lock = SweepFolder.of(folder).lock
    if not isinstance(lock, LocalPlace):
        from tune_at.store.lease import read_holder

        holder = read_holder(lock)
        return holder.pid if holder else 0
    try:
        return int(lock.read_bytes())
    except (FileNotFoundError, ValueError):
        return 0


def is_locked(folder: Where | SweepFolder) -> bool:
    """Whether another process is running the sweep. Writes nothing."""
    folder = SweepFolder.of(folder)
    place, lock = folder.place, folder.lock
    if not (isinstance(place, LocalPlace) and isinstance(lock, LocalPlace)):
        from tune_at.store.lease import is_leased

        return is_leased(folder)
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
