"""Files that are whole or absent: everything in a sweep's folder is written through here."""

import contextlib
import os
import shutil
import uuid
from pathlib import Path

from tune_at.errors import UserError


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name beside `path`, flush it to the disk, rename it.

    Whoever reads `path`, at whatever moment and after whatever crash, finds the old content or the new.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def create_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Make a folder with its first files, whole or not at all. Raises `FileExistsError` if it is there already."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        for name, data in files.items():
            write_whole(temporary / name, data)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def remove_temporaries(folder: Path) -> None:
    """Remove what writers that were killed left under temporary names. Call only while nobody writes."""
    for temporary in folder.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            temporary.unlink()


def require_writable(folder: Path, where: str) -> None:
    """Raise `UserError` unless a file can be created in `folder` or, where it is missing, in its nearest parent."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    remedy = "name another folder with --storage"
    if not existing.is_dir():
        raise UserError(where, f"{existing} is not a folder", remedy)
    probe = existing / f".tune-at-{uuid.uuid4().hex[:8]}.tmp"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(where, f"cannot write in {existing}: {error.strerror}", remedy) from None
