"""What a sweep remembers of its start, and the command that continues it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from processes import ROOT, Gate, planned, results, start, stop_all, wait_for_epoch
from two_trials import STUDY

from tune_at.cli.main import build_parser
from tune_at.errors import UserError
from tune_at.store import read_table
from tune_at.store.layout import SweepFolder
from tune_at.tuning.launch import DATA_VARIABLE, Launch, resume_command

DATA = os.environ.get(DATA_VARIABLE, "")


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, "")  # so that it is put back, whatever a test sets
    monkeypatch.delenv(DATA_VARIABLE)
    yield
    stop_all()


def of(*arguments):
    return Launch.of(build_parser().parse_args(["resume", "runs/a", *arguments]))


def set_data(monkeypatch, value):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    if value:
        monkeypatch.setenv(DATA_VARIABLE, value)


def folder_with(tmp_path, launch):
    folder = SweepFolder.of(tmp_path / "sweep")
    launch.record(folder)
    return folder


def test_what_was_given_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = of("--data-dir", "my data", "--ship-data")
    assert given.data_dir == str(tmp_path / "my data")
    folder = folder_with(tmp_path, given)
    monkeypatch.chdir("/")
    plain = of().completed(folder)
    assert plain.data_dir == str(tmp_path / "my data")
    assert plain.ship_data is True
    assert os.environ[DATA_VARIABLE] == str(tmp_path / "my data")
    assert of("--no-ship-data").completed(folder).ship_data is False
    assert of("--data-dir", "/elsewhere").completed(folder).data_dir == "/elsewhere"


@pytest.mark.parametrize(
    ("recorded", "environment_then", "now", "environment_now", "used"),
    [
        ("/option", "", "", "", "/option"),
        ("/option", "/then", "", "/now", "/option"),
        ("/option", "", "/given", "/now", "/given"),
        ("", "/then", "", "", "/then"),
        ("", "/then", "", "/now", "/now"),
        ("", "", "", "/now", "/now"),
        ("", "", "", "", None),
    ],
)
def test_given_now_before_given_then_before_the_environment(
    tmp_path, monkeypatch, recorded, environment_then, now, environment_now, used
):
    set_data(monkeypatch, environment_then)
    folder = folder_with(tmp_path, Launch(data_dir=recorded))
    set_data(monkeypatch, environment_now)
    Launch(data_dir=now).completed(folder)
    assert os.environ.get(DATA_VARIABLE) == used


def test_nothing_to_remember_is_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, "/then")
    folder = SweepFolder.of(tmp_path)
    assert Launch().files(folder, reads=False) == {}
    assert list(Launch().files(folder, reads=True)) == ["launch.json"]
    Launch(ship_data=True).record(folder, reads=False)
    assert (tmp_path / "launch.json").exists()
    Launch(ship_data=False).record(folder, reads=False)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_of_an_older_version_and_a_damaged_record(tmp_path):
    folder = SweepFolder.of(tmp_path)
    assert of().completed(folder) == Launch(ship_data=False)
    (tmp_path / "launch.json").write_text("{")
    with pytest.raises(UserError, match=r"launch\.json: is damaged; remove it, and give --data-dir"):
        of().completed(folder)
    (tmp_path / "launch.json").unlink()
    assert of().completed(folder) == Launch(ship_data=False)


def test_the_command_says_what_is_not_recorded(tmp_path, monkeypatch):
    folder = SweepFolder.of("/shared/my runs/ε$(x)")
    launch = of(
        "--address", "10.0.0.5:6379", "--concurrency", "3", "--as-recorded", "--trials", "20", "--data-dir", "x"
    )
    words = shlex.split(resume_command(folder, launch))
    after = words[words.index("resume") :]
    assert after == [
        "resume", "/shared/my runs/ε$(x)", "--trials", "20", "--as-recorded", "--address", "10.0.0.5:6379",
        "--concurrency", "3",
    ]  # fmt: skip
    assert isinstance(build_parser().parse_args(after), Namespace)
    assert shlex.split(resume_command(SweepFolder.of("s3://b/a?region=x")))[-1] == "s3://b/a?region=x"


def test_paths_are_whole_unless_the_program_is_called_from_here(tmp_path, monkeypatch):
    here = SweepFolder.of(tmp_path / "runs" / "a")
    monkeypatch.chdir(tmp_path)
    assert resume_command(here) == shlex.join(["python", str(ROOT / "run.py"), "resume", str(tmp_path / "runs/a")])
    monkeypatch.chdir(ROOT)
    assert resume_command(here) == shlex.join(["python", "run.py", "resume", str(tmp_path / "runs/a")])
    assert resume_command(SweepFolder.of(ROOT / "runs" / "a")) == "python run.py resume runs/a"


def paste(command, **options):
    """Let a shell run a printed line as a user would, whose `python` is ours."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, **options.pop("env", {}), "PATH": path}
    return subprocess.run(command, shell=True, capture_output=True, text=True, timeout=600, env=environment, **options)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
def test_the_printed_command_works_from_another_working_folder(tmp_path):
    first, second = tmp_path / "first folder", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / "s.yaml").write_text(STUDY)
    sweep = planned(first / "s.yaml", first, "it's a sweep")
    gate = Gate(sweep.folder, sweep.study.trials()[1].name)
    command = ("resume", "it's a sweep", "--data-dir", "data", "--ship-data", "--concurrency", 2)
    driver = start(*command, cwd=first)
    wait_for_epoch(first / "it's a sweep", 1, driver)
    driver.send_signal(signal.SIGTERM)
    gate.open()
    output = driver.communicate(timeout=600)[0]
    assert driver.returncode == 130, output
    assert json.loads((first / "it's a sweep" / "launch.json").read_text()) == {
        "data_dir": str(first / "data"), "environment_data_dir": "", "ship_data": True,
    }  # fmt: skip
    (printed,) = re.findall(r"continue with: (.*)", output)
    assert printed.endswith(" --concurrency 2")
    done = paste(printed, cwd=second)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_table(first / "it's a sweep", "trials")["status"].tolist() == ["completed"] * 2
    assert results(first / "it's a sweep", "epochs").num_rows == 2 * 3


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="needs TUNE_AT_DATA with cifar10")
def test_data_that_was_named_at_the_start_is_there_on_resume(tmp_path):
    (tmp_path / "data").symlink_to(DATA)
    study = STUDY.replace("{name: digits, subset: 100}", "{name: cifar10, subset: 60, validation: 0.001}")
    (tmp_path / "s.yaml").write_text(study + "seeds: [0]\n")
    sweep = planned(tmp_path / "s.yaml", tmp_path, "a")
    gate = Gate(sweep.folder, sweep.study.trials()[1].name)
    driver = start("resume", "a", "--data-dir", "data", cwd=tmp_path)
    wait_for_epoch(tmp_path / "a", 1, driver)
    driver.terminate()
    gate.open()
    output = driver.communicate(timeout=600)[0]
    assert driver.returncode == 130, output
    (printed,) = re.findall(r"continue with: (.*)", output)
    assert "data" not in printed.replace(str(tmp_path), "")
    done = paste(printed, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
