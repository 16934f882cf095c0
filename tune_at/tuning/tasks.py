"""Work on trained networks as Ray tasks: evaluations and probes, spread over this machine or a cluster.

A task writes its own parts of the store and returns nothing, so whatever is killed loses no task that has ended: who
asks again finds out from the tables what is missing, and runs that.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tune_at.config.data import DataSection, Digits
from tune_at.data.arrays import plain_source
from tune_at.data.sources import load_source
from tune_at.errors import UserError
from tune_at.scheduling.driver import WORKER_RETRIES
from tune_at.store.failures import StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.tuning.cluster.session import (
    OBJECT_STORE_BYTES,
    Need,
    first_line,
    node_is_alive,
    ray_session,
    slots,
)  # first: it sets what Ray reads when imported

# isort: split
import ray

from tune_at.tuning.interruption import calm, last_words
from tune_at.tuning.launch import Launch
from tune_at.tuning.requirements import require_cluster
from tune_at.tuning.task_worker import Outcome, work
from tune_at.wording import counted, duration

PLAIN_INTERVAL = 15.0
"""Seconds between two plain lines."""
LOOK = 1.0
"""Seconds after which Ray is asked again: within these a lost node and an interruption are noticed."""


@dataclass(frozen=True)
class Task:
    """A piece of work that can be done by itself.

    Attributes:
        name: what it is called where it fails; no two tasks have the same.
        function: `module:attribute`, imported in the worker. It writes its rows itself, sets torch's threads as trials
            do (`prepare_device`), and leaves the process as it found it: another task may come after it.
        arguments: plain values.
        need: what it takes of a node.
    """

    name: str
    function: str
    arguments: Mapping[str, Any]
    need: Need


def run_tasks(
    tasks: Sequence[Task],
    folder: SweepFolder,
    launch: Launch,
    console: Console,
    what: str,
    again: str,
    data: Iterable[DataSection] = (),
) -> dict[str, str]:
    """Run the tasks with Ray, as many at a time as fit, in their order. Returns the error of each that has failed.

    A worker that is lost is replaced and its task begins again. Without tasks Ray is not started. Ctrl-C raises
    `KeyboardInterrupt`, as everywhere: the program then says how to continue.

    Args:
        tasks: what to do.
        folder: of the sweep that they write to.
        launch: where they run, and how many at a time at most; `launch.completed(folder)`.
        console: where progress is shown: a bar, or plain lines where it is no terminal.
        what: a task in a word, such as `evaluation`.
        again: the command that does what is missing.
        data: the sections of the data sets that they read, for `--ship-data`.

    Raises:
        UserError: Ray cannot be started, or a task fits on no node.
        StorageFailed: a task could not write; the tasks that ran beside it were ended.
    """
    if not tasks:
        return {}
    last_words(f"interrupted; continue with: {again}")
    where = "this machine's cluster" if launch.address == "auto" else launch.address
    _say(console, f"{f'joining {where}' if launch.address else 'starting Ray'} ...")
    with ray_session(launch.address, None if launch.ship_data else OBJECT_STORE_BYTES) as warnings:
        for warning in warnings:
            _say(console, warning)
        require_cluster([task.need for task in tasks], bool(launch.address), folder.place.parent)
        fitting = max(1, *(slots(need) for need in dict.fromkeys(task.need for task in tasks)))
        at_once = max(1, min(len(tasks), fitting, launch.concurrency or fitting))
        _say(console, f"{counted(len(tasks), what)}, {at_once} at a time")
        shipped = ray.put(_sources(data) if launch.ship_data else {})
        with _Progress(console, what, len(tasks)) as progress:
            errors = _run(tasks, at_once, shipped, progress, again)
        calm()
    last_words("interrupted")
    return errors


def _run(tasks: Sequence[Task], at_once: int, shipped: Any, progress: "_Progress", again: str) -> dict[str, str]:
    """Run the tasks in the session that is there."""
    errors: dict[str, str] = {}
    running: dict[Any, Task] = {}
    # The worker's own errors come as values: only its death is tried again.
    remotes = {
        need: ray.remote(num_cpus=need.cpu, num_gpus=need.gpu, max_retries=WORKER_RETRIES)(work)
        for need in dict.fromkeys(task.need for task in tasks)
    }
    waiting = list(reversed(tasks))
    while waiting or running:
        while waiting and len(running) < at_once:
            task = waiting.pop()
            named = remotes[task.need].options(name=f"task {task.name}")  # the title of its process
            running[named.remote(task.function, dict(task.arguments), shipped)] = task
        done, _ = ray.wait(list(running), timeout=LOOK)
        for reference in done:
            task = running.pop(reference)
            outcome = _outcome(reference)
            if outcome.storage:
                place, problem, remedy = outcome.storage
                raise StorageFailed(place, problem, remedy + f" with: {again}" * remedy.endswith("again"))
            if outcome.error:
                errors[task.name] = outcome.error
                progress.say(f"failed: {task.name}: {outcome.error}")
                if outcome.trace:
                    progress.say(outcome.trace.rstrip())
            progress.ended()
        if not done and not node_is_alive():
            raise UserError("Ray", "its process on this machine has died", f"continue with: {again}")
    return errors


def _outcome(reference: Any) -> Outcome:
    """What has come of a task that has ended."""
    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.WorkerCrashedError:
        return Outcome(f"its worker was lost {WORKER_RETRIES + 1} times")
    except ray.exceptions.RayError as error:  # such as a worker that cannot import this program
        return Outcome(first_line(error))
    return outcome


def _sources(sections: Iterable[DataSection]) -> dict[str, Any]:
    """Data sets for Ray's object store, by the key under which a worker looks for them."""
    chosen = {section.source_key: section for section in sections if not isinstance(section, Digits)}
    # Plain arrays: a memory map would be opened by its path, which other nodes do not have.
    return {key: plain_source(load_source(section)) for key, section in chosen.items()}


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)


class _Progress:
    """How many tasks have ended: a bar on a terminal, and otherwise a line now and then."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self.console, self.what, self.total, self.done = console, what, total, 0
        self.began = self.last = time.monotonic()
        columns = TextColumn(f"{what}s"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
        self.bar = Progress(*columns, console=console, transient=True)
        self.number = self.bar.add_task(what, total=total)

    def __enter__(self) -> "_Progress":
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self.console.is_terminal:
            self.bar.stop()

    def ended(self) -> None:
        """One task more has ended, well or not."""
        self.done += 1
        self.bar.advance(self.number)
        now = time.monotonic()
        if not self.console.is_terminal and (now - self.last > PLAIN_INTERVAL or self.done == self.total):
            self.last, took = now, now - self.began
            left = "" if self.done == self.total else f", about {duration(took * (self.total / self.done - 1))} left"
            self.say(f"{self.done} of {counted(self.total, self.what)} done in {duration(took)}{left}")

    def say(self, text: str) -> None:
        """Print a line above the bar, as it is."""
        _say(self.console, text)
