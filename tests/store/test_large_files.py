"""Large files are read piece by piece and column by column, those that are wanted; damage is noticed all the same."""

import errno
import os
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tune_at.store import parts
from tune_at.store.failures import DamagedPart, StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import read_part
from tune_at.store.schema import COLUMNS_KEY, build_table, sealed
from tune_at.store.snapshot import Snapshot, read_snapshot
from tune_at.store.writer import write_table

WANTED = ("trial", "epoch", "val_robust_accuracy", "no such column")


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch):
    monkeypatch.setattr(parts, "LARGE", 0)
    monkeypatch.setattr(parts, "MANY", 1)
    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "0")


@pytest.fixture
def path(tmp_path):
    draw = random.Random(0)
    rows = [
        {
            "trial": f"t{n // 100}",
            "epoch": n % 100,
            "lr": 0.1,
            "val_robust_accuracy": draw.random(),
            "objective_loss": n,
        }
        for n in range(500)
    ]
    place = SweepFolder.of(tmp_path).part("epochs", "all")
    write_table(place, build_table("epochs", rows))
    return place


def test_the_table_is_the_same(path, monkeypatch):
    large = read_part(path)
    few = read_part(path, columns=WANTED)
    monkeypatch.undo()
    small = read_part(path)
    assert large.equals(small, check_metadata=True)
    assert few.equals(small.select(["trial", "epoch", "val_robust_accuracy"]))
    assert read_part(path, columns=WANTED).equals(few)


def test_no_flipped_bit_reads_back_as_another_column(path):
    whole, table = path.read_bytes(), read_part(path, columns=WANTED)
    draw, noticed = random.Random(1), 0
    for _ in range(600):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        try:
            assert read_part(path, columns=WANTED).equals(table)
        except DamagedPart:
            noticed += 1
    assert noticed > 100


def test_a_value_that_was_changed_is_noticed_where_it_is_asked_for(path):
    table = read_part(path)
    lr = table.schema.names.index("lr")
    forged = table.set_column(lr, table.schema.field(lr), pa.array([0.2] * 500)).replace_schema_metadata(
        table.schema.metadata
    )
    pq.write_table(forged, path, write_page_checksum=True)
    assert read_part(path, columns=WANTED).num_rows == 500
    with pytest.raises(DamagedPart, match="the checksum of a column does not match"):
        read_part(path, columns=["trial", "lr"])
    with pytest.raises(DamagedPart, match="the checksum does not match"):
        read_part(path)


def test_a_file_of_an_older_program_has_no_checksums_of_columns(path):
    table = read_part(path)
    metadata = {key: value for key, value in table.schema.metadata.items() if key != COLUMNS_KEY}
    pq.write_table(table.replace_schema_metadata(metadata), path, write_page_checksum=True)
    assert read_part(path, columns=WANTED).equals(table.select(["trial", "epoch", "val_robust_accuracy"]))


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_an_error_of_the_storage_is_no_damage(path, monkeypatch, number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tune_at.store.place.os.pread", fail)
    with pytest.raises(StorageFailed, match=os.strerror(number)):
        read_part(path)


def test_a_file_that_is_gone_or_replaced(path):
    source = path.open_source()
    path.write_whole(b"other")
    assert source.read()[:4] == b"PAR1"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read_part(path)


def test_an_empty_file_is_damaged(path):
    path.write_bytes(b"")
    with pytest.raises(DamagedPart):
        read_part(path)


def test_a_snapshot_of_some_columns(tmp_path, path):
    found = read_snapshot(SweepFolder.of(tmp_path), ("epochs",), columns={"epochs": WANTED}).arrow("epochs")
    assert found.column_names == ["trial", "epoch", "val_robust_accuracy"]
    assert found.num_rows == 500


def test_a_frame_takes_a_tables_memory_over(path, monkeypatch):
    monkeypatch.setattr("tune_at.store.snapshot.MANY", 1)
    rows = read_part(path)
    expected = rows.to_pandas()
    snapshot = Snapshot({"epochs": sealed(pa.concat_tables([rows.slice(0, 200), rows.slice(200)]).combine_chunks())})
    frame = snapshot.moved("epochs")
    assert frame.equals(expected)
    assert snapshot.frame("epochs") is frame
    assert snapshot.moved("epochs") is frame
    assert snapshot.arrow("epochs").column("epoch").to_pylist() == rows.column("epoch").to_pylist()
    assert "epochs" not in snapshot.tables
