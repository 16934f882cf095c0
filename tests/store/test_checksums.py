"""The checksum is of the values: the same however they lie in memory, another if any of them differs."""

import pyarrow as pa
import pytest

from tune_at.store.checksums import checksum, column_checksums


def table(**columns):
    types = {"text": pa.string(), "number": pa.float64(), "whole": pa.int32(), "flag": pa.bool_(), "none": pa.null()}
    values = {
        "text": ["a", None, "", "é", "b" * 300], "number": [1.5, None, 0.0, -2.0, 1e300], "whole": [1, 2, None, 0, -5],
        "flag": [True, False, None, True, False], "none": [None] * 5, **columns,
    }  # fmt: skip
    return pa.table({name: pa.array(values[name], kind) for name, kind in types.items()})


@pytest.mark.parametrize("version", [1, 2])
def test_it_is_the_same_however_the_values_lie(version):
    whole = table()
    expected = checksum(whole, version)
    cut = pa.concat_tables([whole.slice(0, 2), whole.slice(2, 0), whole.slice(2)])
    assert cut.column(0).num_chunks > 1
    padded = pa.concat_tables([whole, whole]).combine_chunks().slice(5)
    taken = whole.take(pa.array([0, 1, 2, 3, 4]))
    nulls = whole.set_column(0, whole.schema.field(0), pa.array(whole["text"].to_pylist(), pa.string()))
    for same in (cut, padded, taken, nulls):
        assert same.equals(whole)
        assert checksum(same, version) == expected


def test_a_null_has_no_bytes_that_count():
    buffers = [pa.py_buffer(b"\x05"), pa.py_buffer(b"\0\0\0\0\1\0\0\0\4\0\0\0\5\0\0\0"), pa.py_buffer(b"abcde")]
    dirty = pa.table({"text": pa.Array.from_buffers(pa.string(), 3, buffers)})
    clean = pa.table({"text": pa.array(["a", None, "e"])})
    assert dirty.equals(clean)
    assert checksum(dirty, 2) == checksum(clean, 2)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "changed",
    [
        {"text": ["a", None, "", "é", "b" * 299 + "c"]},
        {"text": ["a", "", "", "é", "b" * 300]},
        {"text": ["a", None, "é", "", "b" * 300]},
        {"number": [1.5, 0.0, 0.0, -2.0, 1e300]},
        {"whole": [1, 2, 0, 0, -5]},
        {"flag": [True, False, False, True, False]},
        {"flag": [False, True, None, True, False]},
    ],
)
def test_another_value_gives_another(version, changed):
    assert checksum(table(**changed), version) != checksum(table(), version)


def test_so_does_another_name_or_order_of_columns():
    names = table().column_names
    assert checksum(table().rename_columns(["x", *names[1:]]), 2) != checksum(table(), 2)
    assert checksum(table().select(names[::-1]), 2) != checksum(table(), 2)


def test_each_columns_own_tells_which_has_changed():
    before = column_checksums(table(), 2)
    assert list(before) == table().column_names
    for changed in ({"text": ["a", None, "", "é", "c"]}, {"whole": [1, 2, 0, 0, -5]}, {"flag": [None] * 5}):
        after = column_checksums(table(**changed), 2)
        assert [name for name in before if before[name] != after[name]] == list(changed)
    cut = pa.concat_tables([table().slice(0, 2), table().slice(2)])
    assert column_checksums(cut, 2) == before
    renamed = column_checksums(table().rename_columns(["x", *table().column_names[1:]]), 2)
    assert renamed["x"] != before["text"]
    wider = table().set_column(2, pa.field("whole", pa.int64()), table()["whole"].cast(pa.int64()))
    assert column_checksums(wider, 2)["whole"] != before["whole"]
