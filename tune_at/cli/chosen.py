"""`--trials`: which of a sweep's trials `evaluate` and `probe` look at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tune_at.errors import UserError, suggestion
from tune_at.store.status import Status
from tune_at.study.points import in_turn
from tune_at.study.sweep import Sweep
from tune_at.study.trials import Trial
from tune_at.wording import counted, program, shell, trial_label

if TYPE_CHECKING:
    from tune_at.store.snapshot import Snapshot

ALL, BEST = "all", "best:"
WELL = (Status.COMPLETED, Status.STOPPED)
"""How a trial has ended that is taken without being named."""


def choose(sweep: Sweep, results: "Snapshot", words: Sequence[str]) -> tuple[list[Trial], list[str], frozenset[str]]:
    """The trials that the words name, in the sweep's order.

    `all` is all that have ended well. `best:5` is the five best points by the study's own selection, with all their
    seeds that ended well; where points are not compared with each other, the best of each group come first. Points of
    which no seed has ended well do not count. A trial that is named is taken though it has diverged.

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
    rows = sweep.statuses(results)
    statuses = {name: rows.get(name, Status.PENDING) for name in known}
    labels = {trial_label(name): name for name in known}
    candidates: dict[str, None] = {}
    named: set[str] = set()
    notes = []
    for word in words:
        if word == ALL:
            candidates |= dict.fromkeys(known)
        elif word.startswith(BEST):
            best, points = _best(sweep, results, word)
            candidates |= dict.fromkeys(best)
            if points < int(word.removeprefix(BEST)):
                notes.append(f"note: {word}: there are {counted(points, 'point')} to choose from")
        else:
            named.add(_named(sweep, word, labels.get(word, word), statuses))
    passed = [name for name in candidates if statuses[name] not in WELL and name not in named]
    lines = [f"passed over: {trial_label(name)}: {_state(statuses[name])}" for name in passed]
    lines += [f"note: {trial_label(name)}: {_state(statuses[name])}" for name in sorted(named) if statuses[name].void]
    chosen = (candidates.keys() - passed) | named
    if not chosen:
        raise _nothing(words, statuses)
    return [trial for name, trial in known.items() if name in chosen], lines + notes, frozenset(named)


def _state(status: Status) -> str:
    return {
        Status.DIVERGED: "it has diverged, and its last weights may be NaN",
        Status.FAILED: "it has failed",
        Status.RUNNING: "it has not ended yet",
    }.get(status, "it has not been started yet")


def _named(sweep: Sweep, word: str, name: str, statuses: Mapping[str, Status]) -> str:
    if name not in statuses:
        near = suggestion(word, [*statuses, ALL])
        if word.startswith(BEST[:-1]):
            near = "write best:5 for the five best points"
        listing = shell(*program(), "status", sweep.folder)
        raise UserError("--trials", f"{word!r} is unknown", near or f"`{listing}` names them")
    if not statuses[name].ended:
        raise UserError(f"--trials {word}", _state(statuses[name]), "wait for it, or resume the sweep")
    return name


def _best(sweep: Sweep, results: "Snapshot", word: str) -> tuple[list[str], int]:
    """The trials of the best points, whatever their status, and how many of the points have a trial that ended well."""
    from analysis.ranking import rank

    number = word.removeprefix(BEST)
    if not number.isdecimal() or int(number) < 1:
        raise UserError("--trials", f"{word!r} names no number above 0", "write best:5 for the five best points")
    trials: list[str] = []
    points = 0
    within = sweep.study.scheduler.compared_within
    ranking = rank(results.frame("trials"), results.frame("epochs"), len(sweep.study.seeds), within=within)
    for point in in_turn(ranking):
        if point.measured and points < int(number):
            trials += [str(row["trial"]) for row in point.trials]
            points += any(row["status"] in WELL for row in point.measured)
    return trials, points


def _nothing(words: Sequence[str], statuses: Mapping[str, Status]) -> UserError:
    """Why no trial was left."""
    if not statuses:
        return UserError("--trials", "there are no trials yet", "wait for one, or resume the sweep")
    if any(status in WELL for status in statuses.values()):
        problem = "of the trials that have ended well none was evaluated while it trained, so none is best"
        return UserError(f"--trials {' '.join(words)}", problem, "name trials, or all")
    counts = Counter("not ended" if not status.ended else str(status) for status in statuses.values())
    problem = f"no trial has ended well: {', '.join(f'{number} {state}' for state, number in counts.items())}"
    lost = any(status.void for status in statuses.values())
    return UserError("--trials", problem, f"wait for one{', name one that is lost' * lost}, or resume the sweep")
