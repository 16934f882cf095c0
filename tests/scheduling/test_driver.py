"""What the driver does about trials that Tune has given up."""

import random
from types import SimpleNamespace

import pytest
from processes import difference
from simulation import Simulation, make_study

from tune_at.recording.rows import write_trial
from tune_at.scheduling.driver import WORKER_RETRIES
from tune_at.store.layout import SweepFolder
from tune_at.store.status import Status
from tune_at.tuning import callbacks
from tune_at.tuning.callbacks import ProgressCallback
from tune_at.tuning.heartbeat import Heartbeat
from tune_at.tuning.machines import Capacity, Gpu


class Progress:
    def __init__(self):
        self.said, self.failures = [], []

    def say(self, line, always=False):
        self.said.append(line)

    def add(self, trial):
        pass

    def follow(self, states):
        pass

    def failed(self, result, swept, epoch):
        self.failures.append(result)


def lost(spec, failures):
    """A trial of Tune's whose worker is gone."""
    return SimpleNamespace(config={"spec": spec}, num_failures=failures)


def test_a_trial_that_got_a_dead_worker_is_given_to_tune_again(tmp_path):
    # Tune retries a trial whose worker dies in training, but gives up one that was handed a worker already dead.
    run = Simulation(tmp_path / "sweep", make_study(tmp_path, "fifo", trials=2), 1, None).run
    progress = Progress()
    callback = ProgressCallback(progress, run, fail_fast=True)
    first = run.next_trial()
    spec = run.ledger.spec(first).as_dict()
    for loss in range(1, WORKER_RETRIES + 1):
        callback.on_trial_error(0, [], lost(spec, 1))
        assert first.status == "pending" and len(progress.said) == loss
        assert run.next_trial() is first
    callback.on_trial_error(0, [], lost(spec, 1))
    assert first.status == "failed"
    assert "lost 9 times" in progress.failures[0]["error"]
    assert run.aborted


def test_a_trial_that_tune_itself_has_started_often_enough_has_failed(tmp_path):
    run = Simulation(tmp_path / "sweep", make_study(tmp_path, "fifo", trials=2), 1, None).run
    progress = Progress()
    state = run.next_trial()
    spec = run.ledger.spec(state).as_dict()
    ProgressCallback(progress, run, fail_fast=False).on_trial_error(0, [], lost(spec, WORKER_RETRIES + 1))
    assert state.status == "failed"
    assert run.next_trial() is not state


def test_a_sweep_ends_when_its_own_node_has_died(tmp_path, monkeypatch):
    # Workers that live may run on; one that has to be started never would.
    run = Simulation(tmp_path / "sweep", make_study(tmp_path, "fifo", trials=2), 1, None).run
    callback = ProgressCallback(Progress(), run, fail_fast=False)
    monkeypatch.setattr(callbacks, "NODE_CHECK", 0)
    for alive in (True, False):
        monkeypatch.setattr(callbacks, "node_is_alive", lambda alive=alive: alive)
        callback.on_step_end(0, [])
        assert bool(run.aborted) is not alive


def test_a_trial_that_was_stopped_while_its_worker_started_again_stays_stopped(tmp_path):
    # A held trial's worker is lost; before the next one has begun, an earlier trial's result lets the policy stop it.
    # The worker that begins then says in the trial's row that it runs.
    study = make_study(tmp_path, "{name: asha, grace: 1, eta: 2}")
    whole = Simulation(tmp_path / "whole", study, 3, random.Random(0))
    while whole.step():
        pass
    cut = Simulation(tmp_path / "cut", study, 3, random.Random(0))
    run, ended, begun = cut.run, cut.run.ended, []

    def ended_late(name):
        state = run.board.by_name[name]
        if name in run.restarted and state.status == Status.STOPPED:
            write_trial(run.ledger.spec(state), Status.RUNNING, epochs=state.epoch, **state.worker)
            begun.append(name)
        ended(name)

    run.ended = ended_late
    going = True
    while going:
        run.restarted |= {state.name for state in run.board.states if state.active and run.policy.held(state)}
        going = cut.step()
    assert len(begun) > 1
    for table in ("epochs", "decisions", "trials"):
        assert not difference(cut.folder, whole.folder, table)


def test_a_trial_that_was_stopped_while_it_had_no_worker_has_not_failed(tmp_path):
    run = Simulation(tmp_path / "sweep", make_study(tmp_path, "fifo", trials=2), 1, None).run
    progress, state = Progress(), run.next_trial()
    spec = run.ledger.spec(state).as_dict()
    state.status = Status.STOPPED
    ProgressCallback(progress, run, fail_fast=True).on_trial_error(0, [], lost(spec, WORKER_RETRIES + 1))
    assert state.status == "stopped" and not progress.failures and not progress.said and not run.aborted


def test_what_machines_do_is_looked_at_and_shown(tmp_path, monkeypatch):
    run = Simulation(tmp_path / "sweep", make_study(tmp_path, "fifo", trials=2), 1, None).run
    progress, heartbeat = Progress(), Heartbeat(SweepFolder.of(tmp_path / "sweep"), 1)
    heartbeat.gpus = [Gpu(0, "X", 0.5, 1024.0, 2048.0)]
    monkeypatch.setattr(callbacks, "node_is_alive", lambda: True)
    monkeypatch.setattr(callbacks, "capacity", lambda: Capacity(1, 2.0, 1.0, 1.0, 0.5))
    first = run.next_trial()
    ProgressCallback(progress, run, False, heartbeat).on_step_end(0, [])
    assert heartbeat.working == (first.name,)
    assert progress.machines == ["1 node, 1 of 2 CPUs, 0.5 of 1 GPU taken", "GPU 0 (X): 50% busy, 1.0 of 2.0 GiB"]


def test_whoever_is_told_hears_of_each_end_once_and_of_its_own_faults(tmp_path, monkeypatch):
    simulation = Simulation(tmp_path / "sweep", make_study(tmp_path, "fifo", trials=3, epochs=2), 1, random.Random(0))
    monkeypatch.setattr(callbacks, "node_is_alive", lambda: True)
    ended, faults = [], ["--notify: x", "", "", ""]

    class Told:
        def look(self, states):
            ended.extend(state.name for state in states)

        def complaint(self):
            return faults.pop(0) if faults else ""

    progress = Progress()
    callback = ProgressCallback(progress, simulation.run, False, None, Told())
    while simulation.step():
        callback.on_step_end(0, [])
    callback.on_step_end(0, [])
    assert ended == [state.name for state in simulation.run.board.states]
    assert progress.said == ["--notify: x"]


@pytest.mark.parametrize("scheduler", ["fifo", "asha", "hyperband", "median"])
def test_what_is_kept_of_trials_under_way_is_what_a_look_at_all_of_them_says(tmp_path, scheduler):
    simulation = Simulation(tmp_path / "sweep", make_study(tmp_path, scheduler, trials=9), 3, random.Random(1))
    seen = {}
    for turn in range(400):
        run, states = simulation.run, simulation.run.board.states
        assert run.active == sum(state.active for state in states)
        known = [state for state in states if not state.ended and state.name not in run.launched]
        assert run._waiting() is run.policy.first(state for state in known if not run.policy.held(state))
        assert run.board.complete == all(state.ended for state in states)
        # Whoever follows only those that are named knows the status and the activity of all.
        seen |= {state.name: (state.status, state.active) for state in run.to_follow()}
        assert all(seen.get(s.name, (Status.PENDING, False)) == (s.status, s.active) for s in states)
        if turn == 12:
            simulation.restart()
            seen = {s.name: (s.status, s.active) for s in simulation.run.board.states}
        elif turn == 6 and scheduler == "fifo":
            lost_one = next(state for state in states if state.active)
            assert run.retry(lost_one.name, 1)
        elif not simulation.step():
            break
    assert simulation.run.board.complete
    assert turn > 12


def test_ray_forgets_what_nobody_asks_of_a_trial_that_has_ended():
    from ray.tune.experiment import Trial

    trial = Trial("__fake", stub=True, config={"spec": {"trial": "a"}})
    for number in range(1, 4):
        trial.update_last_result({"training_iteration": number, "done": False, "epoch": number, "worker": {"x": 1.5}})
    assert "worker/x" in trial.metric_analysis
    before = len(trial.get_json_state()[1])
    callbacks.forget_results(trial)
    assert trial.metric_analysis == trial.metric_n_steps == {}
    assert trial.last_result == {"training_iteration": 3, "done": False, "trial_id": trial.trial_id}
    assert len(trial.get_json_state()[1]) < before / 2
