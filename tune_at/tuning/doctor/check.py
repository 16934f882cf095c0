"""One line of what `doctor` tells."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Something is missing that some runs need."""
    FAILED = "FAILED"
    """No run could work."""


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, how it is, and what to do about it."""

    state: State
    what: str
    says: str
    remedy: str = ""


Checks = Iterator[Check]


ROOM = 2**30
"""Bytes of memory, and of disk, below which a sweep is likely to run out of them."""


def size(count: float) -> str:
    """Bytes in decimal units, to two or three digits: `850 MB`, `3.1 GB`."""
    for limit, unit, name in ((1e6, 1e3, "kB"), (1e9, 1e6, "MB")):
        if count < limit:
            return f"{count / unit:.0f} {name}"
    return f"{count / 1e9:.1f} GB"
