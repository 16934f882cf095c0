"""Decoded data sets on disk, keyed by the content they were decoded from and mapped into memory.

All trials of a node read the same pages; an entry is whole or absent, whoever is killed while making it.
"""

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tune_at.data.arrays import ImageSet, Source

LAYOUT = 2
"""Raised when the arrays, their order or what `decode_image` makes of a file change; entries of another layout are not
read."""


def cache_folder() -> Path:
    """`TUNE_AT_CACHE`, or `tune_at` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TUNE_AT_CACHE") or Path(base) / "tune_at").expanduser()


def content_key(name: str, files: Sequence[Path], parts: int = 1) -> str:
    """A digest of a data set's name, of the last `parts` parts of its files' paths, and of their bytes."""
    digest = hashlib.sha256(f"{LAYOUT}/{name}".encode())
    for path in files:
        digest.update("/".join(path.parts[-parts:]).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{name}-{digest.hexdigest()[:20]}"


def cached(name: str, files: Sequence[Path], decode: Callable[[], Source], parts: int = 1) -> Source:
    """The decoded data set of these files: from the cache, or from `decode`, which then fills the cache.

    `parts`: how much of a file's path belongs to the content, such as split, class and name.
    """
    entry = cache_folder() / content_key(name, files, parts)
    if entry.is_dir():
        with contextlib.suppress(OSError, ValueError, EOFError):  # cleaned or damaged: it is only a cache
            return _load(entry)
        aside = entry.with_name(f".{entry.name}.{uuid.uuid4().hex[:8]}.damaged")
        with contextlib.suppress(OSError):
            entry.rename(aside)  # first, so that nobody removes what another process has made anew by then
        shutil.rmtree(aside, ignore_errors=True)
    source = decode()
    _store(entry, source)
    try:
        return _load(entry)
    except OSError:  # another process took it for damaged and moved it away
        return source


def _store(entry: Path, source: Source) -> None:
    temporary = entry.with_name(f".{entry.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir(parents=True)
    try:
        for split, images in (("train", source.train), ("test", source.test)):
            for part, array in (("images", images.images), ("labels", images.labels)):
                with (temporary / f"{split}_{part}.npy").open("wb") as file:
                    np.save(file, array)
                    file.flush()
                    os.fsync(file.fileno())
        try:
            temporary.rename(entry)
        except OSError:
            if not entry.is_dir():  # otherwise another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(entry: Path) -> Source:
    splits = [
        ImageSet(np.load(entry / f"{split}_images.npy", mmap_mode="r"), np.load(entry / f"{split}_labels.npy"))
        for split in ("train", "test")
    ]
    return Source(*splits)
