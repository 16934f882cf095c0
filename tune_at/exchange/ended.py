"""How trials from elsewhere ended: as their files say, as their numbers say, or as the user says."""

from collections import Counter

from tune_at.errors import UserError
from tune_at.exchange.asked import Asked
from tune_at.exchange.curves import Curves
from tune_at.exchange.rows import is_missing
from tune_at.store.status import Status

WORDS = {
    **dict.fromkeys(("completed", "complete", "finished", "done", "terminated", "succeeded"), Status.COMPLETED),
    **dict.fromkeys(("stopped", "pruned", "early_stopped", "preempted"), Status.STOPPED),
    **dict.fromkeys(("failed", "fail", "crashed", "error", "errored", "killed"), Status.FAILED),
    **dict.fromkeys(("running", "interrupted", "paused"), Status.RUNNING),
    "diverged": Status.DIVERGED,
}
"""What a column of statuses may say, in the words of Ray, Optuna and W&B, too; in any case."""

SHORTER = (Status.COMPLETED, Status.STOPPED, Status.FAILED)
"""What `--shorter` takes."""


def statuses_of(curves: Curves, asked: Asked) -> dict[str, Status]:
    """Each trial's status, sorted by their names for it.

    A trial of whose last epoch a metric is not finite has diverged. Where nothing is said of a trial it is completed,
    unless its curve ends before the longest: that may be so for more than one reason, and is asked for.

    Raises `UserError` for a word that is no status, for two of one trial, and where it has to be asked.
    """
    said = _said(curves)
    last = curves.epochs.groupby("trial")["epoch"].max()
    ends = curves.epochs.groupby("trial").tail(1)["trial"]
    diverged = {str(trial) for place, trial in ends.items() if curves.lost[int(str(place))]}
    statuses: dict[str, Status] = {}
    short = []
    for trial in sorted(map(str, last.index)):
        if trial in diverged:
            statuses[trial] = Status.DIVERGED
        elif trial in said:
            statuses[trial] = said[trial]
        elif last[trial] == last.max():
            statuses[trial] = Status.COMPLETED
        else:
            short.append(trial)
            statuses[trial] = Status(asked.shorter) if asked.shorter else Status.COMPLETED
    if short and not asked.shorter:
        first = f"{short[0]} after epoch {last[short[0]]}"
        some = f"{len(short)} of {len(statuses)} trials end before epoch {last.max()}, {first} for one"
        raise UserError(
            "trials", f"{some}: why?", f"say --shorter {'|'.join(SHORTER)}, or map a column of theirs to status"
        )
    return dict(sorted(statuses.items()))


def _said(curves: Curves) -> dict[str, Status]:
    """What the files say. Of a column the last word of each trial counts."""
    said = {trial: Status(word) for trial, word in curves.rows.statuses.items()}
    theirs = curves.roles.named.get("status")
    if theirs is None:
        return said
    cells = curves.rows.frame[theirs]
    for trial, row in zip(curves.epochs["trial"], curves.first, strict=True):
        cell = cells.iloc[row]
        if is_missing(cell):
            continue
        word = str(cell).strip().lower()
        if word not in WORDS:
            known = ", ".join(sorted(Counter(map(str, WORDS.values()))))
            raise UserError(
                curves.rows.where(row), f"{theirs} {cell!r} is no status", f"known: {known}, and their like"
            )
        said[str(trial)] = WORDS[word]
    return said
