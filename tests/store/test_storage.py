"""All sweeps of a storage at once."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from s3_server import s3  # noqa: F401

from tune_at.errors import UserError
from tune_at.store.place import to_place
from tune_at.store.reader import query, read_table
from tune_at.store.schema import TABLES
from tune_at.store.storage import read_storage, sweeps_in
from tune_at.store.writer import write_rows

STORES = Path(__file__).parent.parent / "stores" / "v1"
NAMES = ["asha-finished", "grid-finished"]


@pytest.fixture
def storage(tmp_path):
    for name in NAMES:
        shutil.copytree(STORES / name, tmp_path / name, ignore=shutil.ignore_patterns("checkpoints"))
    (tmp_path / "no-sweep").mkdir()
    (tmp_path / "a-file").write_text("x")
    return tmp_path


def test_the_sweeps_are_the_folders_that_have_a_study(storage):
    assert list(sweeps_in(storage)) == NAMES
    assert sweeps_in(storage / NAMES[0]) == {}
    assert sweeps_in(storage / "no-sweep") == sweeps_in(storage / "nowhere") == {}


def test_a_query_reads_all_of_them(storage):
    apart = {name: read_table(storage / name, "epochs") for name in NAMES}
    counts = query(storage, "SELECT sweep, count(*) AS n, max(val_robust_accuracy) AS best FROM epochs GROUP BY ALL")
    assert {row["sweep"]: (row["n"], row["best"]) for row in counts.to_pylist()} == {
        name: (len(rows), rows["val_robust_accuracy"].max()) for name, rows in apart.items()
    }
    joined = query(storage, "SELECT trials.* FROM epochs JOIN trials USING (sweep, trial)")
    assert joined.num_rows == sum(map(len, apart.values()))


def test_a_folder_under_another_name_is_that_sweep(storage):
    (storage / NAMES[0]).rename(storage / "renamed")
    rows = query(storage, "SELECT DISTINCT sweep FROM trials ORDER BY 1").column(0).to_pylist()
    assert rows == [NAMES[1], "renamed"]


def test_columns_of_different_types_stand_in_one(tmp_path):
    for name, value in (("a", 64), ("b", "all"), ("c", None), ("d", 0.5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.yaml").write_text("")
        row = {field.name: "" for field in TABLES["trials"].schema if pa.types.is_string(field.type)}
        write_rows(tmp_path / name, "trials", "t", [{**row, "trial": "t", "seed": 0, "epochs": 0, "key": value}])
    mixed = query(tmp_path, "SELECT sweep, key FROM trials ORDER BY 1").to_pylist()
    assert [row["key"] for row in mixed] == ["64", "all", None, "0.5"]
    shutil.rmtree(tmp_path / "b")
    numbers = read_storage(sweeps_in(tmp_path), ["trials"])["trials"]
    assert numbers.schema.field("key").type == pa.float64()
    assert numbers["key"].to_pylist() == [64, None, 0.5]


def test_a_damaged_file_is_named(storage):
    damaged = next((storage / NAMES[1] / "store" / "epochs").glob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(UserError, match=damaged.name):
        query(storage, "SELECT count(*) FROM epochs")


def test_on_s3_it_is_the_same(storage, s3):  # noqa: F811
    uri = s3.uri()
    far = to_place(uri)
    for path in storage.rglob("*"):
        if path.is_file() and "no-sweep" not in str(path):
            place = far
            for part in path.relative_to(storage).parts:
                place = place / part
            place.write_whole(path.read_bytes())
    assert list(sweeps_in(uri)) == NAMES
    sql = "SELECT sweep, trial, epoch, train_robust_accuracy FROM epochs ORDER BY ALL"
    assert query(uri, sql).equals(query(storage, sql))
