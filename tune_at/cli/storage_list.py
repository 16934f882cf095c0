"""`status DIR`: the sweeps of a storage, a line each."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tune_at.errors import UserError
from tune_at.store.status import Status
from tune_at.tables import Column, fitted
from tune_at.wording import counted, duration

if TYPE_CHECKING:
    from tune_at.store.layout import SweepFolder

COLUMNS = (
    Column("sweep"),
    Column("study", worth=2),
    Column("state", worth=7),
    Column("trials", right=True, worth=6),
    Column("stopped", right=True, worth=1),
    Column("diverged", right=True, worth=3),
    Column("failed", right=True, worth=5),
    Column("age", right=True, worth=4),
)
RARE = ("stopped", "diverged", "failed")
"""Columns that are there only if some sweep has such trials."""

ENDED = tuple(status for status in Status if status.ended)


@dataclass(frozen=True)
class Line:
    """A sweep of the list."""

    sweep: str
    study: str
    state: str
    """`running`, `finished`, or `unfinished`: neither; `damaged` where its record or its tables cannot be read."""
    size: int
    """Trials that it will have."""
    counts: Mapping[str, int]
    """Trials that have ended, by how."""
    began: datetime | None
    """When its first trial started."""
    problem: str = ""
    """What is damaged."""

    @property
    def ended(self) -> int:
        """Trials that have ended, in whatever way."""
        return sum(self.counts.values())

    def cells(self, now: datetime) -> dict[str, str]:
        """The line as it is shown; a count of none is empty."""
        some = {status: str(self.counts.get(status, "")) for status in RARE}
        age = duration((now - self.began).total_seconds()) if self.began else "-"
        trials = "-" if self.problem else f"{self.ended}/{self.size}"
        return {
            "sweep": self.sweep, "study": self.study, "state": self.state, "trials": trials, **some, "age": age
        }  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """The line for scripts."""
        began = self.began.isoformat() if self.began else None
        return {
            "sweep": self.sweep, "study": self.study, "state": self.state, "trials": self.size, **self.counts,
            "began": began, "problem": self.problem or None,
        }  # fmt: skip


def read_line(name: str, folder: "SweepFolder") -> Line:
    """What its record and its table `trials` say of a sweep; damage is told in the line."""
    from tune_at.store.lock import is_locked
    from tune_at.store.snapshot import read_snapshot
    from tune_at.study.study import Study
    from tune_at.study.sweep import Sweep

    study = ""
    try:
        recorded = Study.from_yaml(folder.study.read_text(encoding="utf-8"), str(folder.study))
        study = f"{recorded.name} {recorded.preset}".strip()
        tables = read_snapshot(folder, ("trials", "decisions") if recorded.lengths else ("trials",), strict=True)
        trials, size = tables.arrow("trials"), Sweep(folder, recorded).size(tables)
    except UserError as error:
        return Line(name, study, "damaged", 0, {}, None, str(error))
    counts = Counter(trials["status"].to_pylist())
    ended = {str(status): counts[status] for status in ENDED if counts[status]}
    final = sum(number for status, number in counts.items() if Status(status).final)
    state = "running" if is_locked(folder) else "finished" if final >= size else "unfinished"
    started = [moment for moment in trials["started"].to_pylist() if moment is not None]
    return Line(name, study, state, size, ended, min(started, default=None))


def print_storage(sweeps: "Mapping[str, SweepFolder]", as_json: bool = False) -> int:
    """Print a line a sweep, those that run first, then the newest; and what is damaged.

    Args:
        sweeps: by their names.
        as_json: print an array of objects instead, for scripts.

    Returns:
        The exit code.
    """
    from tune_at.cli.terminal import console, width

    long_ago = datetime.min.replace(tzinfo=UTC)
    lines = [read_line(name, folder) for name, folder in sweeps.items()]
    lines.sort(key=lambda line: (line.state == "running", line.began or long_ago), reverse=True)
    if as_json:
        print(json.dumps([line.as_json() for line in lines], indent=1))
        return 0
    states = Counter(line.state for line in lines)
    print(
        f"{counted(len(lines), 'sweep')}: {', '.join(f'{number} {state}' for state, number in sorted(states.items()))}"
    )
    now = datetime.now(UTC)
    seen = {status for line in lines for status in line.counts}
    columns = [column for column in COLUMNS if column.name not in RARE or column.name in seen]
    console(wide=True).print(fitted(columns, [line.cells(now) for line in lines], width()))
    for line in lines:
        if line.problem:
            print(f"damaged: {line.problem}")
    return 0
