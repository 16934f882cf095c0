"""Ray Tune callbacks."""

import time
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from tune_at.recording.rows import write_failure
from tune_at.scheduling.driver import WORKER_RETRIES, SweepRun
from tune_at.store.failures import StorageFailed
from tune_at.store.status import Status
from tune_at.tuning.cluster.session import capacity, node_is_alive
from tune_at.tuning.heartbeat import Heartbeat
from tune_at.tuning.live_view import SweepProgress
from tune_at.tuning.machines import in_lines
from tune_at.tuning.notices import Notices

NODE_CHECK = 5.0
"""Seconds between two looks at the driver's own node, and at what is taken of all of them."""


class WorkerLost(Exception):
    """A trial's worker was lost more often than it is started again."""


class ProgressCallback(tune.Callback):
    """Hands trials' results to the live view. Tune pickles its callbacks; all that they know stays behind."""

    def __init__(
        self,
        progress: SweepProgress,
        run: SweepRun,
        fail_fast: bool,
        heartbeat: Heartbeat | None = None,
        notices: Notices | None = None,
    ) -> None:
        """`heartbeat`: tells others what the machines do; `notices`: is told of trials that have ended."""
        self.progress: SweepProgress | None = progress
        self.run: SweepRun | None = run
        self.heartbeat, self.notices = heartbeat, notices
        self.fail_fast = fail_fast
        self.looked = 0.0

    def __getstate__(self) -> dict[str, Any]:
        left = dict.fromkeys(("progress", "run", "heartbeat", "notices"))
        return {**left, "fail_fast": self.fail_fast, "looked": self.looked}

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tune has given a trial up; it reports its own retries as `on_trial_recover`."""
        assert self.run is not None and self.progress is not None
        state = self.run.board.by_name[trial.config["spec"]["trial"]]
        if self.run.retry(state.name, trial.num_failures):
            if not state.ended:
                self._started_again(state.name)
            return
        error = WorkerLost(f"its worker was lost {WORKER_RETRIES + 1} times")
        try:
            log = write_failure(self.run.ledger.spec(state), error)
        except StorageFailed as failed:
            self.run.fail(failed)
            return
        state.status = Status.FAILED
        self.run.ledger.tell_end(state)
        self._failed({"trial": state.name, "status": Status.FAILED, "error": str(error), "log": str(log)})

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A worker was lost, with its node or alone, and Tune starts the trial again."""
        if self.progress is not None:
            self._started_again(trial.config["spec"]["trial"])

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial was given its worker."""
        if self.progress is not None:
            self._show_drawn()
            self.progress.started(trial.config["spec"]["trial"])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch ended."""
        assert self.run is not None and self.progress is not None
        if result["status"] == Status.FAILED:
            self._failed(result)
            return
        if result["status"] == Status.STORAGE:
            # No other trial could write there either.
            self.run.fail(StorageFailed(*result["storage"]))
            return
        self.progress.result(result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has left Tune, which keeps it to the sweep's end."""
        forget_results(trial)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Trials may have been drawn, stopped or paused since; and Ray itself may have died."""
        if self.run is not None and time.monotonic() - self.looked > NODE_CHECK:
            self.looked = time.monotonic()
            if not node_is_alive():
                self.run.aborted = self.run.aborted or "Ray's process on this machine has died"
            elif self.heartbeat is not None:
                self._look_at_machines(self.heartbeat)
        if self.progress is not None and self.run is not None:
            self._show_drawn()
            self.progress.follow(self.run.to_follow())
            if self.notices is not None:
                self.notices.look(self.run.done)
                if complaint := self.notices.complaint():
                    self.progress.say(complaint, always=True)
            self.run.done.clear()

    def _look_at_machines(self, heartbeat: Heartbeat) -> None:
        assert self.run is not None and self.progress is not None
        heartbeat.capacity = capacity()
        heartbeat.working = tuple(state.name for state in self.run.under_way.values() if state.active)
        self.progress.machines = in_lines(heartbeat.capacity, heartbeat.gpus or ())

    def _started_again(self, name: str) -> None:
        assert self.progress is not None
        self.progress.say(f"worker lost: {name} is started again, from its newest checkpoint")

    def _failed(self, result: dict[str, Any]) -> None:
        assert self.run is not None and self.progress is not None
        state = self.run.board.by_name[result["trial"]]
        self.progress.failed(result, state.trial.swept, state.epoch)
        if self.fail_fast:
            self.run.aborted = f"{state.name} failed"

    def _show_drawn(self) -> None:
        assert self.run is not None and self.progress is not None
        for state in self.run.drawn:
            self.progress.add(state.trial)
        self.run.drawn.clear()
        if self.run.ladder is not None:
            self.progress.total = self.run.most


def forget_results(trial: Trial) -> None:
    """Let go what Ray has gathered of a trial's results: six numbers and two windows a metric, for nobody.

    They are in the sweep's tables; of ten thousand trials they would take gigabytes here, and in Ray's state file.
    """
    metadata = trial.run_metadata
    metadata.metric_analysis, metadata.metric_n_steps = {}, {}
    metadata.last_result = {key: value for key, value in metadata.last_result.items() if key in KEPT}


KEPT = ("trial_id", "training_iteration", "done", "date", "timestamp", "time_total_s")
"""What Ray itself may ask of a trial's last result."""
