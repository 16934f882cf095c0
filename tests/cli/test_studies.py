"""`studies`: begins, goes on and tells; the sweeps themselves are others' matter."""

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.frames import Frames
from tune_at.cli.commands import studies
from tune_at.cli.main import main
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

STUDY = """\
title: One trial
base: {data: {name: digits, subset: 64}, train: {epochs: 3, batch_size: 32}}
"""


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["studies", *map(str, arguments)])
    return ended.value.code


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """The commands that are called; a sweep leaves a folder that is finished after a resume."""
    made = []

    def record(*arguments):
        made.append(arguments)
        if arguments[0] == "sweep":
            (tmp_path / arguments[-1]).mkdir()
        return 130 if (tmp_path / "interrupt").exists() and arguments[0] == "sweep" else 0

    monkeypatch.setattr(studies, "_call", record)
    running = Frames(pd.DataFrame({"status": ["running"]}), pd.DataFrame({"trial": ["a"], "epoch": [1]}))
    monkeypatch.setattr("analysis.frames.load_frames", lambda folder: running)
    left = [1]
    sweep = SimpleNamespace(left=lambda: left[0], require_unchanged=lambda: None)
    monkeypatch.setattr("tune_at.study.sweep.Sweep.open", lambda folder: sweep)
    return made, left


def test_it_begins_goes_on_and_ends(calls, tmp_path, capsys):
    made, left = calls
    (tmp_path / "interrupt").touch()
    assert call("mitigation", "threat_model", "--storage", tmp_path) == 130
    assert [words[0] for words in made] == ["sweep"]
    (tmp_path / "interrupt").unlink()
    assert call("mitigation", "threat_model", "--storage", tmp_path) == 0
    assert [words[0] for words in made[1:]] == ["resume", "evaluate", "sweep"]
    out = capsys.readouterr().out
    assert "mitigation" in out
    assert "cannot be told: 1 trial is not completed" in out
    left[0] = 0
    made.clear()
    assert call("threat_model", "--storage", tmp_path) == 0
    assert made == []
    assert float(json.loads((tmp_path / "threat_model.json").read_text())) >= 0


def test_another_preset_has_folders_of_its_own(calls, tmp_path):
    made, _ = calls
    assert call("hard_examples", "--preset", "cifar", "--storage", tmp_path) == 0
    assert made == [
        ("sweep", "hard_examples", "--preset", "cifar", "--storage", str(tmp_path), "--name", "hard_examples-cifar")
    ]


def test_a_study_without_the_preset_is_one_line(capsys):
    assert call("mitigation", "--preset", "cifar") == 2
    assert "studies: 'mitigation' has no preset cifar" in capsys.readouterr().err
    assert call("--preset", "cifa") == 2
    assert "--preset: 'cifa' is of no study; did you mean cifar" in capsys.readouterr().err


def test_an_unknown_study_is_one_line(capsys):
    assert call("mitigations") == 2
    assert "studies: 'mitigations' is unknown; did you mean mitigation?" in capsys.readouterr().err


def test_a_command_of_this_program_is_called(capfd):
    assert studies._call("list", "nothing") == 2
    assert "list: 'nothing' is unknown" in capfd.readouterr().err
    assert studies._call("list", "probes") == 0
    assert "gradient_norms" in capfd.readouterr().out


COMMAND = """\
import signal, sys, time
from pathlib import Path
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
storage, name = sys.argv[-3], sys.argv[-1]
(Path(storage) / name).mkdir(parents=True)
print("here", flush=True)
signal.sigwait({signal.SIGINT, signal.SIGTERM})
time.sleep(1)  # as long as a sweep takes to leave its checkpoints and to end Ray
(Path(storage) / name / "left").touch()
sys.exit(130)
"""
PROGRAM = f"""\
import sys
from tune_at.cli.commands import studies
from tune_at.cli.main import main
studies.PROGRAM = {COMMAND!r}
main(sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_is_waited_for(tmp_path, number):
    words = [sys.executable, "-c", PROGRAM, "studies", "threat_model", "--storage", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    driver = subprocess.Popen(words, start_new_session=True, **pipes)
    assert driver.stdout.readline() == "here\n"
    if number == signal.SIGINT:  # a terminal's goes to all that is in the foreground
        os.killpg(driver.pid, number)
    else:
        driver.send_signal(number)
    errors = driver.communicate(timeout=600)[1]
    assert (tmp_path / "threat_model" / "left").exists()
    assert driver.returncode == 130
    assert f"studies threat_model --storage {tmp_path}\n" in errors
    assert errors.startswith("tune-at: interrupted; continue with: ")
    assert float(json.loads((tmp_path / "threat_model.json").read_text())) >= 1


def test_a_study_that_has_changed_since_is_not_told_of(tmp_path, capsys, monkeypatch):
    (tmp_path / "study.yaml").write_text(STUDY)
    sweep = Sweep.plan(Study.resolve(str(tmp_path / "study.yaml")), str(tmp_path), "threat_model")
    sweep.create()
    monkeypatch.setattr(Sweep, "left", lambda self: 0)
    running = Frames(pd.DataFrame({"status": ["running"]}), pd.DataFrame())
    monkeypatch.setattr("analysis.frames.load_frames", lambda folder: running)
    assert call("threat_model", "--storage", tmp_path) == 0
    (tmp_path / "study.yaml").write_text(STUDY.replace("epochs: 3", "epochs: 2"))
    assert call("threat_model", "--storage", tmp_path) == 1
    out, errors = capsys.readouterr()
    assert "has changed since the sweep began: base.train.epochs: 3 → 2; remove" in errors
    assert "failed with exit code 2" in out
