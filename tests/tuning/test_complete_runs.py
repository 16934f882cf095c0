"""A live sweep whose rungs are complete runs: killed with all its processes, it ends as one process alone would end."""

import sys

import pytest
from processes import WHOLE, descendants, difference, kill, output_of, run, start, stop_all, until

from tune_at.recording.trial import RecordedTrial
from tune_at.scheduling.driver import SweepRun
from tune_at.scheduling.ledger import Ledger
from tune_at.scheduling.policies import build_policy
from tune_at.store import read_table
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc"),
    pytest.mark.skipif(not WHOLE, reason="a minute: `make chaos` runs it; without Ray, see test_policies"),
]

STUDY = """\
title: Complete runs
base:
  data: {name: digits, subset: 120, noise_rate: 0.2}
  model: {name: small_cnn, width: 8}
  attack: {eps: 0.1, step: 0.03, steps: 2}
  train: {epochs: 9, batch_size: 40}
  evaluation: {steps: 2, train_samples: 40}
axes: {objective: [pgd_at, pgd_at_te], optim.lr: [0.05, 0.2, 0.01]}
scheduler: {name: asha, grace: 3, eta: 1.7, fidelity: schedule}
"""


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    stop_all()


def without_ray(folder, study):
    """The sweep in this process, one trial after the other."""
    sweep = Sweep(folder, study)
    sweep.create()
    policy = build_policy(study)
    ledger = Ledger(sweep, policy)
    run = SweepRun(ledger.load(study.trials(), len(study.trials()), set()), policy, ledger, None, 1)
    while (state := run.next_trial()) is not None:
        trial = RecordedTrial(ledger.spec(state))
        while state.active:
            run.report(state.name, trial.step())
            if state.ended:
                trial.close()
                run.ended(state.name)
        run.decide()
    assert run.board.complete


def test_killed_with_everything_it_ends_as_in_one_process(tmp_path):
    path = tmp_path / "runs.yaml"
    path.write_text(STUDY)
    without_ray(tmp_path / "whole", Study.resolve(str(path)))
    sweep = tmp_path / "cut"
    driver = start("sweep", path, "--storage", tmp_path, "--name", "cut")
    # A run that was promoted has begun with the state that a shorter one has left.
    until(lambda: any(sweep.glob("checkpoints/*6epochs*/epoch-*.pt")), driver)
    for pid in [driver.pid, *descendants(driver.pid)]:
        kill(pid)
    output_of(driver)
    done = run("resume", sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    for table in ("trials", "epochs", "decisions"):
        assert not difference(sweep, tmp_path / "whole", table), table
    actions = read_table(sweep, "decisions")["action"].value_counts()
    assert set(actions.index) == {"promote", "stop", "completed"}
    assert (read_table(sweep, "epochs")["train_seconds"] == 0).any()
    there = len(read_table(sweep, "trials"))
    assert f"{there} trials: {there} completed" in run("status", sweep).stdout
