"""What early stopping would have done to trials whose whole curves are recorded. Trains nothing, and knows no Ray.

The policies are those that run live: in the order in which the trials started, a replay decides as the live sweep does.
"""

import copy
import itertools
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from tune_at.config.scheduler import SCHEDULERS, SchedulerSection
from tune_at.errors import UserError
from tune_at.scheduling.curves import Recording
from tune_at.scheduling.policies import build_policy
from tune_at.scheduling.policies.base import Policy, Replayed
from tune_at.scheduling.regret import Judge, Outcome
from tune_at.study.sampling import parse_scheduler

MOST_RUNGS = 12
"""Rungs whose ranks are looked at; the median rule has one at every evaluation."""

SMALL = 20_000_000
"""Trials times epochs times orders times settings below which a second process is not worth its start."""


DEFAULTS: Mapping[str, Sequence[float]] = {"grace": (1, 3, 5), "eta": (2, 3, 4), "smooth": (1,)}
"""What is tried where nothing is said; of these, what would never judge such curves is left out."""


def settings(
    recording: Recording, names: Sequence[str], metric: str, given: Mapping[str, Sequence[float]]
) -> list[SchedulerSection]:
    """Each scheduler with each combination of the values of those options that it has.

    Args:
        recording: of what.
        names: of the schedulers.
        metric: what they judge by.
        given: values by option, in place of `DEFAULTS`.

    Raises:
        UserError: an unknown scheduler, one that cannot be replayed, or a value that it refuses or never judges with.
    """
    found: dict[SchedulerSection, None] = {}
    kinds = {(state.epochs, tuple(state.evaluated)): state.trial.config for state in recording.states}
    refusal = None
    for name in names:
        section: type[SchedulerSection] = SCHEDULERS[name].config
        if not section.stops:
            problem = "changes what its trials learn" if section.population else "stops nothing"
            raise UserError("--scheduler", f"{name} {problem}: there is nothing to replay", f"choose from {_known()}")
        taken = {key: values for key, values in {**DEFAULTS, **given}.items() if key in section.model_fields}
        for values in itertools.product(*taken.values()):
            tree = {"name": name, "metric": metric, **dict(zip(taken, map(_plain, values), strict=True))}
            scheduler = parse_scheduler(tree, f"--scheduler {name}")
            broken = next(scheduler.never_judging(list(kinds.values())), None)
            if broken is None:
                found[scheduler] = None
                continue
            key = broken.where.rpartition(".")[2]
            refusal = UserError(
                f"--{key} {getattr(scheduler, key):g}", f"with {name} {broken.problem}", "give a lower one"
            )
            if key in given:
                raise refusal
    if refusal and not found:
        raise refusal
    return list(found)


def _known() -> str:
    sections: dict[str, type[SchedulerSection]] = {name: SCHEDULERS[name].config for name in SCHEDULERS}
    return ", ".join(name for name, section in sections.items() if section.stops)


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def policy_of(recording: Recording, scheduler: SchedulerSection) -> Policy:
    """The policy as it runs live, over the same points: nothing of the study is resolved again."""
    study = copy.copy(recording.study)
    object.__setattr__(study, "scheduler", scheduler)
    return build_policy(study)


def replay_live(recording: Recording, scheduler: SchedulerSection) -> list[Replayed]:
    """Every decision of a live sweep of these trials, in the order in which they started."""
    made: list[Replayed] = []
    policy_of(recording, scheduler).course(recording.states).play(range(len(recording.states)), made)
    return made


@dataclass
class Replay:
    """A scheduler over the curves of a sweep."""

    scheduler: SchedulerSection
    outcomes: list[Outcome] = field(default_factory=list)
    """By order, the live one first."""
    judged: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    """See `Course.judged`."""

    @property
    def options(self) -> dict[str, float]:
        """What of `DEFAULTS` the scheduler has."""
        return {key: getattr(self.scheduler, key) for key in DEFAULTS if key in type(self.scheduler).model_fields}


class Replays:
    """A recording made ready to be replayed in many orders."""

    def __init__(self, recording: Recording, schedulers: Sequence[SchedulerSection], orders: int, seed: int) -> None:
        self.recording, self.schedulers = recording, schedulers
        self.judge, self.orders = Judge(recording), list(recording.orders(orders, seed))

    def part(self, number: int, start: int, end: int) -> "Result":
        """Some orders of one scheduler, and with the first of them what it judges."""
        course = policy_of(self.recording, self.schedulers[number]).course(self.recording.states)
        outcomes = [self.judge.outcome(course.play(order)) for order in self.orders[start:end]]
        return outcomes, course.judged(MOST_RUNGS) if start == 0 else {}

    def run(self, processes: int = 1, tell: Callable[[int, int], None] = lambda done, total: None) -> list[Replay]:
        """All of them. `tell`: gets the number of orders that are done, and that of all."""
        size = len(self.recording.states) * int(self.recording.lasts.max()) * len(self.orders) * len(self.schedulers)
        if size < SMALL or sys.platform != "linux":  # elsewhere a process would read and prepare everything again
            processes = 1
        step = len(self.orders)
        if len(self.schedulers) < 4 * processes:
            step = -(-step // processes)
        starts = range(0, len(self.orders), step)
        parts = [(number, start, start + step) for number in range(len(self.schedulers)) for start in starts]
        found: dict[Part, Result] = {}
        done = 0
        for part, result in _in_processes(self, parts, processes):
            found[part] = result
            done += len(result[0])
            tell(done, len(self.orders) * len(self.schedulers))
        replays = [Replay(scheduler) for scheduler in self.schedulers]
        for number, start, end in sorted(parts):
            outcomes, judged = found[number, start, end]
            replays[number].outcomes += outcomes
            replays[number].judged = judged or replays[number].judged
        return replays


Part = tuple[int, int, int]
Result = tuple[list[Outcome], Mapping[int, Mapping[int, float]]]

_work: list[Replays] = []
"""In a process that was started for it: what it works on."""


def _in_processes(work: Replays, parts: Sequence[Part], processes: int) -> Iterator[tuple[Part, Result]]:
    """Each part with its result, as they come."""
    if processes == 1:
        for part in parts:
            yield part, work.part(*part)
        return
    # Forked, so that the curves are shared. Arrow's threads, which are not there then, are not needed any more.
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(processes, context, _begin, (work,))
    try:
        for future in as_completed([pool.submit(_part, part) for part in parts]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(work: Replays) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to all: the first process ends the others
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _work.append(work)


def _part(part: Part) -> tuple[Part, Result]:
    return part, _work[0].part(*part)
