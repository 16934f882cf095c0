"""`demo` goes on with what is there, and trains nothing twice."""

import pytest
from completed import complete

from tune_at.cli.commands import demo
from tune_at.store.lock import sweep_lock
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep


@pytest.fixture
def study():
    return Study.resolve("random_labels", "laptop")


def test_which_demo_is_gone_on_with(study, tmp_path):
    there, first = demo._demo_sweep(study, str(tmp_path))
    assert not there and first.name == "demo"
    first.create()
    assert demo._demo_sweep(study, str(tmp_path))[0]
    with sweep_lock(first.folder):  # somebody runs it
        there, second = demo._demo_sweep(study, str(tmp_path))
    assert not there and second.name == "demo-2"
    complete(first)
    there, again = demo._demo_sweep(study, str(tmp_path))
    assert there and again.name == "demo" and not again.left()
    other = Sweep.plan(Study.resolve("random_labels", "laptop", {"train.epochs": 3}), str(tmp_path), "demo-2")
    other.create()
    with sweep_lock(first.folder):
        assert demo._demo_sweep(study, str(tmp_path))[1].name == "demo-3"


def test_a_finished_demo_is_shown_and_not_trained_again(study, tmp_path, capsys, monkeypatch):
    def trained(*arguments):
        raise AssertionError("it was trained again")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "run_to_end", trained)
    sweep = Sweep.plan(study, "runs", "demo")
    sweep.create()
    complete(sweep)
    assert demo.run(type("Arguments", (), {"storage": "runs"})) == 0
    out = capsys.readouterr().out
    assert out.startswith("runs/demo is complete: nothing is left to run; to train again, remove it or name another")
    assert "runs/demo/report/memorization_curves.png" in out
