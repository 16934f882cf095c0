"""Parts with keys of their own, and what is damaged: named, set aside, never removed; the rest goes on."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from tune_at.cli.main import main
from tune_at.errors import UserError
from tune_at.store import query, read_arrow, read_table
from tune_at.store.failures import DamagedPart
from tune_at.store.fold import set_aside
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import read_part, remedy_for
from tune_at.store.schema import TABLES, TRAINED, part_key
from tune_at.store.snapshot import read_snapshot
from tune_at.store.writer import part_path, write_rows
from tune_at.study.sweep import Sweep

V1 = Path(__file__).parent.parent / "stores" / "v1"


def epoch(trial, number):
    return {"trial": trial, "epoch": number, "lr": 0.1, "test_robust_accuracy": number / 10}


def evaluation(trial, checkpoint="best", attack="pgd-20", batch=0):
    return {
        "trial": trial, "checkpoint": checkpoint, "attack": attack, "batch": batch, "epoch": 3, "split": "test",
        "n": 100, "correct": 50 + batch, "accuracy": (50 + batch) / 100, "settings": {"eps": 8 / 255},
    }  # fmt: skip


def sample(trial, example, checkpoint="best"):
    return {
        "trial": trial, "checkpoint": checkpoint, "epoch": 3, "split": "train", "origin": "hardness",
        "attack": "pgd-10", "batch": 0, "example": example, "label": 3, "forgotten": 2,
    }  # fmt: skip


def probe(trial, number, name="gradients", x=None):
    return {
        "trial": trial, "checkpoint": "", "epoch": number, "probe": name, "quantity": "norm", "x": x, "value": 1.5,
    }  # fmt: skip


ROWS = {
    "epochs": lambda trial: [epoch(trial, 1), epoch(trial, 2)],
    "decisions": lambda trial: [
        {
            "trial": trial, "epoch": 1, "scheduler": "asha", "rung": 1, "bracket": 0, "metric": "robust_accuracy",
            "value": 0.5, "action": "continue", "decided": 0,
        }
    ],
    "trials": lambda trial: [
        {
            "sweep": "s", "study": "s", "stage": "main", "trial": trial, "seed": 0, "status": "completed", "epochs": 2,
            "selection": "validation", "config": "{}", "config_hash": "0",
        }
    ],
    "evaluations": lambda trial: [evaluation(trial)],
    "samples": lambda trial: [sample(trial, 7), sample(trial, 3)],
    "probes": lambda trial: [probe(trial, 1, x=0.5), probe(trial, 1, x=0.25)],
}  # fmt: skip


@pytest.fixture
def sweep(tmp_path):
    folder = SweepFolder.of(tmp_path / "sweep")
    folder.study.write_whole(b"x")
    for trial in ("a", "b"):
        for table, rows in ROWS.items():
            write_rows(folder, table, trial, rows(trial))
    return folder


def tear(place):
    place.write_bytes(place.read_bytes()[:-20])
    return place.read_bytes()


def part(folder, table, trial):
    row = dict.fromkeys(TABLES[table].part) | ROWS[table](trial)[0]
    return part_path(folder, table, trial, part_key(table, row))


def test_parts_have_their_keys_beside_the_trial_and_do_not_replace_each_other(sweep):
    for batch in (1, 2):
        write_rows(sweep, "evaluations", "a", [evaluation("a", batch=batch)])
    write_rows(sweep, "evaluations", "a", [evaluation("a", attack="autoattack")])
    write_rows(sweep, "evaluations", "a", [{**evaluation("a", batch=2), "correct": 99}])
    rows = read_arrow(sweep, "evaluations").to_pylist()
    assert [(row["trial"], row["attack"], row["batch"], row["correct"]) for row in rows] == [
        ("a", "autoattack", 0, 50), ("a", "pgd-20", 0, 50), ("a", "pgd-20", 1, 51), ("a", "pgd-20", 2, 99),
        ("b", "pgd-20", 0, 50),
    ]  # fmt: skip
    assert json.loads(rows[0]["settings"]) == {"eps": 8 / 255}
    assert read_arrow(sweep, "samples")["example"].to_pylist() == [3, 7, 3, 7]
    assert read_table(sweep, "samples")["forgotten"].tolist() == [2.0] * 4
    assert read_arrow(sweep, "probes")["x"].to_pylist() == [0.25, 0.5] * 2


def test_rows_of_two_parts_are_not_written_as_one(sweep):
    with pytest.raises(ValueError, match="2 parts, named by checkpoint, epoch, split, attack, batch"):
        write_rows(sweep, "evaluations", "a", [evaluation("a", batch=1), evaluation("a", batch=2)])
    with pytest.raises(ValueError, match="named by"):
        write_rows(sweep, "probes", "a", [])


def test_numbers_of_numpy_name_the_same_part_and_are_stored(sweep):
    """Counts come from arrays and frames: a part that has two names would have its rows twice."""
    again = {**evaluation("a"), "batch": np.int64(0), "correct": np.int32(99), "accuracy": np.float32(0.5)}
    write_rows(sweep, "evaluations", "a", [again])
    assert part_key("evaluations", again) == part_key("evaluations", evaluation("a"))
    assert read_arrow(sweep, "evaluations").filter(pc.field("trial") == "a")["correct"].to_pylist() == [99]
    rows = [{**sample("a", 3), "checkpoint": "epoch-000001", "margin": np.float32(1.5), "learned": np.bool_(True)}]
    write_rows(sweep, "samples", "a", rows)
    (stored,) = read_arrow(sweep, "samples").filter(pc.field("checkpoint") == "epoch-000001").to_pylist()
    assert (stored["margin"], stored["learned"], stored["forgotten"]) == (1.5, True, 2.0)


@pytest.mark.parametrize("table", TABLES)
def test_rows_of_another_trial_are_not_written_as_this_ones(sweep, table):
    before = read_arrow(sweep, table)
    with pytest.raises(ValueError, match="rows of another trial than c"):
        write_rows(sweep, table, "c", ROWS[table]("a"))
    assert read_arrow(sweep, table).equals(before)


def test_keys_are_safe_as_names_of_files_and_differ():
    keys = [
        part_key(
            "evaluations", {"checkpoint": checkpoint, "epoch": 3, "split": "test", "attack": attack, "batch": batch}
        )
        for checkpoint in ("best", "epoch-000012")
        for attack in ("pgd-20", "pgd", "../../etc", "a/b", "a_b", "é" * 300, "", ".", "A", "a")
        for batch in (0, 20, 200)
    ]
    assert len({key.lower() for key in keys}) == len(keys)
    for key in keys:
        assert len(key.encode()) < 120
        assert not set(key) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+-")
        assert key[0] not in ".-"


def test_which_tables_training_writes_again():
    assert set(TRAINED) == {"trials", "epochs", "decisions"}
    for table in TABLES.values():
        assert bool(table.part) is not table.rebuilt
        assert {*table.key, *table.part, *table.times} <= set(table.schema.names)


@pytest.mark.parametrize("table", TABLES)
def test_a_damaged_part_is_named_and_set_aside_and_nothing_else_is_touched(sweep, table):
    place = part(sweep, table, "a")
    torn = tear(place)
    before = {path: path.read_bytes() for path in sweep.store.rglob("*.parquet") if path != place}
    with pytest.raises(DamagedPart):
        read_part(place)
    remedy = "writes it again" if TABLES[table].rebuilt else "sets it aside and goes on without it"
    with pytest.raises(DamagedPart, match=rf"{place.name}: is damaged: .*; `.* resume {sweep}` {remedy}"):
        read_arrow(sweep, table)
    snapshot = read_snapshot(sweep, list(TABLES))
    assert snapshot.arrow(table)["trial"].unique().to_pylist() == ["b"]
    assert snapshot.damaged_trials == ({"a"} if TABLES[table].rebuilt else set())
    (line,) = set_aside(sweep, snapshot)
    assert line.startswith(f"{place}: is damaged: ")
    assert ("written again" in line) is TABLES[table].rebuilt
    assert "\n" not in line
    (moved,) = sweep.damaged.files()
    assert str(moved) in line
    assert moved.read_bytes() == torn
    assert {path: path.read_bytes() for path in before} == before
    assert read_arrow(sweep, table)["trial"].unique().to_pylist() == ["b"]
    assert set_aside(sweep, read_snapshot(sweep, list(TABLES))) == []


def test_an_evaluation_is_kept_beside_a_damaged_part_of_its_trial(sweep):
    tear(part(sweep, "epochs", "a"))
    kept = part(sweep, "evaluations", "a").read_bytes()
    snapshot = read_snapshot(sweep)
    assert snapshot.damaged_trials == {"a"}
    set_aside(sweep, snapshot)
    assert part(sweep, "evaluations", "a").read_bytes() == kept
    assert len(read_arrow(sweep, "evaluations")) == 2
    # The same file damaged once more, after it was written again, is set aside beside the first.
    write_rows(sweep, "epochs", "a", ROWS["epochs"]("a"))
    tear(part(sweep, "epochs", "a"))
    set_aside(sweep, read_snapshot(sweep))
    assert len(sweep.damaged.files()) == 2


def test_a_query_is_stopped_only_by_damage_of_what_it_needs(sweep):
    tear(part(sweep, "evaluations", "a"))
    assert query(sweep, "SELECT count(*) AS n FROM epochs").to_pylist() == [{"n": 4}]
    with pytest.raises(UserError, match="is damaged"):
        query(sweep, "SELECT * FROM Evaluations")
    assert query(sweep, "SELECT sum(value) AS s FROM probes JOIN trials USING (trial)").to_pylist() == [{"s": 6.0}]


@pytest.fixture
def finished(tmp_path):
    """A sweep of today's first version that has ended, so that `resume` starts no Ray."""
    return Path(shutil.copytree(V1 / "grid-finished", tmp_path / "my ε sweep"))


@pytest.mark.parametrize(
    ("path", "sweep"),
    [
        ("/runs/store/x y/store/epochs/a.parquet", "'/runs/store/x y'"),
        ("/runs/x/store/samples/a/best-0.parquet", "/runs/x"),
        ("/runs/x/store/folded/epochs/000001-000004.parquet", "/runs/x"),
        ("s3://b/runs/x/store/trials/a.parquet?region=eu&scheme=http", "'s3://b/runs/x?region=eu&scheme=http'"),
    ],
)
def test_the_remedy_of_damage_can_be_pasted(path, sweep):
    assert f" resume {sweep}` " in remedy_for(path)
    assert ("sets it aside" in remedy_for(path)) is ("samples" in path)


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_resume_of_a_finished_sweep_sets_aside_what_nothing_can_write_again(finished, capsys):
    trial = read_table(finished, "trials")["trial"][0]
    for batch in range(2):
        write_rows(finished, "evaluations", trial, [evaluation(trial, batch=batch)])
    path = part_path(finished, "evaluations", trial, part_key("evaluations", evaluation(trial)))
    torn = tear(path)
    count = "SELECT count(*) AS n FROM evaluations"
    assert command("query", finished, count) == 2
    refusal = capsys.readouterr().err
    assert f"{path}: is damaged" in refusal
    assert "sets it aside" in refusal
    # What does not need it works as it is.
    assert command("status", finished) == 0
    assert command("query", finished, "SELECT count(*) FROM epochs") == 0
    capsys.readouterr()
    # The remedy, followed.
    again = shlex.split(refusal.partition("`")[2].partition("`")[0])
    assert again[-2:] == ["resume", str(finished)]
    assert command(*again[-2:]) == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith(f"{path}: is damaged")]
    assert "nothing is left to run" in said
    assert [moved.read_bytes() for moved in SweepFolder.of(finished).damaged.files()] == [torn]
    assert command("query", finished, count, "--format", "csv") == 0
    assert capsys.readouterr().out.split()[-1] == "1"
    assert command("resume", finished) == 0
    assert "is damaged" not in capsys.readouterr().out


def test_a_damaged_part_of_a_rebuilt_table_leaves_a_trial_to_run(finished):
    sweep = Sweep.open(str(finished))
    everyone = {trial.name for trial in sweep.trials()}
    assert sweep.left() == 0
    for table, number in (("epochs", 0), ("trials", 1)):
        tear(part_path(finished, table, sorted(everyone)[number]))
    snapshot = sweep.read()
    assert {trial.name for trial in sweep.unfinished(snapshot)} == set(sorted(everyone)[:2])
    assert sweep.left(snapshot) == 2


def test_what_a_search_drew_is_read_from_stores_of_version_1(tmp_path):
    sweep = Sweep.open(str(shutil.copytree(V1 / "optuna-killed", tmp_path / "optuna")))
    proposals = [proposal for _, proposal in sweep.drawn()]
    assert len(proposals) == 4
    assert all(json.loads(proposal) for proposal in proposals)
    assert "search" not in read_arrow(sweep.folder, "trials").schema.names
