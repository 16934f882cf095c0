"""The one live view of a sweep: counts, time left, best and running trials. Plain lines without a terminal."""

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live

from tune_at.config.scheduler import find_metric
from tune_at.config.section import SELECTION_SPLITS
from tune_at.scheduling.board import Decision, TrialState
from tune_at.store.status import Status
from tune_at.study.forecast import Forecast
from tune_at.study.study import Study
from tune_at.study.survival import Survival
from tune_at.study.trials import Trial
from tune_at.tuning.live_page import Page, clock, counted_by_status, in_words, left_in_words
from tune_at.tuning.live_tables import Room, Standings, Stop, TrialView
from tune_at.wording import counted, trial_label

PLAIN_INTERVAL = 15.0
"""Seconds between two plain lines."""

SILENCE = 60.0
"""Seconds without any result after which a plain line says that trials run: an epoch may take many minutes."""

SLACK = 1.0
"""Seconds beyond an epoch's own that may pass until its result is here; what is more was waited for other trials."""


class SweepProgress:
    """Keeps the state of all trials and shows it while it is entered as a context.

    A console that is quiet shows nothing but what has failed, on stderr.
    """

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
        self.standings = Standings(self.split, len(study.seeds), study.scheduler.compared_within)
        self.best: RenderableType | None = None
        self.changed, self.size = True, (0, 0)
        """Whether the best so far may be others than those that are shown; and for which size these are made."""
        self.metric = judged_metric(study)
        self.stopping = study.scheduler.stops
        """Whether trials may end before their last epoch."""
        self.stops: deque[Stop] = deque(maxlen=Room().stopped)
        """The newest first."""
        self.machines: Sequence[str] = ()
        """What is known of the machines, in lines."""
        self.began = time.monotonic()
        self.forecast = forecast
        self.marks: dict[str, tuple[float, int]] = {}
        """When each running trial was last heard of, and the epoch that it had finished by then."""
        self.last_line = 0.0
        self.asked, self.left = -2.0, ""
        self.live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)
        self.shown = console.is_terminal and not console.quiet

    def __enter__(self) -> "SweepProgress":
        if self.shown:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown:
            self.live.stop()

    def add(self, trial: Trial) -> None:
        """A searcher has drawn a trial."""
        self.views.setdefault(trial.name, TrialView(trial))
        self.changed = True

    def recall(self, states: Sequence[TrialState]) -> None:
        """What is known of the trials from earlier runs: how far they are, and their best epochs."""
        for state in states:
            view = self.views[state.name]
            self.changed = True
            view.epoch = view.epochs if state.status == Status.COMPLETED else state.epoch
            rows = [{f"{self.split}_{k}": v for k, v in m.items()} | {"epoch": e} for e, m in state.metrics.items()]
            view.best = max(rows, key=self._standing, default={})
        stopped = [state for state in states if state.status == Status.STOPPED]
        for state, decision in sorted(_stops(stopped), key=lambda stop: stop[1].decided):
            self._note_stop(state, decision)

    def follow(self, states: Iterable[TrialState]) -> None:
        """Show trials that the scheduler has stopped, or that wait for its decision without a worker."""
        for state in states:
            view = self.views.get(state.name)
            if view is None:
                continue
            if state.status == Status.STOPPED and not view.status.ended:
                view.status = Status.STOPPED
                for _, decision in _stops([state]):
                    self._note_stop(state, decision)
                if not self.console.is_terminal:
                    self._plain_line(view, self.stops[0].because(self.metric) if self.stops else "")
            elif view.status == Status.RUNNING and not state.active and not state.ended:
                view.status = Status.PAUSED
        silent = time.monotonic() - max(self.began, self.last_line) > SILENCE
        if silent and not self.console.is_terminal and self._with(Status.RUNNING):
            self._plain_progress()

    def failed(self, result: Mapping[str, Any], swept: Mapping[str, Any], epoch: int) -> None:
        """A trial has failed: say so once, with all there is to know."""
        view = self.views[str(result["trial"])]
        view.status, view.epoch, self.changed = Status.FAILED, epoch, True
        config = ", ".join(f"{key}={value}" for key, value in swept.items() if value is not None)
        self.say(
            f"failed: {trial_label(view.name)} ({config or 'base'}) after epoch {epoch}: {result['error']}",
            f"  full log: {result['log']}",
            always=True,
        )

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
        view.node = str((result.get("worker") or {}).get("node") or view.node)
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

    def say(self, *lines: str, always: bool = False) -> None:
        """Print lines above the live view, as they are; `always`: on stderr where the console is quiet."""
        console = Console(stderr=True) if always and self.console.quiet else self.console
        for line in lines:
            console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _note_stop(self, state: TrialState, decision: Decision) -> None:
        if decision.cutoff is not None:
            values = decision.epoch, decision.rung, decision.bracket, decision.value, decision.cutoff
            self.stops.appendleft(Stop(state.name, *values))

    def _plain_line(self, view: TrialView, why: str = "") -> None:
        now = time.monotonic()
        if view.status != Status.RUNNING:
            self.say(
                f"[{clock(now - self.began)}] {view.status} {trial_label(view.name)}{self._stage(view)} after"
                f" {counted(view.epoch, 'epoch')}  {why or accuracies(view)}"
            )
        elif now - self.last_line > PLAIN_INTERVAL:
            self._plain_progress()

    def _plain_progress(self) -> None:
        self.last_line = now = time.monotonic()
        views = self._with(Status.RUNNING)
        running = ", ".join(f"{trial_label(v.name)}{self._stage(v)} {v.epoch}/{v.epochs}" for v in views)
        self.say(f"[{clock(now - self.began)}] {self.counts()}, {self.time_left()}; {running}")

    def counts(self) -> str:
        """Trials by status, in words."""
        return in_words(counted_by_status((view.status for view in self.views.values()), self.total))

    def time_left(self) -> str:
        """Time until the last trial ends, by the forecast that was announced and what has been observed since."""
        ranked = sorted(
            (v for v in self.views.values() if not v.status.ended), key=lambda v: v.status != Status.RUNNING
        )
        epochs, undrawn = {view.name: view.epoch for view in ranked}, self.total - len(self.views)
        most = self.forecast.left(epochs, undrawn)
        if not self.stopping:
            return left_in_words(most, most, False)
        stopped = [view.epoch for view in self._with(Status.STOPPED)]
        others = [view.epoch for view in self.views.values() if view.status not in (Status.STOPPED, Status.PENDING)]
        return left_in_words(self.forecast.left(epochs, undrawn, Survival(stopped, others)), most, True)

    def _with(self, status: Status) -> list[TrialView]:
        return [view for view in self.views.values() if view.status == status]

    def render(self) -> RenderableType:
        """The live view."""
        return self.page().render(self.console.width, self.console.height)

    def page(self) -> Page:
        """What is known now."""
        views = self.views.values()
        counts = counted_by_status((view.status for view in views), self.total)
        return Page(
            counts=counts, elapsed=time.monotonic() - self.began, left=self._left(),
            done=sum(view.epoch for view in views),
            planned=sum(view.epoch if view.status.ended else view.epochs for view in views),
            machines=self.machines, running=self._with(Status.RUNNING), best=self._best,
            stops=list(self.stops), stopped=counts[Status.STOPPED], metric=self.metric, split=self.split,
            staged=len(self.stages) > 1,
        )  # fmt: skip

    def _left(self) -> str:
        """`time_left`, which looks at all trials, at most once a second."""
        if (now := time.monotonic()) - self.asked > 1:
            self.asked, self.left = now, self.time_left()
        return self.left

    def _best(self, width: int, most: int) -> RenderableType | None:
        """The table of the best, made again only where it may be another."""
        if self.changed or self.size != (width, most):
            self.changed, self.size = False, (width, most)
            self.best = self.standings.table(self.views, width, most)
        return self.best

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


def judged_metric(study: Study) -> str:
    """What the study's scheduler judges trials by, without the split; empty if it judges none."""
    return find_metric(study.scheduler.metric, study.selection, study.origin) if study.scheduler.early else ""


def _stops(states: Iterable[TrialState]) -> list[tuple[TrialState, Decision]]:
    """The decisions that have stopped trials; their workers may not have heard of them yet."""
    return [(state, decision) for state in states for decision in state.decisions.values() if decision.action == "stop"]
