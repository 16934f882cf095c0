"""Files and folders that are whole or absent: everything in a sweep's folder is written through here."""

import contextlib
import shutil
import uuid

from tune_at.errors import UserError
from tune_at.store.failures import StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.lock import sweep_lock
from tune_at.store.patience import patiently
from tune_at.store.place import Data, LocalPlace, Where, temporary_beside, to_place
from tune_at.store.remote import RemotePlace


def write_whole(path: Where, data: Data) -> None:
    """Make `data` the content of a file, whole or not at all. Raises `StorageFailed`."""
    to_place(path).write_whole(data)


def create_folder(folder: Where | SweepFolder, files: dict[str, bytes]) -> None:
    """Make a folder with its first files, whole or not at all.

    Raises `FileExistsError` if it is there already, or `StorageFailed`.
    """
    place = SweepFolder.of(folder).place
    if isinstance(place, RemotePlace):
        # An object store has no folder that could be renamed: who holds the lock makes it.
        with sweep_lock(place):
            if any((place / name).exists() for name in files):
                raise FileExistsError(str(place))
            for name, data in files.items():
                (place / name).write_whole(data)
        return
    patiently(place, lambda: _create_local(place, files), expected=(FileExistsError,))


def _create_local(folder: LocalPlace, files: dict[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        raise FileExistsError(folder)
    temporary = LocalPlace(temporary_beside(folder))
    try:
        for name, data in files.items():
            (temporary / name).write_whole(data)
        temporary.rename(folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, StorageFailed):
            raise StorageFailed(str(folder), *error.parts[1:]) from None
        raise


def remove_temporaries(folder: Where | SweepFolder) -> None:
    """Remove what writers that were killed left under temporary names. Call only while no trial runs.

    A writer beside, such as a worker of `evaluate`, whose file is taken writes it again.
    """
    place = SweepFolder.of(folder).place
    if isinstance(place, RemotePlace):
        return  # objects need no temporary names
    for temporary in place.rglob(".*.tmp"):
        with contextlib.suppress(OSError, StorageFailed):
            temporary.unlink()


def require_writable(folder: Where, where: str) -> None:
    """Raise `UserError` unless a file can be created in `folder` or, where it is missing, in its nearest parent."""
    place = to_place(folder)
    remedy = "name another folder with --storage"
    probe_name = f".tune-at-{uuid.uuid4().hex[:8]}.tmp"
    if isinstance(place, RemotePlace):
        place.require_bucket()
        (place / probe_name).write_whole(b"", patience=0)
        (place / probe_name).unlink()
        return
    existing = nearest_existing(place)
    if not existing.is_dir():
        raise UserError(where, f"{existing} is not a folder", remedy)
    probe = existing / probe_name
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(where, f"cannot write in {existing}: {error.strerror}", remedy) from None


def nearest_existing(folder: LocalPlace) -> LocalPlace:
    """The folder itself, or the nearest of those it is in that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
