"""Ray's scheduler and searcher as a thin skin over `SweepRun`: Tune places and restarts workers, we decide."""

import time
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tune_at.scheduling.board import TrialState
from tune_at.scheduling.driver import SweepRun
from tune_at.store.status import Status

HELD_SECONDS = 10.0
"""Seconds that a held trial keeps its worker while others could use the place; starting again costs some itself."""

STARTING = 3.0
"""Seconds that a held trial waits for one whose worker is starting."""


class StudySearcher(Searcher):
    """Gives Tune the trials of a sweep one by one, as places become free."""

    def __init__(self, run: SweepRun) -> None:
        super().__init__()
        self.run: SweepRun | None = run

    def __getstate__(self) -> dict[str, Any]:
        return {"run": None}  # Tune pickles it for a restore that we never ask for

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's spec; None if it has to wait."""
        run = self.run
        assert run is not None
        if run.board.complete or run.aborted:
            return str(Searcher.FINISHED)
        state = run.next_trial()
        return None if state is None else {"spec": run.ledger.spec(state).as_dict()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The scheduler hears of it too."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the sweep's tables have it all."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing."""


class StudyScheduler(TrialScheduler):
    """Carries out the policy's decisions.

    A held trial keeps its worker, which idles; it gives it up if it waits for a trial that has none, or if it has
    waited long while others could run.
    """

    def __init__(self, run: SweepRun) -> None:
        super().__init__()
        self.run: SweepRun | None = run
        self.trials: dict[str, Trial] = {}
        """Those that Tune has, and that have not ended."""
        self.parked: dict[str, float] = {}
        """Held trials that have a worker, and since when."""

    def __getstate__(self) -> dict[str, Any]:
        return {"run": None, "trials": {}, "parked": {}}

    @property
    def _run(self) -> SweepRun:
        assert self.run is not None
        return self.run

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """A trial is new, or comes back after its worker was lost."""
        self.trials[_name(trial)] = trial

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """An epoch has ended: go on, wait or stop."""
        run, name = self._run, _name(trial)
        if run.aborted:
            _controller(tune_controller).request_stop_experiment()
            return str(TrialScheduler.NOOP)
        run.report(name, result)
        self._act(tune_controller, but=name)
        state = run.board.by_name[name]
        if run.aborted:
            return str(TrialScheduler.NOOP)
        if state.status == Status.STOPPED:
            return str(TrialScheduler.STOP)
        if run.policy.held(state):
            self.parked[name] = time.monotonic()
            return str(TrialScheduler.NOOP)
        if result["lineage"] < sum(d.source is not None for d in state.decisions.values()):
            self._pause(tune_controller, state)  # it comes back with another trial's weights
            return str(TrialScheduler.NOOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """A trial has ended by itself or was stopped."""
        run, name = self._run, _name(trial)
        self.parked.pop(name, None)
        if run.board.by_name[name].status != Status.STOPPED and result:
            run.report(name, result)
        run.ended(name)
        self.trials.pop(name, None)
        self._act(tune_controller, but=name)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A worker was lost; Tune starts the trial again, or the callback hears that it has given up."""
        self.parked.pop(_name(trial), None)
        self._run.restarted.add(_name(trial))

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """A trial without a worker was stopped."""
        self.parked.pop(_name(trial), None)
        self.trials.pop(_name(trial), None)
        self._run.ended(_name(trial))

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first paused trial that may go on. Called in every turn of Tune's loop."""
        run = self._run
        if run.aborted:
            _controller(tune_controller).request_stop_experiment()
            return None
        self._act(tune_controller)
        for name, since in list(self.parked.items()):
            if self._must_yield(run.board.by_name[name], time.monotonic() - since):
                self._pause(tune_controller, run.board.by_name[name])
        if run.active >= run.at_once:
            return None
        for state in run.resumable():
            run.paused.discard(state.name)
            state.active = True
            trial = self.trials[state.name]
            trial.config["spec"] = run.ledger.spec(state).as_dict()
            return trial
        return None

    def _act(self, tune_controller: Any, but: str = "") -> None:
        """Decide, and carry out what was decided about trials that were held."""
        run = self._run
        run.decide()
        if run.aborted:
            _controller(tune_controller).request_stop_experiment()
            return
        for name in [name for name in self.parked if name != but]:
            if name not in self.parked:
                continue  # ended with the one before it
            state, trial = run.board.by_name[name], self.trials[name]
            if state.ended:
                tune_controller.stop_trial(trial)
            elif not run.policy.held(state):
                del self.parked[name]
                # A worker takes other weights only when it starts.
                exploits = sum(decision.source is not None for decision in state.decisions.values())
                if len(trial.config["spec"]["lineage"]) < exploits:
                    self._pause(tune_controller, state)
                else:
                    _controller(tune_controller)._schedule_trial_train(trial)
        for name in [name for name in run.paused if run.board.by_name[name].ended]:
            tune_controller.stop_trial(self.trials[name])

    def _must_yield(self, state: TrialState, waited: float) -> bool:
        """Whether a held trial has to give up its worker: otherwise two could wait for each other for ever."""
        run = self._run
        starting = {name for name, trial in self.trials.items() if trial.status == Trial.PENDING}
        if not starting and not run.place_wanted():
            return False
        if waited > HELD_SECONDS:
            return True
        for other in run.policy.waits_for(run.board, state):
            if other is None or not other.active or (waited > STARTING and other.name in starting):
                return True
        return False

    def _pause(self, tune_controller: Any, state: TrialState) -> None:
        self.parked.pop(state.name, None)
        state.active = False
        self._run.paused.add(state.name)
        # Without a checkpoint of Ray's: the trial's own is in the sweep's folder.
        tune_controller.pause_trial(self.trials[state.name], should_checkpoint=False)

    def debug_string(self) -> str:
        """One line for Ray's logs."""
        return f"StudyScheduler: {len(self.parked)} held"


def _name(trial: Trial) -> str:
    return str(trial.config["spec"]["trial"])


def _controller(wrapper: Any) -> Any:
    """Tune's controller itself: hooks get it bare or wrapped."""
    return getattr(wrapper, "_tune_controller", wrapper)
