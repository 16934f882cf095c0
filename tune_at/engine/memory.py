"""What the C library does with memory that a process frees."""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # names of `mallopt`, from malloc.h
_OF_THE_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")


def keep_memory() -> None:
    """Keep what is freed, for the next step of training: every step asks for the same memory again.

    glibc gives large pieces back to the system at once and asks for them again, page by page, each filled with zeros:
    up to a seventh of a training step's time. With it a process holds its peak, and up to a few times its largest
    tensor beside that. Does nothing under another C library, or where an environment variable of glibc's says how it
    shall be.
    """
    if not _is_set():
        _set({_TRIM_THRESHOLD: -1, _MMAP_MAX: 0})


def return_memory() -> None:
    """As it is by default, once a process has freed pieces of any size: for comparisons."""
    if not _is_set():
        _set({_TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20, _MMAP_MAX: 65536})


def _is_set() -> bool:
    return any(name in os.environ for name in _OF_THE_USER)


def _set(options: dict[int, int]) -> None:
    if os.name != "posix":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in options.items():
            mallopt(name, value)
