"""What a sweep's end and `status` show, from real sweeps that are kept as test data."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.cells import cell_len

from tune_at.cli.main import main
from tune_at.cli.results import mean_and_spread, trials_table
from tune_at.store import read_table
from tune_at.study.record import digest

STORES = Path(__file__).parent.parent / "stores" / "v1"


@pytest.fixture
def status(tmp_path, capsys, monkeypatch):
    """A function (store, columns of the terminal or None for a pipe) → the lines that `status` prints of a copy."""

    def run(store, width=None):
        if not (tmp_path / store).exists():
            shutil.copytree(STORES / store, tmp_path / store)
        if width:
            monkeypatch.setenv("COLUMNS", str(width))
            monkeypatch.setenv("TTY_COMPATIBLE", "1")
            monkeypatch.setenv("NO_COLOR", "1")
            monkeypatch.setenv("TERM", "xterm")
        with pytest.raises(SystemExit) as exit_:
            main(["status", str(tmp_path / store)])
        out, err = capsys.readouterr()
        assert (exit_.value.code, err) == (0, "")
        return re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()

    return run


def row(lines, start):
    (found,) = (line.split() for line in lines if line.lstrip().startswith(start))
    return found


def test_trials_under_way_interrupted_and_pending_are_in_the_table(status):
    lines = status("kd_swa-killed")
    assert lines[0].endswith("6 trials: 4 completed, 1 interrupted, 1 pending")
    assert row(lines, "trial ") == ["trial", "stage", "status", "epochs", "train", "test", "gap"]
    assert row(lines, "04-kd_swa-s0")[1:4] == ["students", "interrupted", "2"]
    assert row(lines, "05-kd_swa-s1")[1:] == ["students", "pending", "0", "-", "-", "-"]
    assert lines[-1].startswith("not running; continue with: ")


def test_points_are_means_over_their_seeds(status, tmp_path):
    lines = status("grid-finished")
    trials, epochs = (read_table(tmp_path / "grid-finished", table) for table in ("trials", "epochs"))
    best = trials.merge(epochs, left_on=["trial", "best_epoch"], right_on=["trial", "epoch"])
    mine = best[best["objective"].eq("sat") & best["data.noise_rate"].eq(0.0)]["val_robust_accuracy"]
    expected = [f"{100 * mine.mean():.1f}", "±", f"{100 * mine.std():.1f}"]
    (points,) = (line.split() for line in lines if line.startswith(" sat") and "±" in line and "=0 " in line)
    assert points[1:5] == ["2", *expected]
    assert any(line.startswith("best        for each data.noise_rate, by mean robust accuracy") for line in lines)


def test_a_point_whose_trials_are_not_at_their_end_has_no_last_value_that_passes_for_one(status):
    assert "test at the last" in " ".join(status("grid-finished")[-12:])
    assert "so far" not in " ".join(status("grid-finished"))
    killed = " ".join(" ".join(status("grid-killed")).split())
    assert re.search(r"test at the last so far, \d of \d trials? short of its end", killed)


@pytest.mark.parametrize("width", [200, 120, 80, 60, 40])
@pytest.mark.parametrize("store", ["kd_swa-killed", "grid-finished", "optuna-finished"])
def test_no_row_of_the_table_is_wrapped_at_any_width(status, store, width, tmp_path):
    lines = status(store, width)
    end = next(number for number, line in enumerate(lines) if " accuracy in %" in f" {line}")
    names = read_table(tmp_path / store, "trials")["trial"]
    for name in names:
        (line,) = (line for line in lines[1:end] if line.strip().startswith(name.partition("-")[0] + "-"))
        assert cell_len(line.rstrip()) <= width
        assert {"completed", "interrupted", "stopped"} & set(line.split())
        assert line.split()[-1].replace(".", "").isdigit() or "-" in line.split()[-1]
        if width >= 120:
            assert name in line


def test_into_a_pipe_the_table_is_as_wide_as_it_has_to_be(status, tmp_path):
    lines = status("optuna-finished")
    lines = lines[: next(n for n, line in enumerate(lines) if "accuracy in %" in line)]
    for name in read_table(tmp_path / "optuna-finished", "trials")["trial"]:
        assert len(row(lines, name)) == 3 + 3 * 3


def test_data_without_a_test_split_shows_its_validation_split():
    rows = [{"trial": "a", "status": "completed", "epochs": 2}, {"trial": "b", "status": "failed", "epochs": 0}]
    measured = {"val_natural_accuracy": 0.75, "val_robust_accuracy": 0.5}
    epochs = pd.DataFrame(
        [{"trial": "a", "epoch": 2, "train_natural_accuracy": 1.0, "train_robust_accuracy": 0.75, **measured}]
    )
    table = trials_table(rows, epochs.assign(test_natural_accuracy=None, test_robust_accuracy=None), None, False)
    assert [column.header for column in table.columns] == ["trial", "status", "epochs", "train", "validation", "gap"]
    cells = [[cell.split() for cell in column.cells] for column in table.columns]
    assert cells[4] == [["75.0", "/", "50.0"], ["-"]]
    assert cells[5] == [["25.0", "/", "25.0"], ["-"]]


def test_a_mean_of_one_has_no_deviation():
    assert mean_and_spread([0.5]) == "50.0"
    assert mean_and_spread([0.5, 0.7]) == "60.0 ± 14.1"
    assert mean_and_spread([float("nan")]) == "-"


def test_report_draws_the_figures_that_are_asked_for(tmp_path, capsys):
    sweep = Path(shutil.copytree(STORES / "folder-finished", tmp_path / "sweep"))
    shutil.rmtree(sweep / "report", ignore_errors=True)
    body = (
        (sweep / "study.yaml")
        .read_text()
        .partition("\n")[2]
        .replace("figures:\n- memorization_curves\n", "figures: []\n")
    )
    (sweep / "study.yaml").write_text(f"# digest: {digest(body)}\n{body}")
    for options, code in ((["--figures", "memorization_curve"], 2), ([], 0), (["--figures", "memorization_curves"], 0)):
        with pytest.raises(SystemExit) as ended:
            main(["report", str(sweep), *options])
        out, err = capsys.readouterr()
        assert (ended.value.code, err.count("\n")) == (code, code // 2), err
        assert (sweep / "report" / "memorization_curves.png").is_file() == (bool(options) and code == 0)
    assert "memorization_curves.png" in out
