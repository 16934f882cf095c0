"""One driver a sweep: on this machine a lock that the operating system drops when its holder dies.

On an object store it is a lease: an object `.lock` that its holder renews.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from tune_at.errors import UserError
from tune_at.store.patience import StorageFailed, in_words, remedy
from tune_at.store.place import LocalPlace, Where, to_place


class Locked(UserError):
    """The sweep is being run by another process."""

    def __init__(self, folder: object, holder: str) -> None:
        remedy = "wait for it, or stop it; `python run.py status` shows how far it is"
        super().__init__(str(folder), f"is being run by process {holder}", remedy)


@contextlib.contextmanager
def sweep_lock(folder: Where) -> Iterator[None]:
    """Hold the sweep's lock for the block. Raises `Locked` if another process holds it, or `StorageFailed`.

    Workers do not inherit it, so a driver that was killed leaves it free: at once on this machine and for drivers of
    this machine; for another machine's, a minute after it last renewed its lease.
    """
    place = to_place(folder)
    if not isinstance(place, LocalPlace):
        from tune_at.store.lease import Lease

        with Lease(place):
            yield
        return
    try:
        file = (place / ".lock").open("a+")
    except OSError as error:
        raise StorageFailed(str(place), in_words(error), remedy(error)) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Locked(place, file.read().strip() or "unknown") from None
        with contextlib.suppress(OSError):  # on a full disk the holder has no name; it holds the lock all the same
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def is_locked(folder: Where) -> bool:
    """Whether another process is running the sweep. Writes nothing."""
    place = to_place(folder)
    if not isinstance(place, LocalPlace):
        from tune_at.store.lease import is_leased

        return is_leased(place)
    try:
        with (place / ".lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
