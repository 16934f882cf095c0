"""`evaluate`, killed at any moment and called again: only what is missing is done, and the tables are the same."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import (
    PATIENCE_WITH_PROCESSES,
    descendants,
    kill,
    output_of,
    results,
    run,
    start,
    stop_all,
    until,
    wait_until_gone,
)

from tune_at.cli.main import main
from tune_at.config.attack import AskedAttack
from tune_at.recording import evaluation_plan
from tune_at.recording.evaluated import evaluate_batches
from tune_at.recording.evaluation_plan import TABLES, arguments_of, find_target, missing
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store import read_arrow
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.tuning.task_worker import work

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc"),
]

STUDY = """\
title: Two objectives
base:
  data: {name: digits, subset: 200}
  model: {name: small_cnn, width: 8}
  attack: {eps: 0.1, step: 0.05, steps: 2}
  train: {epochs: 3, batch_size: 50}
  evaluation: {steps: 1, train_samples: 20}
axes: {objective: [pgd_at, standard]}
"""
ASKED = ("--attack", "pgd-5", "--attack", "cw-120", "--checkpoint", "best", "-n", "200")


class Gate:
    """Holds every task of a trial where it reads its best checkpoint: a pipe stands in its place until it is opened."""

    def __init__(self, sweep, trial):
        self.path = Path(str(sweep.folder.best(trial)))
        self.content = self.path.read_bytes()
        self.path.unlink()
        os.mkfifo(self.path)
        self.end = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)  # a writer: who opens the pipe has to wait for data

    def held(self):
        """The workers that wait at the gate."""
        waiting = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                works = (folder / "cmdline").read_bytes().startswith(b"ray::task")
                if works and any(self.path == link.readlink() for link in (folder / "fd").iterdir()):
                    waiting.append(int(folder.name))
        return waiting

    def open(self):
        """From now on the checkpoint is there; who waits reads nothing."""
        if self.end >= 0:
            aside = self.path.with_suffix(".whole")
            aside.write_bytes(self.content)
            aside.replace(self.path)
            os.close(self.end)
            self.end = -1


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    stop_all()


@pytest.fixture
def trained(tmp_path):
    """A function name → a finished sweep, made without Ray; the same each time."""
    (tmp_path / "two.yaml").write_text(STUDY)
    study = Study.resolve(str(tmp_path / "two.yaml"))

    def make(name):
        sweep = Sweep.plan(study, str(tmp_path), name)
        sweep.create()
        for trial in study.trials():
            config, swept = trial.config.as_tree(), dict(trial.swept)
            here = RecordedTrial(TrialSpec(str(sweep.folder), name, study.name, "main", trial.name, config, swept))
            while here.step()["status"] == "running":
                pass
            here.close()
        return sweep

    return make


def undisturbed(sweep):
    """What `ASKED` leaves, without Ray."""
    rows = {row["trial"]: row for row in read_arrow(sweep.folder, "trials").to_pylist()}
    attacks = [AskedAttack("pgd-5"), AskedAttack("cw-120")]
    targets = [find_target(sweep.folder, t, "best", rows[t.name]["best_epoch"]) for t in sweep.study.trials()]
    tables = [read_arrow(sweep.folder, table) for table in TABLES]
    for piece in missing(targets, attacks, "test", 200, *tables):
        evaluate_batches(**arguments_of(sweep.folder, piece, {}, "test"))
    return {table: results(sweep.folder, table) for table in TABLES}


def times(folder):
    """When each batch was evaluated."""
    rows = read_arrow(folder, "evaluations").to_pylist()
    return {(row["trial"], row["attack"], row["batch"]): row["evaluated"] for row in rows}


def test_kill_9_of_a_worker_and_of_the_driver_and_ctrl_c(trained):
    expected = undisturbed(trained("undisturbed"))
    sweep = trained("killed")
    gate = Gate(sweep, sweep.study.trials()[1].name)
    try:
        driver = start("evaluate", sweep.folder, *ASKED, "--concurrency", 2)
        waiting = until(lambda: len(found := gate.held()) == 2 and found, driver)
        done = times(sweep.folder)
        assert done
        assert {trial for trial, _, _ in done} == {sweep.study.trials()[0].name}
        kill(waiting[0])
        until(lambda: len(found := gate.held()) == 2 and waiting[0] not in found, driver)
        team = list(descendants(driver.pid))
        kill(driver.pid)
        wait_until_gone(team)
        output_of(driver)
        driver = start("evaluate", sweep.folder, *ASKED, "--concurrency", 2, stderr=subprocess.PIPE)
        until(lambda: len(gate.held()) == 2, driver)
        assert times(sweep.folder) == done
        team = list(descendants(driver.pid))
        driver.send_signal(signal.SIGINT)
        output, errors = driver.communicate(timeout=PATIENCE_WITH_PROCESSES)
        assert driver.returncode == 130, output + errors
        wait_until_gone(team)
    finally:
        gate.open()
    (line,) = errors.splitlines()
    said, _, command = line.partition("; continue with: ")
    assert said == "tune-at: interrupted"
    words = shlex.split(command)
    again = run(*words[words.index("evaluate") :])
    assert again.returncode == 0, again.stdout + again.stderr
    for table in TABLES:
        assert results(sweep.folder, table).equals(expected[table]), table
    assert {key: when for key, when in times(sweep.folder).items() if key in done} == done
    third = run("evaluate", sweep.folder, *ASKED, "--address", "127.0.0.1:1")  # Ray is not asked
    assert "all of this has been evaluated before" in third.stdout
    assert third.returncode == 0, third.stderr
    assert third.stdout.split("before\n")[1] in again.stdout


def test_what_fails_is_not_shown_as_it_was_under_other_settings(trained, monkeypatch, capsys):
    sweep = trained("a")

    def printed():
        with pytest.raises(SystemExit):
            main(["evaluate", str(sweep.folder), "--attack", "pgd-5", "--checkpoint", "best", "-n", "100"])
        return [line.split()[3:] for line in capsys.readouterr().out.splitlines() if " best (" in line]

    def in_this_process(tasks, *others):
        for task in tasks:
            assert not work(task.function, task.arguments, {}).error
        return {}

    monkeypatch.setattr("tune_at.tuning.tasks.run_tasks", in_this_process)
    before = printed()
    assert len(before) == 2
    assert all(float(cell) >= 0 for row in before for cell in row)
    # As if another version of this program had evaluated them, with another step size say.
    with monkeypatch.context() as patch:
        patch.setattr("tune_at.tuning.tasks.run_tasks", lambda tasks, *_: {task.name: "lost" for task in tasks})
        patch.setattr(evaluation_plan, "settings_of", lambda asked, config: {"eps": 0.1, "step": 0.7})
        assert printed() == [["-", "-"], ["-", "-"]]
    assert printed() == before
