"""Students wait for their teachers, through interruption, failure and resume."""

import os
import signal

import pytest
from processes import results, run, start, stop_all, wait_for_epoch

from tune_at.store import read_table
from tune_at.training.checkpoint import checkpoint_path, checkpoints, save_state

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

    driver = start("sweep", tmp_path / "s.yaml", "--storage", tmp_path, "--name", "cut")
    wait_for_epoch(tmp_path / "cut", 2)
    os.killpg(driver.pid, signal.SIGINT)
    output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 130, output
    assert "students" not in read_table(tmp_path / "cut", "trials")["stage"].tolist()
    done = run("resume", tmp_path / "cut")
    assert done.returncode == 0, done.stdout + done.stderr
    for table in ("epochs", "trials"):
        assert results(tmp_path / "cut", table).equals(results(tmp_path / "whole", table))


def test_a_student_of_a_failed_teacher_waits(tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY)
    driver = start("sweep", tmp_path / "s.yaml", "--storage", tmp_path, "--name", "a")
    wait_for_epoch(tmp_path / "a", 2)
    os.killpg(driver.pid, signal.SIGINT)
    driver.communicate(timeout=120)
    # The robust teacher's newest checkpoint is another trial's: it fails, and keeps those that it has.
    name = read_table(tmp_path / "a", "trials")["trial"][1]
    folder = tmp_path / "a" / "checkpoints" / name
    assert checkpoints(folder)
    save_state(checkpoint_path(folder, 99), {"config": "another"})
    failed = run("resume", tmp_path / "a")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert f"waits: its teacher {name} is failed" in failed.stdout
    assert read_table(tmp_path / "a", "trials")["status"].tolist() == ["completed", "failed"]
    checkpoint_path(folder, 99).unlink()
    done = run("resume", tmp_path / "a")
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_table(tmp_path / "a", "trials")["status"].tolist() == ["completed"] * 3
