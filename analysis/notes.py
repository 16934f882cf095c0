"""What a figure says of itself: points that are not in it, keys that are not, and why."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from analysis.frames import Frames
from tune_at.store.status import Status
from tune_at.wording import counted

NOTES = "notes"
"""Of a prepared frame's `attrs`: lines that stand above its picture."""


def noted(frame: pd.DataFrame, *lines: str) -> pd.DataFrame:
    """The frame, with further lines above its picture; empty ones are none, and a line is said once."""
    frame.attrs[NOTES] = notes_of(frame, *lines)
    return frame


def notes_of(frame: Any, *further: str) -> tuple[str, ...]:
    """The lines that stand above a frame's picture, and further ones."""
    return tuple(dict.fromkeys((*getattr(frame, "attrs", {}).get(NOTES, ()), *filter(None, further))))


def left_out(reasons: Iterable[str], every: int, noun: str = "point") -> str:
    """`2 of 12 points: 9 stopped, 1 failed`; empty if none is left out.

    Args:
        reasons: why, one for each of those that are left out.
        every: how many there are, with those that are shown.
        noun: what they are.
    """
    counts = Counter(reasons)
    if not counts:
        return ""
    told = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{every - counts.total()} of {counted(every, noun)}: {told}"


def trials_left_out(frames: Frames, shown: Collection[str], missing: str = "not measured") -> str:
    """`2 of 12 trials: 10 stopped`, by the names of those that a figure shows; empty if it shows all.

    `missing`: what is said of completed trials that it does not show.
    """
    rows = frames.told[~frames.told["trial"].isin(list(shown))]
    reasons = [missing if status == Status.COMPLETED else str(status) for status in rows["status"]]
    return left_out(reasons, len(frames.trials), "trial")
