"""A sweep's folder and all in it: on this machine, or an address such as `s3://bucket/prefix`.

`LocalPlace` is a `pathlib.Path`. `RemotePlace` has the part of its methods that is needed here. Both have whole writes,
sorted listings, and patience with storage that fails: see `tune_at.store.patience`.
"""

import contextlib
import io
import os
import re
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path, PosixPath
from typing import TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from tune_at.errors import UserError
from tune_at.store.patience import patiently
from tune_at.store.remote import RemotePlace

Data: TypeAlias = bytes | bytearray | memoryview

T = TypeVar("T")


class LocalPlace(PosixPath):
    """A file or folder on this machine."""

    def read_bytes(self, changes: bool = True) -> bytes:
        """The file's content. Raises `FileNotFoundError`, or `StorageFailed`.

        `changes`: whether it may be replaced; what is read here is whole in any case.
        """
        return patiently(self, super().read_bytes)

    def open_source(self) -> "pa.NativeFile":
        """The file, to be read in parts: what takes long to read need not lie in memory beside what it says.

        Raises `FileNotFoundError`, or `StorageFailed`, then and whenever a part cannot be read.
        """
        return pa.PythonFile(_Source(self), mode="r")

    def write_whole(self, data: Data, patience: float | None = None) -> None:
        """Write `data` under a temporary name beside the file, flush it to the disk, rename it.

        Whoever reads the file, at whatever moment and after whatever crash, finds the old content or the new.
        Raises `StorageFailed` after `patience` seconds; nothing is left of what was begun.
        """
        patiently(self, lambda: self._write(data), patience=patience, expected=())

    def _write(self, data: Data) -> None:
        self.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._write_once(data)
        except FileNotFoundError:
            if not self.parent.is_dir():
                raise
            self._write_once(data)  # a driver that starts meanwhile removes what it takes for left behind

    def _write_once(self, data: Data) -> None:
        temporary = temporary_beside(self)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def extend(self, data: Data, kept: int, patience: float | None = None) -> None:
        """Make `data` the file's content, of which its first `kept` bytes are there already.

        For a file that others follow while it grows; not whole after a crash. Raises `StorageFailed`.
        """

        def append() -> None:
            self.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                start = kept if os.fstat(file).st_size >= kept else 0
                os.ftruncate(file, start)  # what an earlier try has left
                rest = memoryview(data)[start:]
                while rest:
                    written = os.pwrite(file, rest, start)
                    start, rest = start + written, rest[written:]
            finally:
                os.close(file)

        patiently(self, append, patience=patience, expected=())

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file. Raises `FileNotFoundError` unless that is ok, or `StorageFailed`."""
        patiently(self, lambda: PosixPath.unlink(self, missing_ok))

    def files(self, prefix: str = "", suffix: str = "") -> "list[LocalPlace]":
        """What is in the folder under names with this beginning and end, sorted; an absent folder is empty."""
        try:
            names = patiently(self, lambda: os.listdir(self))  # noqa: PTH208
        except FileNotFoundError:
            return []
        return [self / name for name in sorted(names) if name.startswith(prefix) and name.endswith(suffix)]

    def below(self, suffix: str = "") -> "dict[str, LocalPlace]":
        """The files in the folder and in its folders with names of this end, by their path from here, sorted."""
        files: dict[str, LocalPlace] = {}

        def look(folder: LocalPlace) -> None:
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        here = folder / entry.name
                        if entry.is_dir():
                            look(here)
                        elif entry.name.endswith(suffix):
                            files[str(here.relative_to(self))] = here
            except FileNotFoundError:
                return  # absent, or removed while it was looked at

        patiently(self, lambda: look(self))
        return {path: files[path] for path in sorted(files)}

    def folders(self) -> "list[LocalPlace]":
        """The folders right in this one, sorted; an absent one has none. Links to folders are such, too."""
        return [place for place in self.files() if place.is_dir()]

    def move_to(self, target: "Place") -> None:
        """Give the file another name, in one step. Raises `FileNotFoundError`, or `StorageFailed`."""

        def move() -> None:
            new = Path(str(target))
            new.parent.mkdir(parents=True, exist_ok=True)
            PosixPath.replace(self, new)

        patiently(self, move)

    def remove_tree(self) -> None:
        """Remove the folder and all in it, if it is there."""
        shutil.rmtree(self, ignore_errors=True)


class _Source(io.RawIOBase):
    """A local file for Arrow. It stays the one that was opened, whoever replaces it."""

    def __init__(self, place: LocalPlace) -> None:
        self.place, self.offset = place, 0
        self.file = patiently(place, lambda: os.open(place, os.O_RDONLY | os.O_CLOEXEC))
        self.length = os.fstat(self.file).st_size

    def read(self, size: int = -1) -> bytes:
        """So many bytes from here on, fewer only at the end."""
        wanted = self.length - self.offset if size < 0 else size
        data = patiently(self.place, lambda: os.pread(self.file, wanted, self.offset), expected=())
        self.offset += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Where the next `read` begins."""
        self.offset = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.offset, os.SEEK_END: self.length}[whence]
        return self.offset

    def tell(self) -> int:
        """Where the next `read` begins."""
        return self.offset

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Once; what is not closed is when nobody holds it any more."""
        if not self.closed:
            os.close(self.file)
        super().close()


Place: TypeAlias = LocalPlace | RemotePlace
"""A file or folder of a sweep, here or far away."""

Where: TypeAlias = str | Path | LocalPlace | RemotePlace
"""What public functions take for a place."""


def to_place(where: Where) -> Place:
    """The place of a path or an address. Touches no storage.

    Raises `UserError` for an address that cannot be used, or that has a password or key in it.
    """
    if isinstance(where, LocalPlace | RemotePlace):
        return where
    text = str(where)
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+):(/*)", text)
    if scheme is None or (scheme[2] != "//" and scheme[1] not in ("s3", "gs", "gcs", "file") and "://" not in text):
        return LocalPlace(where)
    if isinstance(where, Path) or not scheme[2].startswith("//"):
        raise UserError(f"{scheme[1]}:", "is no whole address", f"write {scheme[1]}://BUCKET/FOLDER, as a string")
    if scheme[1] == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.query:
            raise UserError(text, "is no local folder", "write file:///absolute/path")
        return LocalPlace(unquote(parts.path))
    return RemotePlace.parse(text)


def temporary_beside(path: Path) -> Path:
    """A name that no reader looks at and `remove_temporaries` knows."""
    return path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")


def each(places: Sequence[Place], action: Callable[[Place], T]) -> list[T]:
    """`action` of each place, in order; on far storage many at a time, since each waits for the network."""
    if not places or isinstance(places[0], LocalPlace):
        return [action(found) for found in places]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(action, places))
