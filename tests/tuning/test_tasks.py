"""Tasks run in Ray's workers: all of them, whatever becomes of one."""

import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tune_at.errors import UserError
from tune_at.store.failures import StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.tuning.cluster.session import Need
from tune_at.tuning.launch import Launch
from tune_at.tuning.tasks import Task, run_tasks

pytestmark = pytest.mark.slow


def write(path, text):
    Path(path).write_text(text)


def die_once(path):
    """The first call kills its process; the second finds the mark of the first."""
    if not Path(path).exists():
        Path(path).write_text("killed")
        os.kill(os.getpid(), 9)
    Path(path).write_text("done")


def fail(kind):
    raise {"user": UserError("eps", "is a word", "write a number"), "other": ZeroDivisionError("by nothing\nat all")}[
        kind
    ]


def storage_fails():
    raise StorageFailed("/full", "no space left", "make room")


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    # Workers find this file's functions as `test_tasks:…`.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))

    def call(*tasks):
        listed = [
            Task(name, f"{__name__}:{function.__name__}", arguments, Need(1, 0)) for name, function, arguments in tasks
        ]
        console = Console(file=sys.stdout, width=200)
        return run_tasks(listed, SweepFolder.of(tmp_path), Launch(), console, "sum", "CONTINUE")

    return call


def test_a_failed_task_is_named_and_the_others_run(run, tmp_path, capsys):
    paths = [tmp_path / f"{number}" for number in range(3)]
    errors = run(
        ("a", write, {"path": str(paths[0]), "text": "one"}),
        ("b", fail, {"kind": "user"}),
        ("c", die_once, {"path": str(paths[1])}),
        ("d", fail, {"kind": "other"}),
        ("e", write, {"path": str(paths[2]), "text": "five"}),
    )
    assert errors == {"b": "eps: is a word; write a number", "d": "ZeroDivisionError: by nothing"}
    assert [path.read_text() for path in paths] == ["one", "done", "five"]
    out = capsys.readouterr().out
    assert "failed: b: eps: is a word; write a number" in out
    assert "Traceback" in out.partition("failed: d: ZeroDivisionError: by nothing")[2]
    assert "5 of 5 sums done" in out


def test_storage_that_fails_stops_all(run):
    with pytest.raises(StorageFailed, match="no space left; make room"):
        run(("a", storage_fails, {}))


def test_a_task_that_fits_nowhere_is_refused(tmp_path):
    task = Task("a", f"{__name__}:write", {}, Need(9999, 0))
    with pytest.raises(UserError, match="9999 CPUs"):
        run_tasks([task], SweepFolder.of(tmp_path), Launch(), Console(), "sum", "CONTINUE")


def test_without_tasks_nothing_is_started(run, capsys):
    assert run() == {}
    assert capsys.readouterr().out == ""
