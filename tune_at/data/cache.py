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

LAYOUT = 1
"""Raised when the arrays or their order change; entries of another layout are not read."""


def cache_folder() -> Path:
    """`TUNE_AT_CACHE`, or `tune_at` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TUNE_AT_CACHE") or Path(base) / "tune_at").expanduser()


def content_key(name: str, files: Sequence[Path]) -> str:
    """A digest of a data set's name and of the names and bytes of its files."""
    digest = hashlib.sha256(f"{LAYOUT}/{name}".encode())
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{name}-{digest.hexdigest()[:20]}"


def cached(name: str, files: Sequence[Path], decode: Callable[[], Source]) -> Source:
    """The decoded data set of these files: from the cache, or from `decode`, which then fills the cache."""
    entry = cache_folder() / content_key(name, files)
    if not entry.is_dir():
        _store(entry, decode())
    try:
        return _load(entry)
    except (OSError, ValueError):  # a cache may be cleaned or damaged: it is only a cache
        shutil.rmtree(entry, ignore_errors=True)
        _store(entry, decode())
        return _load(entry)


def _store(entry: Path, source: Source) -> None:
    temporary = entry.with_name(f".{entry.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir(parents=True)
    try:
        for split, images in (("train", source.train), ("test", source.test)):
            np.save(temporary / f"{split}_images.npy", images.images)
            np.save(temporary / f"{split}_labels.npy", images.labels)
        with contextlib.suppress(OSError):  # another process was faster, with the same content
            temporary.rename(entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(entry: Path) -> Source:
    splits = [
        ImageSet(np.load(entry / f"{split}_images.npy", mmap_mode="r"), np.load(entry / f"{split}_labels.npy"))
        for split in ("train", "test")
    ]
    return Source(*splits)
