"""The page that a sweep's live view is made of, whoever knows the sweep: its driver, or `status` from its tables."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tune_at.store.status import Status
from tune_at.tuning.live_tables import Room, Stop, TrialView, running_table, stopped_table
from tune_at.wording import duration

ORDER = (
    Status.COMPLETED, Status.RUNNING, Status.PAUSED, Status.INTERRUPTED, Status.PENDING, Status.STOPPED,
    Status.DIVERGED, Status.FAILED,
)  # fmt: skip
"""Statuses as they are counted in one line."""

BAR = 60
"""Columns of the bar at most."""


@dataclass(frozen=True)
class Page:
    """What a page shows of a sweep now."""

    counts: Mapping[Status, int]
    elapsed: float | None
    """Seconds since its driver started; None is unknown."""
    left: str
    """Time until its end, in words."""
    done: int
    planned: int
    """Epochs."""
    machines: Sequence[str]
    """What is known of its machines, in lines."""
    running: Sequence[TrialView]
    best: Callable[[int, int], RenderableType | None]
    """(columns, rows at most) → the best so far."""
    stops: Sequence[Stop]
    """The newest first."""
    stopped: int
    metric: str
    """What they were judged by; empty without a scheduler."""
    split: str
    staged: bool

    def head(self, width: int) -> list[str]:
        """`3 completed, 2 running  ·  01:12 elapsed, about 3 min left`, in two lines where it does not fit one."""
        elapsed = [] if self.elapsed is None else [f"{clock(self.elapsed)} elapsed"]
        parts = [in_words(self.counts), ", ".join([*elapsed, self.left])]
        line = "  ·  ".join(parts)
        return [line] if len(line) <= width else parts

    def render(self, width: int, height: int) -> Group:
        """The page for a terminal of so many columns and rows."""
        head = self.head(width)
        taken = 1 + sum(ceil(len(line) / width) for line in [*head, *self.machines])
        room = Room.within(height - taken, len(self.running), len(self.stops))
        bar = Table.grid()  # a bar of its own would not end its line
        bar.add_row(ProgressBar(total=max(1, self.planned), completed=self.done, width=min(BAR, width)))
        parts: list[RenderableType] = [*map(Text, head), bar, *(Text(line, style="dim") for line in self.machines)]
        if self.running:
            parts.append(running_table(self.running, self.split, width, self.staged, room.running))
        if (best := self.best(width, room.best)) is not None:
            parts.append(best)
        if self.stops:
            parts.append(stopped_table(self.stops, self.stopped, self.metric, width, room.stopped))
        return Group(*parts)


def counted_by_status(statuses: Iterable[Status], total: int) -> Counter[Status]:
    """How many trials have each status; those that nobody has drawn yet are pending."""
    counts = Counter(statuses)
    counts[Status.PENDING] += total - counts.total()
    return counts


def in_words(counts: Mapping[Status, int]) -> str:
    """`3 completed, 2 running`: statuses that no trial has are left out."""
    return ", ".join(f"{counts[status]} {status}" for status in ORDER if counts.get(status))


def left_in_words(expected: float | None, most: float | None, stops: bool) -> str:
    """`about 3 min left`, `about 3 min left, at most 9 min`, or `at most about 9 min left`.

    `stops`: whether a scheduler may end trials early; `most`: seconds, if it ended none; `expected`: if it goes on as
    so far.
    """
    if expected is None or most is None:
        return "time left unknown"
    if stops and duration(expected) == duration(most):
        return f"at most about {duration(most)} left"
    return f"about {duration(expected)} left" + (f", at most {duration(most)}" if stops else "")


def clock(seconds: float) -> str:
    """Elapsed time as h:mm:ss or mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
