"""Where a sweep stands, from its folder alone: what `status` prints, follows and hands to scripts.

The same whether the sweep runs, was killed or is finished, here or on an object store; it writes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from analysis.brief import telling_epochs, told
from analysis.ranking import rank
from tune_at.config.section import SELECTION_SPLITS
from tune_at.store.lock import holder_pid, is_locked
from tune_at.store.reader import read_results
from tune_at.store.snapshot import Snapshot
from tune_at.store.status import Status
from tune_at.study.cost import rough_cost
from tune_at.study.forecast import Paces
from tune_at.study.points import Point, Ranking
from tune_at.study.survival import Survival
from tune_at.study.sweep import Sweep
from tune_at.study.trials import Trial
from tune_at.tuning.heartbeat import DriverRecord
from tune_at.tuning.live_page import Page, counted_by_status, left_in_words
from tune_at.tuning.live_tables import Stop, TrialView, best_table, metrics_of
from tune_at.tuning.live_view import judged_metric
from tune_at.tuning.machines import from_record, in_lines

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

SILENCE = 60.0
"""Seconds after which it is said that a driver has not been heard of: six times as long as it is silent."""


class State(StrEnum):
    """What a sweep does, in one word."""

    RUNNING = "running"
    FINISHED = "finished"
    """Nothing is left to run; trials may have failed."""
    INTERRUPTED = "interrupted"
    """Ended by its user or a batch system, or nothing is known of its driver."""
    FAILED = "failed"
    """Its driver ended with an error: storage, Ray, a trial with `--fail-fast`."""
    DIED = "died"
    """Its driver was killed, or lost its power."""


@dataclass(frozen=True)
class Standing:
    """A sweep as it was at one moment."""

    sweep: Sweep
    results: Snapshot
    running: bool
    """Whether somebody runs it."""
    driver: DriverRecord | None
    """What its newest driver has said; None if that is not known."""
    now: datetime

    @classmethod
    def of(cls, sweep: Sweep) -> "Standing":
        """Read it. Raises `UserError` for damage and for storage that fails."""
        running = is_locked(sweep.folder)  # first: what ends meanwhile is then in the tables
        driver = DriverRecord.read(sweep.folder)
        if running and driver and (driver.ended or driver.pid != holder_pid(sweep.folder)):
            driver = None  # the one before: this one has not said anything yet
        return cls(sweep, read_results(sweep.folder, told(sweep.study)), running, driver, utc_now())

    @cached_property
    def state(self) -> State:
        """What it does."""
        if self.running:
            return State.RUNNING
        if not self.left:
            return State.FINISHED
        if self.driver is None:
            return State.INTERRUPTED
        return State.DIED if not self.driver.ended else State.FAILED if self.driver.reason else State.INTERRUPTED

    @cached_property
    def left(self) -> int:
        """Trials that `resume` would run."""
        return self.sweep.left(self.results)

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The row of each trial that has one."""
        return {row["trial"]: row for row in self.results.arrow("trials").to_pylist()}

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """All trials that are known."""
        return {trial.name: trial for trial in self.sweep.trials(self.results)}

    @cached_property
    def statuses(self) -> dict[str, Status]:
        """Of each trial that is known: what the table calls running may be paused, or interrupted."""
        found = {name: Status(row["status"]) for name, row in self.rows.items()}
        for name, status in found.items():
            if status is Status.RUNNING and not self.running:
                found[name] = Status.INTERRUPTED
            elif status is Status.RUNNING and self._is_paused(name):
                found[name] = Status.PAUSED
        return found | dict.fromkeys(self.trials.keys() - found.keys(), Status.PENDING)

    def _is_paused(self, name: str) -> bool:
        if self.driver is None or not self.driver.working or name in self.driver.working:
            return False
        began = self.rows[name]["started"]
        return began is not None and began.isoformat() < self.driver.heard  # else it has started since

    @cached_property
    def counts(self) -> Mapping[Status, int]:
        """How many trials have each status."""
        return counted_by_status(self.statuses.values(), max(self.sweep.size(self.results), len(self.statuses)))

    @cached_property
    def split(self) -> str:
        """The split that trials are judged on."""
        return SELECTION_SPLITS[self.sweep.study.selection]

    @cached_property
    def elapsed(self) -> float | None:
        """Seconds since its driver started, until it ended or was last heard of; None if that is not known."""
        if self.driver is None:
            return None
        until = self.now if self.running else moment(self.driver.ended or self.driver.heard)
        return max(0.0, (until - moment(self.driver.started)).total_seconds())

    @cached_property
    def silent(self) -> float:
        """Seconds for which a running driver has not been heard of, if that is longer than usual."""
        if not self.running or self.driver is None:
            return 0.0
        silent = (self.now - moment(self.driver.heard)).total_seconds()
        return silent if silent > SILENCE else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the last trial ends, if early stopping goes on as so far; None if it does not run or none is known."""
        return self._seconds_left[0]

    @property
    def seconds_left_at_most(self) -> float | None:
        """The same, if no further trial is stopped early."""
        return self._seconds_left[1]

    @cached_property
    def _seconds_left(self) -> tuple[float | None, float | None]:
        """From the seconds that epochs have taken, as they are recorded."""
        if not self.running:
            return None, None
        table = self.results.arrow("epochs").select(["trial", "train_seconds", "evaluation_seconds"]).to_pandas()
        seconds = (table["train_seconds"] + table["evaluation_seconds"].fillna(0.0)).groupby(table["trial"])
        counts, sums = seconds.count().to_dict(), seconds.sum().to_dict()
        costs = {name: rough_cost(trial.config) for name, trial in self.trials.items()}
        began = sorted((name for name in self.rows if name in counts), key=lambda name: str(self.rows[name]["started"]))
        paces = Paces(costs, {name: (int(counts[name]), float(sums[name])) for name in began})
        order = [name for status in (Status.RUNNING, Status.PAUSED, Status.PENDING) for name in self._with(status)]
        done = {name: self._epochs(name) for name in order}
        undrawn = max(0, self.sweep.size(self.results) - len(self.trials))
        at_once = self.driver.at_once if self.driver and self.driver.at_once else len(self._with(Status.RUNNING))
        survival = None
        if self.sweep.study.scheduler.stops:
            stopped = self._with(Status.STOPPED)
            others = self.rows.keys() - {*stopped, *self._with(Status.PENDING)}
            survival = Survival(map(self._epochs, stopped), map(self._epochs, others))
        most = paces.left(done, undrawn, max(1, at_once))
        return (paces.left(done, undrawn, max(1, at_once), survival) if survival else most), most

    @cached_property
    def epochs(self) -> dict[str, int]:
        """The finished epochs of each trial that has some."""
        counts = self.results.arrow("epochs")["trial"].value_counts()
        return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))

    def _epochs(self, name: str) -> int:
        return self.epochs.get(name, 0)

    def _with(self, *statuses: Status) -> list[str]:
        return [name for name, status in self.statuses.items() if status in statuses]

    @cached_property
    def under_way(self) -> list[TrialView]:
        """The trials that run, with their newest accuracies."""
        names = self._with(Status.RUNNING)
        newest = self._accuracies("epoch", names)
        views = []
        for name in names:
            row, trial = self.rows[name], self.trials[name]
            views.append(TrialView(trial, self._epochs(name), Status.RUNNING, newest.get(name, {})))
            views[-1].node = row["node"] or ""
        return views

    def _accuracies(self, order: str, names: "list[str]") -> dict[str, dict[str, float]]:
        """Of each trial the newest value of each accuracy."""
        epochs = self.results.arrow("epochs")
        mine: pd.DataFrame = epochs.filter(pc.is_in(epochs["trial"], pa.array(names, pa.string()))).to_pandas()
        last = mine.sort_values(order).groupby("trial")[metrics_of(self.split)].last()
        found: list[Any] = last.reset_index().to_dict("records")
        return {row["trial"]: {k: v for k, v in row.items() if k != "trial" and v == v} for row in found}

    @cached_property
    def stops(self) -> list[Stop]:
        """Why trials were stopped, the newest first."""
        made = self.results.frame("decisions")
        made = made[(made["action"] == "stop") & made["trial"].isin(self._with(Status.STOPPED))]
        rows: list[Any] = made.sort_values("decided", ascending=False, kind="stable").to_dict("records")
        fields = ("epoch", "rung", "bracket", "value", "cutoff")
        return [Stop(row["trial"], *(row[field] for field in fields)) for row in rows if row["cutoff"] == row["cutoff"]]

    @cached_property
    def ranking(self) -> Ranking:
        """Its points, best first."""
        trials, study = self.results.frame("trials"), self.sweep.study
        return rank(trials, self.telling, len(study.seeds), within=study.scheduler.compared_within)

    @cached_property
    def telling(self) -> "pd.DataFrame":
        """The epochs by which trials are ranked and shown: of millions only these become a frame."""
        return telling_epochs(self.results)

    @cached_property
    def winners(self) -> list[Point]:
        """The best point; where trials are not compared with each other, that of each group."""
        if not self.rows:
            return []
        groups = range(self.ranking.comparison.count)
        return [best for group in groups if (best := self.ranking.best(group)) is not None]

    @cached_property
    def metric(self) -> str:
        """What a scheduler judges by."""
        return judged_metric(self.sweep.study)

    def page(self) -> Page:
        """The live view."""
        capacity, gpus = from_record(self.driver.__dict__) if self.driver else (None, [])
        machines = in_lines(capacity, gpus)
        if self.silent:
            machines.append(f"nothing heard of its driver for {self.silent:.0f} s")
        return Page(
            counts=self.counts, elapsed=self.elapsed,
            left=left_in_words(*self._seconds_left, self.sweep.study.scheduler.stops),
            done=self.done_epochs, planned=self.done_epochs + self.left_epochs,
            machines=machines, running=self.under_way, best=self._best, stops=self.stops,
            stopped=self.counts.get(Status.STOPPED, 0), metric=self.metric, split=self.split,
            staged=len(self.sweep.study.stages) > 1,
        )  # fmt: skip

    @cached_property
    def done_epochs(self) -> int:
        """Finished epochs of all trials."""
        return sum(self.epochs.values())

    @cached_property
    def left_epochs(self) -> int:
        """Epochs that are left if no further trial is stopped; what is yet to be drawn counts as the others do."""
        known = {name: trial.config.train.epochs for name, trial in self.trials.items()}
        left = sum(n - self._epochs(name) for name, n in known.items() if not self.statuses[name].ended)
        undrawn = max(0, self.sweep.size(self.results) - len(known))
        return left + (round(undrawn * sum(known.values()) / len(known)) if known else 0)

    def _best(self, width: int, most: int) -> "RenderableType | None":
        if not self.rows:
            return None
        epochs = self.telling
        shown = self.winners if self.ranking.comparison.count > 1 else self.ranking.points[:most]
        named = {row["trial"]: row["best_epoch"] for point in shown for row in point.measured}
        at = epochs[epochs["trial"].isin(named) & (epochs["epoch"] == epochs["trial"].map(named))]
        found: list[Any] = at[["trial", "epoch", *metrics_of(self.split)]].to_dict("records")
        best = {row["trial"]: {k: v for k, v in row.items() if k != "trial" and v == v} for row in found}
        points = tuple(
            replace(point, trials=tuple({**row, "best": best.get(row["trial"], {})} for row in point.trials))
            for point in self.ranking.points
        )
        return best_table(replace(self.ranking, points=points), self.split, width, most)


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


def moment(text: str) -> datetime:
    """A time as a driver writes it; the beginning of time for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
