import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tune_at.errors import UserError
from tune_at.store import query, read_arrow, read_table
from tune_at.store.files import create_folder, remove_temporaries, require_writable, write_whole
from tune_at.store.fold import folded_file
from tune_at.store.layout import SweepFolder
from tune_at.store.lock import Locked, is_locked, sweep_lock
from tune_at.store.patience import StorageFailed
from tune_at.store.reader import read_part, sweep_folder
from tune_at.store.schema import EPOCHS, TRIALS, VERSION, VERSION_KEY
from tune_at.store.snapshot import read_snapshot
from tune_at.store.writer import part_path, write_rows


def epoch(trial, number, **columns):
    return {"trial": trial, "epoch": number, "lr": 0.1, "test_robust_accuracy": number / 10, **columns}


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "study.yaml").write_text("x")
    write_rows(tmp_path, "epochs", "b", [epoch("b", 1, objective_kl=0.5), epoch("b", 2, objective_kl=0.25)])
    write_rows(tmp_path, "epochs", "a", [epoch("a", 2), epoch("a", 1)])
    return tmp_path


def test_rows_come_back_typed_and_sorted(sweep):
    table = read_arrow(sweep, "epochs")
    assert [tuple(row) for row in zip(table["trial"].to_pylist(), table["epoch"].to_pylist(), strict=True)] == [
        ("a", 1), ("a", 2), ("b", 1), ("b", 2),
    ]  # fmt: skip
    for field in EPOCHS:
        assert table.schema.field(field.name).type == field.type
    assert table["objective_kl"].to_pylist() == [None, None, 0.5, 0.25]
    assert read_table(sweep, "epochs")["test_robust_accuracy"].tolist() == [0.1, 0.2, 0.1, 0.2]


def test_writing_again_replaces(sweep):
    write_rows(sweep, "epochs", "a", [epoch("a", 1), epoch("a", 2), epoch("a", 3)])
    assert read_table(sweep, "epochs").groupby("trial").size().to_dict() == {"a": 3, "b": 2}


def test_an_absent_table_is_empty_with_its_schema(sweep):
    assert read_arrow(sweep, "trials").num_rows == 0
    assert read_arrow(sweep, "trials").schema.names == TRIALS.names


def test_query(sweep):
    result = query(sweep, "SELECT trial, max(epoch) AS last FROM epochs GROUP BY trial ORDER BY trial")
    assert result.to_pylist() == [{"trial": "a", "last": 2}, {"trial": "b", "last": 2}]
    for statement in (
        "SELECT nothing FROM epochs",
        "SELEC 1",
        "SELECT * FROM epoch",
        "SELECT 1; SELECT 2",
        "DROP VIEW epochs",
        f"COPY epochs TO '{sweep}/out.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM epochs a JOIN epochs b ON a.trial = b.trial",
    ):
        with pytest.raises(UserError) as caught:
            query(sweep, statement)
        assert "\n" not in str(caught.value)
    assert not (sweep / "out.csv").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_a_damaged_file_is_named(sweep, damage):
    path = part_path(sweep, "epochs", "a")
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 8] ^= 0xFF
    path.write_bytes(data if damage == "flip" else data[:-20])
    with pytest.raises(UserError, match=r"a\.parquet: is damaged"):
        read_arrow(sweep, "epochs")


def test_no_flipped_bit_reads_back_as_another_table(sweep):
    path = part_path(sweep, "epochs", "b")
    whole, table = path.read_bytes(), read_part(path)
    random = __import__("random").Random(0)
    noticed = 0
    for _ in range(600):
        data = bytearray(whole)
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        path.write_bytes(data)
        try:
            assert read_part(path).equals(table)
        except UserError:
            noticed += 1
    assert noticed > 200


def test_a_newer_schema_is_refused(sweep):
    path = part_path(sweep, "epochs", "a")
    table = pq.read_table(path).replace_schema_metadata({VERSION_KEY: str(VERSION + 1)})
    pq.write_table(table, path)
    with pytest.raises(UserError, match="upgrade tune-at"):
        read_arrow(sweep, "epochs")


def test_swept_columns_are_typed_by_their_values(sweep):
    row = {
        "sweep": "s", "study": "s", "stage": "main", "seed": 0, "status": "completed", "epochs": 1,
        "selection": "validation", "config": "{}", "config_hash": "0",
    }  # fmt: skip
    swept = {"data.noise_rate": 0, "objective": "trades", "data.flip": True, "objective.form": None, "beta": None}
    write_rows(sweep, "trials", "a", [{**row, "trial": "a", **swept}])
    swept = {"data.noise_rate": 0.5, "objective": "sat", "data.flip": None, "objective.form": "trades", "beta": 6}
    write_rows(sweep, "trials", "b", [{**row, "trial": "b", **swept}])
    table = read_arrow(sweep, "trials")
    assert table.schema.field("data.noise_rate").type == pa.float64()
    assert table["objective.form"].to_pylist() == [None, "trades"]
    assert table["data.flip"].to_pylist() == [True, None]
    assert table["beta"].to_pylist() == [None, 6.0]
    assert query(sweep, 'SELECT trial FROM trials WHERE "data.noise_rate" > 0').to_pylist() == [{"trial": "b"}]


def test_no_sweep_no_table(tmp_path, sweep):
    with pytest.raises(UserError, match="is no sweep"):
        read_table(tmp_path / "nowhere", "epochs")
    with pytest.raises(UserError, match="did you mean epochs"):
        read_table(sweep, "epoch")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_whole(tmp_path / "f", b"old")
    monkeypatch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "0")
    with pytest.raises(StorageFailed, match="No space"):
        write_whole(tmp_path / "f", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("f", b"old")]


def test_a_writer_whose_temporary_file_is_taken_for_a_dead_ones_writes_again(tmp_path, monkeypatch):
    path, flush, times = tmp_path / "a" / "x", os.fsync, []

    def tidied(file):  # a driver that starts at this moment
        flush(file)
        times.append(file)
        if len(times) == 1:
            remove_temporaries(tmp_path)

    monkeypatch.setattr(os, "fsync", tidied)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert len(times) == 2
    times.clear()

    def removed(file):  # the whole folder goes
        shutil.rmtree(path.parent, ignore_errors=True)

    monkeypatch.setattr(os, "fsync", removed)
    with pytest.raises(StorageFailed, match="No such file"):
        write_whole(path, b"newer")
    assert not path.parent.exists()


def test_temporaries_of_killed_writers_are_removed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".x.parquet.12-ab.tmp").touch()
    (tmp_path / "a" / "x.parquet").touch()
    remove_temporaries(tmp_path)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.parquet"]


def test_require_writable(tmp_path):
    require_writable(tmp_path / "new" / "deep", "--storage")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a folder"):
        require_writable(tmp_path / "file" / "x", "--storage")
    with pytest.raises(UserError, match="cannot write in /proc"):
        require_writable(tmp_path.__class__("/proc/tune-at"), "--storage")


def test_reading_needs_neither_torch_nor_ray():
    code = (
        "import sys, json, tune_at, tune_at.store, tune_at.study.study, tune_at.cli.main, analysis.report;"
        "print(json.dumps([m for m in ('torch', 'ray') if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


def test_damaged_parts_are_found(sweep):
    assert read_snapshot(sweep_folder(sweep)).damage == []
    path = part_path(sweep, "epochs", "a")
    path.write_bytes(path.read_bytes()[:-5])
    assert [damage.trial for damage in read_snapshot(sweep_folder(sweep)).damage] == ["a"]


def test_one_driver_a_sweep(sweep):
    code = (
        "import sys, pathlib; from tune_at.store.lock import sweep_lock\n"
        "with sweep_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, sweep], stdin=-1, stdout=-1, text=True)
    assert holder.stdout.readline() == "held\n"
    assert is_locked(sweep)
    with pytest.raises(Locked, match=f"is being run by process {holder.pid}"), sweep_lock(sweep):
        pass
    holder.kill()
    holder.communicate()
    assert not is_locked(sweep)


def test_a_folder_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    create_folder(tmp_path / "a", {"f": b"1"})
    with pytest.raises(FileExistsError):
        create_folder(tmp_path / "a", {"f": b"2"})
    monkeypatch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "0")
    with pytest.raises(StorageFailed, match="/b: No space"):
        create_folder(tmp_path / "b", {"f": b"1"})
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "f").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SELECT epoc FROM epochs", 'Candidate bindings: "epoch"'),
        ("SELECT medan(epoch) FROM epochs", 'Did you mean "median"?'),
        ("SELECT epoch FROM epoch", 'Did you mean "epochs"?'),
    ],
)
def test_a_mistake_in_a_query_comes_with_duckdbs_own_hint(sweep, sql, hint):
    with pytest.raises(UserError) as error:
        query(sweep, sql)
    assert hint in error.value.remedy
    assert "the tables are trials, epochs" in error.value.remedy
    assert "LINE 1" not in str(error.value)


def test_rows_written_at_once_are_those_written_trial_by_trial(tmp_path):
    rows = [
        {
            "trial": trial, "epoch": epoch, "lr": 0.1, "val_robust_accuracy": None if epoch == 2 else epoch / 10,
            "objective_kl": 0.5, "words": trial * 2,
        }
        for trial in ("b", "a", "c")
        for epoch in (3, 1, 2)
    ]  # fmt: skip
    for trial in ("a", "b", "c"):
        write_rows(tmp_path / "one", "epochs", trial, [row for row in rows if row["trial"] == trial])
    path, content = folded_file("epochs", pd.DataFrame(rows))
    (tmp_path / "all" / path).parent.mkdir(parents=True)
    (tmp_path / "all" / path).write_bytes(content)
    one, together = (
        read_snapshot(SweepFolder.of(tmp_path / name), ("epochs",), strict=True) for name in ("one", "all")
    )
    assert together.arrow("epochs").equals(one.arrow("epochs"))
    write_rows(tmp_path / "all", "epochs", "b", [{**rows[0], "lr": 0.2}])  # a part counts more than a fold
    again = read_snapshot(SweepFolder.of(tmp_path / "all"), ("epochs",), strict=True).frame("epochs")
    assert again["trial"].tolist() == ["a"] * 3 + ["b"] + ["c"] * 3
