"""An import is a sweep that every reader can read, made whole or not at all; what needs networks refuses it."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from imported_curves import MAPPED, SAID, imported, refused, table  # noqa: F401
from s3_server import s3  # noqa: F401
from tasks_here import command  # noqa: F401

from analysis import load
from analysis.page import collect
from tune_at.errors import UserError
from tune_at.exchange.asked import Asked
from tune_at.exchange.imported_sweep import import_curves
from tune_at.store import query, read_table
from tune_at.store.reader import sweep_folder
from tune_at.store.remote import RemotePlace
from tune_at.study.sweep import Sweep
from tune_at.training.record import EpochRecord, best_record

RAY = Path(__file__).parent / "ray_results"


def test_the_tables_have_the_numbers_that_were_written(imported):  # noqa: F811
    frame = table()
    epochs = read_table(imported(frame), "epochs")
    for ours, theirs in (("test_robust_accuracy", "acc"), ("test_natural_accuracy", "nat"), ("grad", "grad")):
        assert epochs[ours].tolist() == frame[theirs].tolist(), ours
    assert epochs[["trial", "epoch"]].to_numpy().tolist() == frame[["trial", "epoch"]].to_numpy().tolist()
    assert epochs["val_robust_accuracy"].isna().all()


def test_the_best_epoch_is_the_one_that_training_would_call_so(imported):  # noqa: F811
    frame = table(trials=6, epochs=12, seeds=1)
    frame["acc"] = (frame["acc"] * 4).round() / 4  # ties
    frame["nat"] = (frame["grad"] * 7 % 1).round(1)
    trials = read_table(imported(frame), "trials").set_index("trial")
    for name, part in frame.groupby("trial"):
        history = [
            EpochRecord(row.epoch, 0.1, {"test_robust_accuracy": row.acc, "test_natural_accuracy": row.nat})
            for row in part.itertuples()
        ]
        best = best_record(history, "test")
        assert best is not None
        assert trials.loc[name, "best_epoch"] == best.epoch


def test_config_columns_tell_points_apart_and_constants_do_not(imported):  # noqa: F811
    frame = table().assign(opt="sgd", wd="5e-4")
    folder = imported(frame, {**MAPPED, "wd": "optim.weight_decay"}, config_columns=("lr0", "opt"))
    trials = read_table(folder, "trials")
    assert {"config.lr0"} == {column for column in trials if "." in column}
    assert json.loads(trials["config"][0]) == {
        "config": {"lr0": 0.1, "opt": "sgd"}, "optim": {"weight_decay": 0.0005}, "train": {"selection": "test"},
    }  # fmt: skip
    loaded = load(folder)
    best = loaded.best(2)
    assert best["seeds"].tolist() == [2, 2]
    means = frame.loc[frame.groupby("trial")["acc"].idxmax()].groupby("lr0")["acc"].mean()
    assert best["robust_accuracy"].tolist() == pytest.approx(sorted(means, reverse=True))
    curve = loaded.curves("grad")
    assert curve["value"].tolist() == pytest.approx(frame.groupby(["lr0", "epoch"])["grad"].mean().tolist())


def test_keys_of_ours_are_checked_as_ours(imported):  # noqa: F811
    frame = table().assign(method=["trades"] * 6 + ["pgd_at"] * 6)
    folder = imported(frame, {**MAPPED, "method": "objective"}, known={"attack.eps": "8/255"}, name="a")
    trials = load(folder).trials
    assert trials["objective.name"].tolist() == ["trades", "trades", "pgd_at", "pgd_at"]
    assert trials["attack.eps"].unique().tolist() == [8 / 255]
    line = refused(imported, table().assign(method="tradse"), {**MAPPED, "method": "objective"}, name="b")
    assert "c.csv line 2: objective.name: 'tradse' is unknown; did you mean trades or" in line
    assert "no such key" in refused(imported, table(), known={"optim.lrr": 1}, name="b")


def test_a_config_column_that_varies_within_a_trial_is_named(imported):  # noqa: F811
    line = refused(imported, table(), config_columns=("grad",))
    assert line.startswith(
        "c.csv: 4 problems: (1) c.csv line 3: grad is '0.2', and '0.1' at c.csv line 2: one trial has"
    )


def test_trials_that_only_their_names_tell_apart_are_points_of_their_own(tmp_path):
    table().to_csv(tmp_path / "c.csv", index=False)
    made = import_curves(str(tmp_path / "c.csv"), str(tmp_path / "s"), Asked(MAPPED, **SAID))
    assert made.notes == [
        "a and c have the same seed, 0, and nothing else tells them apart: no means over seeds, unless --config-columns"
        " names what tells trials apart"
    ]
    assert load(tmp_path / "s").best(4)["seeds"].tolist() == [1] * 4


def test_ray_s_folder(tmp_path):
    mapped = {"test_acc": "test_robust_accuracy", "nat/acc": "test_natural_accuracy", "loss": "test_robust_loss"}
    folder = import_curves(str(RAY), str(tmp_path / "r"), Asked(mapped, percent=())).sweep.folder
    rows = query(str(folder), 'SELECT trial, status, epochs, best_epoch, "config.lr" FROM trials').to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("5e946_00000", "completed", 5, 2, 0.1), ("5e946_00001", "failed", 3, 3, 0.5),
        ("5e946_00002", "diverged", 5, 3, 1.0),
    ]  # fmt: skip
    assert read_table(str(folder), "trials")["error"].fillna("").tolist() == ["", "RuntimeError: boom", ""]
    assert folder.log("5e946_00001").read_text().startswith("Failure # 1 (occurred at")


def test_our_own_tables_come_back_as_they_were(tmp_path):
    own = Path(__file__).parents[1] / "stores" / "v1" / "grid-finished"
    tables = query(str(own), "SELECT * FROM epochs JOIN (SELECT trial, seed, objective FROM trials) USING (trial)")
    pq.write_table(tables, tmp_path / "c.parquet")
    asked = Asked({"objective": "objective"}, **SAID, selection="validation")
    folder = str(import_curves(str(tmp_path / "c.parquet"), str(tmp_path / "s"), asked).sweep.folder)
    there, here = read_table(str(own), "epochs"), read_table(folder, "epochs")
    assert set(there.columns) == set(here.columns)
    pd.testing.assert_frame_equal(here[there.columns], there, check_dtype=False)
    there, here = read_table(str(own), "trials"), read_table(folder, "trials")
    for column in ("trial", "seed", "status", "epochs", "best_epoch", "objective"):
        assert here[column].tolist() == there[column].tolist(), column


def test_names_that_no_file_can_have_are_replaced_and_remembered(imported):  # noqa: F811
    frame = table(seeds=1).replace({"trial": {"a": "x/a", "b": "x_a", "c": "..", "d": "-" * 300}})
    folder = imported(frame)
    names = Sweep.open(folder).study.curves.names
    trials = read_table(folder, "trials")["trial"].tolist()
    assert sorted(names.get(trial, trial) for trial in trials) == sorted(set(frame["trial"]))
    assert "x_a" in trials
    assert all(len(trial) <= 100 and not set("/.-") & set(trial[0]) for trial in trials)


def test_nothing_is_left_to_run_and_what_needs_networks_is_one_line(imported, command):  # noqa: F811
    folder = imported(table(seeds=1))
    before = sorted(str(path) for path in Path(folder).rglob("*"))
    assert Sweep.open(folder).left() == 0
    for words in (
        ["resume"],
        ["resume", "--trials", "9"],
        ["evaluate"],
        ["probe", "--probe", "margin"],
        ["tensorboard"],
    ):
        code, _, errors = command(words[0], folder, *words[1:])
        assert (code, len(errors)) == (2, 1), words
        assert errors[0].startswith(f"tune-at: error: {folder}: has curves from elsewhere, and no networks; "), words
    code, _, errors = command("export", folder, "--trial", "a", "--to", f"{folder}.pt")
    assert (code, len(errors)) == (2, 1)
    assert "has curves from elsewhere, and no networks" in errors[0]
    assert sorted(str(path) for path in Path(folder).rglob("*")) == before


def test_status_and_report_say_what_is_there(imported, command):  # noqa: F811
    folder = imported(table(seeds=1), config_columns=("lr0",))
    code, lines, errors = command("status", folder)
    assert (code, errors) == (0, [])
    assert lines[0].endswith("c.csv: 4 trials: 4 completed")
    assert not any("resume" in line or "continue" in line for line in lines)
    content = collect(folder, ["test_curves"])
    assert [figure.refused for figure in content.figures] == [""]
    assert [what for what, _ in content.commands] == ["import them again", "this page", "its tables"]
    assert content.finding.numbers == "the curves come from elsewhere, and so does their question"
    assert Sweep.open(folder).study.figures == ["test_curves"]


def test_status_shows_what_was_measured_on_clean_data_alone(imported, command):  # noqa: F811
    frame = table(trials=1, seeds=1).drop(columns="acc")
    _, lines, _ = command("status", imported(frame, {"nat": "test_natural_accuracy"}))
    assert lines[2].split() == ["a", "completed", "3", "-", "/", "-", "50.0", "/", "-", "-", "/", "-"]


def test_what_the_curves_do_not_say_is_named_by_its_key(imported, command):  # noqa: F811
    folder = imported(table(seeds=1))
    code, _, (error,) = command("report", folder, "--table", "1")
    assert code == 2
    assert error == (
        "tune-at: error: table 1: needs data.name, which these imported curves do not say;"
        " if it is known, import them again with --set data.name=VALUE or --map COLUMN=data.name"
    )
    code, _, errors = command("report", folder, "--figures", "overfitting_curves", "memorization_curves")
    assert "not drawn" in errors[0] or "import the curves again with --map COLUMN=train_natural_accuracy" in errors[0]


def test_a_folder_needs_a_name(tmp_path):
    table().to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(UserError, match=r"--into: '' names no folder; write --into runs/NAME"):
        import_curves(str(tmp_path / "c.csv"), "", Asked(MAPPED, **SAID))


def test_an_import_begins_a_sweep_and_adds_to_none(imported):  # noqa: F811
    folder = imported(table(seeds=1))
    assert refused(imported, table(seeds=1)).endswith(
        "s: exists; name another folder: an import begins a sweep, and adds to none"
    )
    Path(folder, "x").mkdir()
    assert "exists" in refused(imported, table(seeds=1), name="s/x")


def test_a_bad_row_leaves_nothing(imported, tmp_path):  # noqa: F811
    frame = table(seeds=1)
    frame.loc[7, "acc"] = 7
    assert "c.csv line 9: acc 7 is not a fraction" in refused(imported, frame)
    assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]


KILLED = """
import os, sys
from tune_at.store.place import LocalPlace
from tune_at.cli.main import main
write, left = LocalPlace.write_whole, [int(sys.argv.pop(1))]
def until(self, data):
    left[0] -= 1
    if left[0] < 0:
        os._exit(9)
    write(self, data)
LocalPlace.write_whole = until
main(sys.argv[1:])
"""


@pytest.mark.parametrize("written", [0, 2])
def test_an_import_that_is_killed_leaves_nothing_that_looks_like_a_sweep(tmp_path, written):
    table(seeds=1).to_csv(tmp_path / "c.csv", index=False)
    words = ["import", tmp_path / "c.csv", "--into", tmp_path / "s", "--fractions", "--epochs-from", "1"]
    words += ["--map", "acc=test_robust_accuracy"]
    run = [sys.executable, "-c", KILLED, str(written), *map(str, words)]
    assert subprocess.run(run, check=False).returncode == 9
    assert not (tmp_path / "s").exists()
    with pytest.raises(UserError, match="is no sweep"):
        sweep_folder(str(tmp_path / "s"))
    import_curves(str(tmp_path / "c.csv"), str(tmp_path / "s"), Asked(MAPPED, **SAID))
    assert len(read_table(str(tmp_path / "s"), "epochs")) == 12


def test_on_an_object_store_a_killed_import_is_no_sweep_and_a_whole_one_is(tmp_path, s3, monkeypatch):  # noqa: F811
    table(seeds=1).to_csv(tmp_path / "c.csv", index=False)
    whole = RemotePlace.write_whole

    def until(self, *arguments, **options):
        if self.name == "study.yaml":
            raise KeyboardInterrupt
        whole(self, *arguments, **options)

    half, into = s3.uri(), s3.uri()
    monkeypatch.setattr(RemotePlace, "write_whole", until)
    with pytest.raises(KeyboardInterrupt):
        import_curves(str(tmp_path / "c.csv"), half, Asked(MAPPED, **SAID))
    assert len(s3.objects(half)) > 1  # its tables: the study is written last
    with pytest.raises(UserError, match="is no sweep"):
        sweep_folder(half)
    monkeypatch.undo()
    with pytest.raises(UserError, match="exists; name another folder"):
        import_curves(str(tmp_path / "c.csv"), half, Asked(MAPPED, **SAID))
    import_curves(str(tmp_path / "c.csv"), into, Asked(MAPPED, **SAID))
    assert len(read_table(into, "epochs")) == 12
    assert Sweep.open(into).left() == 0


def test_the_words_of_the_command_are_recorded_and_work_again(tmp_path, command):  # noqa: F811
    table(seeds=1).assign(opt="sgd").to_csv(tmp_path / "c d.csv", index=False)
    words = ["--map", "acc=test_robust_accuracy", "--config-columns", "opt", "--fractions", "--epochs-from", "0"]
    words += ["--set", "objective=trades", "--title", "Old runs"]
    code, lines, _ = command("import", str(tmp_path / "c d.csv"), "--into", str(tmp_path / "s"), *words)
    assert code == 0
    assert lines[1].startswith("columns     acc → test_robust_accuracy, trial → trial, epoch → epoch")
    study = Sweep.open(str(tmp_path / "s")).study
    assert study.title == "Old runs"
    code, _, _ = command("import", study.curves.source, "--into", str(tmp_path / "again"), *study.curves.arguments)
    assert code == 0
    for name in ("trials", "epochs"):
        first, second = (read_table(str(tmp_path / folder), name) for folder in ("s", "again"))
        assert first.drop(columns="sweep", errors="ignore").equals(second.drop(columns="sweep", errors="ignore"))
