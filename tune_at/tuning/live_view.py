"""The one live view of a sweep: counts, time left, best and running trials. Plain lines without a terminal."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tune_at.config.section import SELECTION_SPLITS
from tune_at.scheduling.board import TrialState
from tune_at.store.status import Status
from tune_at.study.forecast import Forecast
from tune_at.study.study import Study
from tune_at.study.trials import Trial
from tune_at.tuning.live_tables import Standings, TrialView, running_table
from tune_at.wording import counted, duration, trial_label

PLAIN_INTERVAL = 15.0
"""Seconds between two plain lines."""

SLACK = 1.0
"""Seconds beyond an epoch's own that may pass until its result is here; what is more was waited for other trials."""


class SweepProgress:
    """Keeps the state of all trials and shows it while it is entered as a context."""

    def __init__(
        self,
        study: Study,
        trials: Iterable[Trial],
        finished: Mapping[str, Status],
        console: Console,
        forecast: Forecast,
    ) -> None:
        """`trials`: those that are known; `finished`: the status of those that ended in an earlier run.

        `forecast`: what the time was announced by.
        """
        self.views = {trial.name: TrialView(trial) for trial in trials}
        for name, status in finished.items():
            view = self.views[name]
            view.status, view.epoch = status, view.epochs
        self.total = max(study.size, len(self.views))
        self.split = SELECTION_SPLITS[study.samples()[0].config.train.selection]
        self.console = console
        self.stages = list(study.stages)
        self.standings = Standings(self.split, len(study.seeds))
        self.best: RenderableType | None = None
        self.changed, self.width = True, 0
        """Whether the best so far may be others than those that are shown; and for how many columns these are made."""
        self.began = time.monotonic()
        self.forecast = forecast
        self.marks: dict[str, tuple[float, int]] = {}
        """When each running trial was last heard of, and the epoch that it had finished by then."""
        self.last_line = 0.0
        self.live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "SweepProgress":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def add(self, trial: Trial) -> None:
        """A searcher has drawn a trial."""
        self.views.setdefault(trial.name, TrialView(trial))
        self.changed = True

    def recall(self, states: Iterable[TrialState]) -> None:
        """What is known of the trials from earlier runs: how far they are, and their best epochs."""
        for state in states:
            view = self.views[state.name]
            self.changed = True
            view.epoch = view.epochs if state.status == Status.COMPLETED else state.epoch
            rows = [{f"{self.split}_{k}": v for k, v in m.items()} | {"epoch": e} for e, m in state.metrics.items()]
            view.best = max(rows, key=self._standing, default={})

    def follow(self, states: Iterable[TrialState]) -> None:
        """Show trials that the scheduler has stopped, or that wait for its decision without a worker."""
        for state in states:
            view = self.views.get(state.name)
            if view is None:
                continue
            if state.status == Status.STOPPED and not view.status.ended:
                view.status = Status.STOPPED
                if not self.console.is_terminal:
                    self._plain_line(view)
            elif view.status == Status.RUNNING and not state.active and not state.ended:
                view.status = Status.PAUSED

    def failed(self, result: Mapping[str, Any], swept: Mapping[str, Any], epoch: int) -> None:
        """A trial has failed: say so once, with all there is to know."""
        view = self.views[str(result["trial"])]
        view.status, view.epoch, self.changed = Status.FAILED, epoch, True
        config = ", ".join(f"{key}={value}" for key, value in swept.items() if value is not None)
        self.say(f"failed: {trial_label(view.name)} ({config or 'base'}) after epoch {epoch}: {result['error']}")
        self.say(f"  full log: {result['log']}")

    def started(self, trial: str) -> None:
        """A worker has taken the trial."""
        self.views[trial].status = Status.RUNNING
        self.marks[trial] = time.monotonic(), self.views[trial].epoch

    def result(self, result: Mapping[str, Any]) -> None:
        """Take the result of one epoch."""
        view = self.views.get(str(result.get("trial")))
        if view is None or result["status"] == Status.STORAGE:  # such a trial is unfinished, and the sweep ends
            return
        view.status, self.changed = Status(result["status"]), True
        if "epoch" in result:
            self._observe(view, result)
            view.epoch = result["epoch"]
        view.metrics |= {k: v for k, v in result.items() if k.endswith("accuracy") and isinstance(v, float)}
        if f"{self.split}_robust_accuracy" in result and self._standing(view.metrics) > self._standing(view.best):
            view.best = {**view.metrics, "epoch": view.epoch}
        for note in result.get("notes") or ():
            self.say(f"note: {trial_label(view.name)}: {note}")
        if not self.console.is_terminal:
            self._plain_line(view)

    def _observe(self, view: TrialView, result: Mapping[str, Any]) -> None:
        """Let the forecast know how long an epoch has taken; a trial that waits for others has not worked."""
        now, epoch = time.monotonic(), int(result["epoch"])
        since, before = self.marks.get(view.name, (now, epoch))
        self.marks[view.name] = now, epoch
        # A resumed trial comes back with many epochs at once, none of which it has run now.
        if epoch == before + 1 and not result.get("history"):
            worked = result["train_seconds"] + result["evaluation_seconds"]
            start = self.forecast.cost(view.name).start if before == 0 else 0.0
            self.forecast.observe(view.name, before, epoch, min(now - since, worked + 3 * start + SLACK))

    def say(self, text: str) -> None:
        """Print a line above the live view, as it is."""
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _plain_line(self, view: TrialView) -> None:
        now = time.monotonic()
        if view.status != Status.RUNNING:
            self.say(
                f"[{clock(now - self.began)}] {view.status} {trial_label(view.name)}{self._stage(view)} after"
                f" {counted(view.epoch, 'epoch')}  {accuracies(view)}"
            )
        elif now - self.last_line > PLAIN_INTERVAL:
            self.last_line = now
            views = self._with(Status.RUNNING)
            running = ", ".join(f"{trial_label(v.name)}{self._stage(v)} {v.epoch}/{v.epochs}" for v in views)
            self.say(f"[{clock(now - self.began)}] {self.counts()}, {self.time_left()}; {running}")

    def counts(self) -> str:
        """Trials by status, in words."""
        numbers = Counter(view.status for view in self.views.values())
        numbers[Status.PENDING] += self.total - len(self.views)
        order = (
            Status.COMPLETED, Status.RUNNING, Status.PAUSED, Status.PENDING, Status.STOPPED, Status.DIVERGED,
            Status.FAILED,
        )  # fmt: skip
        return ", ".join(f"{numbers[status]} {status}" for status in order if numbers[status])

    def time_left(self) -> str:
        """Time until the last trial ends, by the forecast that was announced and what has been observed since."""
        ranked = sorted(
            (v for v in self.views.values() if not v.status.ended), key=lambda v: v.status != Status.RUNNING
        )
        left = self.forecast.left({view.name: view.epoch for view in ranked}, self.total - len(self.views))
        return "time left unknown" if left is None else f"about {duration(left)} left"

    def _with(self, status: Status) -> list[TrialView]:
        return [view for view in self.views.values() if view.status == status]

    def render(self) -> RenderableType:
        """The live view."""
        total = sum(view.epochs for view in self.views.values())
        done = sum(view.epoch for view in self.views.values())
        head = Text(f"{self.counts()}  ·  {clock(time.monotonic() - self.began)} elapsed, {self.time_left()}")
        width = self.console.width
        bar = Table.grid()  # a bar of its own would not end its line
        bar.add_row(ProgressBar(total=max(1, total), completed=done, width=min(60, width)))
        parts: list[RenderableType] = [head, bar]
        if running := self._with(Status.RUNNING):
            parts.append(running_table(running, self.split, width, len(self.stages) > 1))
        if self.changed or self.width != width:
            self.changed, self.width = False, width
            self.best = self.standings.table(self.views, width)
        if self.best is not None:
            parts.append(self.best)
        return Group(*parts)

    def _standing(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """By what an epoch is the best of its trial, as `best_record` has it."""
        return tuple(metrics.get(f"{self.split}_{kind}_accuracy", -1.0) for kind in ("robust", "natural"))

    def _stage(self, view: TrialView) -> str:
        return f" ({view.trial.stage})" if len(self.stages) > 1 else ""


def accuracies(view: TrialView) -> str:
    """The newest accuracies in one line."""
    parts = []
    for split in ("train", "test"):
        pair = [view.metrics.get(f"{split}_{kind}_accuracy") for kind in ("natural", "robust")]
        if pair[0] is not None and pair[1] is not None:
            parts.append(f"{split} {pair[0]:.1%} natural {pair[1]:.1%} robust")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """Elapsed time as h:mm:ss or mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
