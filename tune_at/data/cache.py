"""Decoded data sets on disk, keyed by the content they were decoded from and mapped into memory.

All trials of a node read the same pages; an entry is whole or absent, whoever is killed while making it.
"""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_at.data.arrays import ImageSet, Source
from tune_at.errors import UserError

LAYOUT = 3
"""Raised when the arrays, their order or what `decode_image` makes of a file change; entries of another layout are not
read."""


DAMAGE = (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError)
"""What reading an entry raises that is not whole."""
EMPTY = 192
"""Bytes of an array's file that has a header alone, at most; no image is smaller than that with its header."""


def cache_folder() -> Path:
    """`TUNE_AT_CACHE`, or `tune_at` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TUNE_AT_CACHE") or Path(base) / "tune_at").expanduser()


def data_folder() -> Path:
    """`TUNE_AT_DATA`, where data sets are looked for, or `data` in the cache."""
    given = os.environ.get("TUNE_AT_DATA")
    return Path(given).expanduser() if given else cache_folder() / "data"


def content_key(name: str, files: Sequence[Path], parts: int = 1) -> str:
    """A digest of a data set's name, of the last `parts` parts of its files' paths, and of their bytes."""
    digest = hashlib.sha256(f"{LAYOUT}/{name}".encode())
    for path in files:
        digest.update(os.fsencode("/".join(path.parts[-parts:])))
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{name}-{digest.hexdigest()[:20]}"


def cached(name: str, files: Sequence[Path], decode: Callable[[], Source], parts: int = 1) -> Source:
    """The decoded data set of these files: from the cache, or from `decode`, which then fills the cache.

    `parts`: how much of a file's path belongs to the content, such as split, class and name.
    """
    entry = cache_folder() / content_key(name, files, parts)
    if entry.is_dir():
        with contextlib.suppress(*DAMAGE):  # cleaned or damaged: it is only a cache
            return _load(entry)
        aside = entry.with_name(f".{entry.name}.{uuid.uuid4().hex[:8]}.damaged")
        with contextlib.suppress(OSError):
            entry.rename(aside)  # first, so that nobody removes what another process has made again by then
        shutil.rmtree(aside, ignore_errors=True)
    source = decode()
    _store(entry, source)
    try:
        return _load(entry)
    except OSError:  # another process took it for damaged and moved it away
        return source


_REMEMBERED: dict[tuple[str, bytes], Source] = {}


def remembered(name: str, files: Sequence[Path], make: Callable[[], Source], most: int = 2) -> Source:
    """What `make` returned when these files were last asked for, as long as none of them has changed since.

    Files are told from changed ones by size, times and inode, so that nothing is read. Raises `UserError` if one is
    gone. Keeps the `most` newest.
    """
    stamp = hashlib.sha256()
    for path in files:
        try:
            status = path.stat()
        except OSError as error:
            raise UserError(str(path), f"cannot be read: {error.strerror}", "restore the file") from None
        signature = (os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        stamp.update(repr(signature).encode())
    key = (name, stamp.digest())
    source = _REMEMBERED.pop(key, None) or make()
    _REMEMBERED[key] = source
    while len(_REMEMBERED) > most:
        _REMEMBERED.pop(next(iter(_REMEMBERED)))
    return source


def _store(entry: Path, source: Source) -> None:
    temporary = entry.with_name(f".{entry.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir(parents=True)
    try:
        for split, images in source.splits().items():
            for part, array in (("images", images.images), ("labels", images.labels)):
                with (temporary / f"{split}_{part}.npy").open("wb") as file:
                    np.save(file, array)
                    file.flush()
                    os.fsync(file.fileno())
        digests = {split: images.digest for split, images in source.splits().items()}
        (temporary / "digests.json").write_text(json.dumps(digests))
        try:
            temporary.rename(entry)
        except OSError:
            if not entry.is_dir():  # otherwise another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(entry: Path) -> Source:
    # Taken once, by whoever decoded: hashing all images again would take a trial of CIFAR-10 half a second.
    digests = json.loads((entry / "digests.json").read_text())
    splits = {
        split: ImageSet(
            _mapped(entry / f"{split}_images.npy"),
            np.load(entry / f"{split}_labels.npy"),
            known_digest=digest,
        )
        for split, digest in digests.items()
    }
    return Source(splits["train"], splits["test"], splits.get("validation"))


def _mapped(path: Path) -> NDArray[np.uint8]:
    """The array of a file, mapped into memory unless it is empty."""
    array: NDArray[np.uint8] = np.load(path, mmap_mode="r" if path.stat().st_size > EMPTY else None)
    return array
