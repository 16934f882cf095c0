"""Students wait for their teachers, through interruption, failure and resume."""

import re
from pathlib import Path

import pytest
from processes import Gate, difference, output_of, planned, run, start, stop_all, wait_for_epoch

from tune_at.store import read_table
from tune_at.training.checkpoint import checkpoint_path, save_state

pytestmark = pytest.mark.slow

STUDY = """\
title: A student and its teachers
base:
  data: {name: digits, subset: 200}
  model: {name: small_cnn, width: 8}
  attack: {eps: 0.1, step: 0.03, steps: 6}
  train: {epochs: 10, batch_size: 40}
  evaluation: {steps: 2, train_samples: 50}
stages:
  teachers: {objective: [standard, pgd_at]}
  students: {objective: [kd_swa]}
axes: {objective: [pgd_at]}
"""


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    stop_all()


def test_students_learn_after_their_teachers_whatever_happens_to_these(tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY)
    whole = run("sweep", tmp_path / "s.yaml", "--storage", tmp_path, "--name", "whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    trials = read_table(tmp_path / "whole", "trials")
    assert trials["stage"].tolist() == ["teachers", "teachers", "students"]
    assert trials["status"].tolist() == ["completed"] * 3
    assert f"best        {trials['trial'][1]} at epoch {trials['best_epoch'][1]}" in whole.stdout

    # SIGTERM saves as Ctrl-C does. The robust teacher waits at a gate, so that no student can start before.
    sweep = tmp_path / "cut"
    gate = Gate(planned(tmp_path / "s.yaml", tmp_path, "cut").folder, trials["trial"][1])
    driver = start("resume", sweep)
    wait_for_epoch(sweep, 2, driver)
    driver.terminate()
    gate.open()
    output = output_of(driver)
    assert driver.returncode == 130, output
    assert f"trials left; continue with: python run.py resume {sweep}" in output
    assert "Traceback" not in output
    assert "students" not in read_table(sweep, "trials")["stage"].tolist()

    # The robust teacher's newest checkpoint is another trial's: it fails, and keeps those that it has.
    name = trials["trial"][1]
    folder = sweep / "checkpoints" / name
    save_state(checkpoint_path(folder, 99), {"config": "another"})
    stopped = run("resume", sweep, "--fail-fast")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    # Whether anything was left to stop depends on how far the other teacher was.
    assert f"failed: {name}" in stopped.stdout
    assert read_table(sweep, "trials")["trial"].tolist() == trials["trial"][:2].tolist()
    failed = run("resume", sweep)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    shown = re.findall(
        rf"failed: {name} \(objective=pgd_at\) after epoch \d+: ValueError: .*\n  full log: (.*)", failed.stdout
    )
    assert len(shown) == 1
    assert "belongs to a trial with another config" in Path(shown[0]).read_text()
    assert failed.stdout.count("ValueError") == 1
    assert "1 of 3 trials failed; try them again with" in failed.stdout
    assert f"waits: its teacher {name} is failed" in failed.stdout
    assert read_table(sweep, "trials")["status"].tolist() == ["completed", "failed"]

    checkpoint_path(folder, 99).unlink()
    done = run("resume", sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    for table in ("epochs", "trials"):
        assert not difference(sweep, tmp_path / "whole", table), table
