"""`probe` as a user calls it: on a sweep that has ended, killed in the middle, and asked for what cannot be."""

import contextlib
import os
from pathlib import Path

import pandas as pd
import pytest
from processes import kill, planned, run, run_epochs, start, stop_all, until

from tune_at.cli.main import main
from tune_at.store import read_table
from tune_at.tuning import task_worker

pytestmark = pytest.mark.slow

STUDY = """\
title: Probed
base:
  data: {name: digits, subset: 100, noise_rate: 0.4}
  model: {name: small_cnn, width: 4}
  attack: {eps: 0.1, step: 0.05, steps: 2}
  train: {epochs: 2, batch_size: 50}
  evaluation: {steps: 1, train_samples: 20}
axes: {objective: [pgd_at, trades]}
probes: [{name: gradient_norms, samples: 20}]
"""
ASKED = ("--probe", "gradient_norms", "--probe", "group_gradient_norms", "--samples", "10", "--checkpoint", "best")
ASKED += ("--checkpoint", "final")


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    yield
    stop_all()


@pytest.fixture
def sweep(tmp_path):
    """A function name → a sweep whose two trials have ended."""
    (tmp_path / "s.yaml").write_text(STUDY)

    def build(name):
        made = planned(tmp_path / "s.yaml", tmp_path, name)
        for trial in made.study.trials():
            run_epochs(made, trial, 2)
        return made

    return build


def measured(sweep):
    return read_table(str(sweep.folder), "probes").reset_index(drop=True)


def test_probed_whole_equals_killed_and_asked_again(sweep):
    whole, cut = sweep("whole"), sweep("cut")
    done = run("probe", whole.folder, *ASKED)
    assert done.returncode == 0, done.stdout + done.stderr
    # The second trial's final checkpoint is a pipe for now: its worker waits there, the others have long been written.
    held = Path(str(cut.folder.checkpoint(cut.study.trials()[1].name, 2)))
    content = held.read_bytes()
    held.unlink()
    os.mkfifo(held)
    end = os.open(held, os.O_RDWR | os.O_NONBLOCK)
    first = start("probe", cut.folder, *ASKED)
    until(lambda: len(list(Path(str(cut.folder.table("probes"))).glob("*/*.parquet"))) == 6 and waits_at(held), first)
    kill(first.pid)
    stop_all()
    os.close(end)
    held.unlink()
    held.write_bytes(content)
    assert len(measured(cut)) < len(measured(whole))
    again = run("probe", cut.folder, *ASKED)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 checkpoint, " in again.stdout
    pd.testing.assert_frame_equal(measured(cut), measured(whole), check_exact=True)
    once_more = run("probe", cut.folder, *ASKED)
    assert "all of this has been measured before" in once_more.stdout
    assert "starting Ray" not in once_more.stdout
    assert "mislabelled_adversarial_ce" in once_more.stdout


def waits_at(path):
    """Whether a worker has opened the pipe."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            works = (folder / "cmdline").read_bytes().startswith(b"ray::")
            if works and any(path == link.readlink() for link in (folder / "fd").iterdir()):
                return True
    return False


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--probe", "gradient_ratio"], "--probe gradient_ratio: follows a training, of which no checkpoint can tell"),
        (["--probe", "gradients"], "'gradients' is no probe; did you mean gradient"),
        (["--probe", "gradient_norms", "--samples", "101"], "101 is more than the 100 training images; lower it"),
        (["--probe", "gradient_norms", "--checkpoint", "7"], "has no checkpoint '7'; of this trial there are best"),
        (["--probe", "gradient_norms", "--trials", "0-pgd"], "'0-pgd' is unknown; known: 00-pgd_at-s0, 01-trades-s0"),
    ],
)
def test_what_cannot_be_measured_is_one_line_before_ray(sweep, arguments, line, capsys):
    made = sweep("a")
    with pytest.raises(SystemExit) as ended:
        main(["probe", str(made.folder), *arguments])
    captured = capsys.readouterr()
    assert ended.value.code == 2
    assert line in captured.err
    assert captured.err.count("\n") == 1
    assert "starting Ray" not in captured.out


def in_this_process(tasks, *others):
    """`run_tasks` without Ray."""
    outcomes = {task.name: task_worker.work(task.function, task.arguments, {}) for task in tasks}
    return {name: outcome.error for name, outcome in outcomes.items() if outcome.error}


def test_what_fails_is_not_shown_as_it_was_under_other_settings(sweep, monkeypatch, capsys):
    made = sweep("a")

    def printed(*arguments):
        with pytest.raises(SystemExit):
            main(["probe", str(made.folder), "--probe", "gradient_norms", *arguments])
        return [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith((" 00-", " 01-"))]

    monkeypatch.setattr("tune_at.tuning.tasks.run_tasks", in_this_process)
    before = printed("--samples", "10")
    assert [row[4] for row in before] == ["adversarial_ce", "ce", "kl"]
    sizes = [2]

    def lost(tasks, *others):
        sizes.append(len(tasks))
        return {task.name: "lost" for task in tasks}

    monkeypatch.setattr("tune_at.tuning.tasks.run_tasks", lost)
    assert printed("--samples", "12") == []
    assert printed("--samples", "12", "--checkpoint", "final", "--checkpoint", "2") == []
    assert sizes == [2, 2, 2]  # a checkpoint that is named twice is one task
    assert printed("--samples", "10") == before
