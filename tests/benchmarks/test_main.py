"""How figures of several processes are put together, and that nothing that is tracked changes unless asked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as program
from benchmarks import measure
from benchmarks.large import make_sweep
from benchmarks.measure import Plan, Way, together
from tune_at.engine.rates import Product
from tune_at.store import read_table
from tune_at.study.sweep import Sweep

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder in the place of benchmarks/results, and a case that takes no time."""
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    ways = [Way("textbook", 2.0, 1.0), Way("ours", 1.0, 2.0, goal=1.5)]
    monkeypatch.setattr(program, "here", lambda case, quick: ways)
    monkeypatch.setattr(program, "machine", lambda: {"device": "x", "threads": 1, "versions": {"torch": "2"}})
    before = torch.get_num_threads()
    yield tmp_path / "results"
    torch.set_num_threads(before)


def test_the_lowest_ratio_counts_and_the_range_is_told(capsys):
    runs = [
        [Way("plain", s, 1.0, share=0.9), Way("ours", s / r, r, 2.0, 1.0, "/s", 1.0, share, [s / r])]
        for s, r, share in ((2.0, 1.9, 1.5), (1.0, 2.4, 1.2), (3.0, 2.2, 1.4))
    ]
    plain, ours = together(runs)
    assert (plain.seconds, plain.ratio) == (2.0, 1.0)
    assert (ours.ratio, ours.ratios, ours.share) == (1.9, [1.9, 2.4, 2.2], 1.2)
    assert ours.seconds == 2.0 / 1.9
    assert ours.rounds == [2.0 / 1.9, 1.0 / 2.4, 3.0 / 2.2]
    program.show("a case", [plain, ours])
    line = capsys.readouterr().out.splitlines()[-1]
    assert "1.90–2.40" in line
    assert line.endswith("MISSED")
    with pytest.raises(ValueError):
        together([runs[0], runs[1][:1]])


def test_nothing_is_written_unless_asked(results, capsys):
    program.main(["digits", "--processes", "1"])
    assert "2.00" in capsys.readouterr().out
    assert not results.exists()
    program.main(["digits", "--processes", "1", "--save"])
    (written,) = results.iterdir()
    content = json.loads(written.read_text())
    assert written.name.startswith("digits-")
    assert [way["ratio"] for way in content["ways"]] == [1.0, 2.0]
    assert str(written) in capsys.readouterr().out
    with pytest.raises(SystemExit):
        program.main(["digits", "--quick", "--save"])


def test_each_process_is_one_of_its_own(monkeypatch):
    started, slept = [], []

    def run(command, **options):
        number = len(started)
        started.append(command)
        ways = [{"name": "ours", "seconds": 1.0, "ratio": 2.0 + number}]
        Path(command[command.index("--into") + 1]).write_text(json.dumps({"ways": ways}))
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(program.subprocess, "run", run)
    monkeypatch.setattr(program.time, "sleep", slept.append)
    (way,) = program.apart("digits", False, 3, 7.0)
    assert way.ratios == [2.0, 3.0, 4.0]
    assert slept == [0, 7.0, 7.0]
    assert all(command[:4] == [sys.executable, "-m", "benchmarks", "digits"] for command in started)
    monkeypatch.setattr(program.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 3, "why"))
    with pytest.raises(SystemExit, match="ended with 3"):
        program.apart("digits", False, 2, 0.0)


def test_a_peak_never_falls(monkeypatch):
    rates = iter([2e9, 1e9, 3e9])
    monkeypatch.setattr(measure, "_PEAKS", {})
    monkeypatch.setattr(measure, "best_rates", lambda *_: {"fp32": (next(rates), Product(8))})
    assert [measure.peak("fp32") for _ in range(3)] == [2e9, 2e9, 3e9]


def test_the_share_is_of_the_highest_peak_seen(monkeypatch):
    peaks = iter([1e6, 4e6])
    monkeypatch.setattr(measure, "peak", lambda precision: next(peaks))
    (way,) = measure.measure(Plan({"plain": lambda: None}, 1, "", {}, {"plain": "fp32"}, 8.0, rounds=3))
    assert way.share == pytest.approx(way.flops / 4e6)


def test_every_case_is_there():
    for spec, _ in program.CASES.values():
        assert callable(program.load(spec))


def test_the_large_sweep_is_one_that_the_program_reads(tmp_path):
    folder = make_sweep(tmp_path, 12, 5)
    trials, epochs = read_table(folder, "trials"), read_table(folder, "epochs")
    assert len(trials) == 12
    assert epochs.groupby("trial").size().tolist() == [5] * 12
    best = epochs.loc[epochs.groupby("trial")["val_robust_accuracy"].idxmax()]
    assert best["epoch"].tolist() == trials["best_epoch"].tolist()
    assert Sweep.open(str(folder)).left() == 0
