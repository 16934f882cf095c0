"""The command `replay`: what it prints and writes, and what it refuses."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tune_at.cli.main import main

V1 = Path(__file__).parents[1] / "stores" / "v1"


@pytest.fixture
def grid(tmp_path):
    """A recorded sweep: two balls, two noise rates, two seeds, six epochs."""
    return shutil.copytree(V1 / "grid-finished", tmp_path / "g", ignore=shutil.ignore_patterns("checkpoints"))


def ran(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code, capsys.readouterr()


def test_tables_figure_and_parquet(grid, capsys, monkeypatch):
    monkeypatch.chdir(grid.parent)
    code, printed = ran(capsys, "replay", "g", "--scheduler", "asha,hyperband,median", "--grace", "1,3", "--eta", "2,3",
                        "--smooth", "1,2", "--orders", "5")  # fmt: skip
    assert code == 0, printed.err
    lines = printed.out.splitlines()
    assert lines[0] == "4 points (8 trials), 48 epochs, 5 orders"
    assert lines[1] == "judged and chosen by robust accuracy (regret in points)"
    assert lines[-2:] == ["g/report/replay.parquet", "g/report/replay.png"]
    assert max(map(len, lines)) <= 80
    frame = pd.read_parquet(grid / "report" / "replay.parquet")
    settings = frame[["scheduler", "grace", "eta", "smooth"]].drop_duplicates()
    assert settings["scheduler"].value_counts().to_dict() == {"asha": 8, "hyperband": 4, "median": 4}
    assert sum(line.lstrip().startswith(("asha", "hyperband", "median")) for line in lines) == 16
    saved = frame[frame["quantity"] == "saved"]
    assert len(saved) == 16 * 5 and saved["value"].between(0, 1).all()
    rungs = frame[(frame["quantity"] == "tau_final") & (frame["scheduler"] == "asha")]
    assert set(rungs["epoch"]) == {1, 2, 3, 4, 6}
    assert (rungs["low"] <= rungs["high"]).all() and (rungs["trials"] == 8).all()
    assert (grid / "report" / "replay.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_numbers(grid, capsys, tmp_path):
    frames = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        into = tmp_path / f"{name}.parquet"
        options = ("--scheduler", "asha", "--grace", "1", "--orders", "4", "--seed", seed, "--into", into)
        assert ran(capsys, "replay", grid, *options)[0] == 0
        assert into.with_suffix(".png").exists() and not (grid / "report" / "replay.parquet").exists()
        frames.append(pd.read_parquet(into))
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_the_live_order_alone_has_no_spread(grid, capsys):
    code, printed = ran(capsys, "replay", grid, "--orders", "1", "--scheduler", "median", "--grace", "2")
    assert code == 0, printed.err
    assert "1 order\n" in printed.out and "±" not in printed.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--grace", "9"), "--grace 9: with asha no epoch from 9 on is evaluated before the last"),
        (("--grace", "1,x"), "'1,x' is not a list of numbers above 0, as 1,3,5"),
        (("--scheduler", "ahsa"), "'ahsa' is unknown; did you mean asha?"),
        (("--scheduler", "asha,"), "'asha,' is not a list of schedulers"),
        (("--scheduler", "hyperband", "--eta", "2.5"), "2.5 is refused: it is not a whole number"),
        (("--metric", "loss"), "--metric: 'loss' is never reported"),
        (("--into", "x.csv"), "--into: 'x.csv' does not end with .parquet"),
        (("--into", "no/x.parquet"), "--into: no/x.parquet cannot be written"),
        (("--orders", "0"), "'0' is not a whole number above 0"),
    ],
)
def test_a_mistake_is_one_line(grid, capsys, arguments, told):
    code, printed = ran(capsys, "replay", grid, *arguments)
    assert code == 2
    assert told in printed.err and printed.err.count("\n") == 1
    assert printed.out == "" and not (grid / "report").exists()


def test_curves_that_were_stopped_early_are_replayed_only_if_told(tmp_path, capsys):
    into = tmp_path / "x.parquet"
    code, printed = ran(capsys, "replay", V1 / "asha-finished", "--into", into)
    assert code == 2 and "3 of 7 trials were stopped early" in printed.err and not into.exists()
    code, printed = ran(capsys, "replay", V1 / "asha-finished", "--into", into, "--stopped-too", "--scheduler", "asha")
    assert code == 0, printed.err
    assert "7 points" in printed.out
