"""How far a sweep is, in one line."""

import pandas as pd

from tune_at.store.status import Status
from tune_at.wording import counted


def status_line(trials: pd.DataFrame, size: int, running: bool) -> str:
    """`8 trials: 6 completed, 1 interrupted, 1 pending`.

    Args:
        trials: the table `trials`.
        size: how many trials the sweep will have.
        running: whether somebody runs it; if not, what the table calls running was interrupted.
    """
    counts = {str(status): int(count) for status, count in trials["status"].value_counts().items()}
    if not running and Status.RUNNING in counts:
        counts[Status.INTERRUPTED] = counts.pop(Status.RUNNING)
    counts[Status.PENDING] = counts.get(Status.PENDING, 0) + size - len(trials)
    words = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()) if count > 0)
    return f"{counted(size, 'trial')}: {words}"
