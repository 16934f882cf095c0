"""`--trials`: which of a sweep's trials `evaluate` and `probe` look at."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tune_at.errors import UserError, suggestion
from tune_at.store.status import Status
from tune_at.study.points import in_turn
from tune_at.study.sweep import Sweep
from tune_at.study.trials import Trial
from tune_at.wording import counted, trial_label

if TYPE_CHECKING:
    from tune_at.store.snapshot import Snapshot


def choose(sweep: Sweep, results: "Snapshot", words: Sequence[str]) -> tuple[list[Trial], list[str], frozenset[str]]:
    """The trials that the words name, in the sweep's order.

    `all` is all that have ended well. `best:5` is the five best points by the study's own selection, with all their
    seeds that ended well; where points are not compared with each other, the best of each group come first. A trial
    that is named is taken though it has diverged.

    Args:
        sweep: whose.
        results: its tables.
        words: `all`, `best:N`, or names, as files or as tables show them.

    Returns:
        The trials; a line for each that was passed over, or is not what it should be; and the names that were given.

    Raises:
        UserError: a trial that is not known or has not ended; no trial at all.
    """
    known = {trial.name: trial for trial in sweep.trials(results)}
    statuses = sweep.statuses(results)
    labels = {trial_label(name): name for name in known}
    chosen: set[str] = set()
    named: set[str] = set()
    lines = []
    for word in words:
        if word == "all":
            candidates = list(known)
        elif word.startswith("best:"):
            candidates = _best(sweep, results, word)
        else:
            named.add(_named(word, labels.get(word, word), list(known), statuses))
            continue
        for name in candidates:
            status = statuses.get(name, Status.PENDING)
            if status in (Status.COMPLETED, Status.STOPPED):
                chosen.add(name)
            else:
                lines.append(f"passed over: {trial_label(name)}: {_state(status)}")
    for name in sorted(named):
        if statuses[name].void:
            lines.append(f"note: {trial_label(name)}: {_state(statuses[name])}")
    trials = [trial for name, trial in known.items() if name in chosen | named]
    if not trials:
        raise _nothing(sweep, list(known), statuses)
    return trials, list(dict.fromkeys(lines)), frozenset(named)


def _nothing(sweep: Sweep, known: Sequence[str], statuses: dict[str, Status]) -> UserError:
    """Why no trial was chosen, where none was named."""
    ended = [statuses[name] for name in known if name in statuses and statuses[name].ended]
    if not known:
        return UserError("--trials", "there are no trials yet", "wait for one, or resume the sweep")
    many = f"of the {counted(len(known), 'trial')} of {sweep.folder}"
    if not ended:
        return UserError("--trials", f"none {many} has ended", "wait for one, or resume the sweep")
    if all(status.void for status in ended):
        return UserError("--trials", f"none {many} has ended well", "name one that has diverged, or resume the sweep")
    return UserError(
        "--trials", f"none {many} was evaluated while it trained, so none is best", "name them, or say all"
    )


def _state(status: Status) -> str:
    return {
        Status.DIVERGED: "it has diverged, and its last weights may be NaN",
        Status.FAILED: "it has failed",
        Status.RUNNING: "it has not ended yet",
    }.get(status, "it has not been started yet")


def _named(word: str, name: str, known: Sequence[str], statuses: dict[str, Status]) -> str:
    if name not in known:
        raise UserError("--trials", f"{word!r} is unknown", suggestion(word, known))
    status = statuses.get(name, Status.PENDING)
    if not status.ended:
        raise UserError(f"--trials {word}", _state(status), "wait for it, or resume the sweep")
    return name


def _best(sweep: Sweep, results: "Snapshot", word: str) -> list[str]:
    from analysis.ranking import rank

    number = word.removeprefix("best:")
    if not number.isdigit() or int(number) < 1:
        raise UserError("--trials", f"{word!r}", "write best:5 for the five best points")
    ranking = rank(results.frame("trials"), results.frame("epochs"), len(sweep.study.seeds))
    points = [point for point in in_turn(ranking) if point.measured][: int(number)]
    return [str(row["trial"]) for point in points for row in point.trials]
