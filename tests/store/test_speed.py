"""What trying a storage tells, and that it leaves nothing behind."""

import errno

import pytest
from s3_server import s3  # noqa: F401

from tune_at.errors import UserError
from tune_at.store import speed
from tune_at.store.place import LocalPlace, to_place
from tune_at.store.speed import try_storage


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(speed, "LARGE", 2**16)


def test_a_folder_that_is_there_and_one_that_is_not(tmp_path):
    (tmp_path / "kept").write_text("x")
    for folder in (tmp_path, tmp_path / "a" / "b"):
        found = try_storage(to_place(folder))
        assert found.small > 0 and found.write > 0 and found.read > 0
        assert found.free > 0
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert try_storage(to_place("runs")).free > 0
    assert list(tmp_path.iterdir()) == []


def test_an_object_store(s3):  # noqa: F811
    address = s3.uri()
    found = try_storage(to_place(address))
    assert found.free is None
    assert found.write > 0
    assert s3.objects(address) == {}
    with pytest.raises(UserError, match="there is no such bucket"):
        try_storage(to_place(s3.uri("no-such-bucket/runs")))


def test_a_full_disk_is_told_at_once_and_nothing_is_left(tmp_path, monkeypatch):
    written, whole = [], LocalPlace._write_once

    def fill(self, data):
        if len(data) == speed.LARGE:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(self)
        whole(self, data)

    monkeypatch.setattr(LocalPlace, "_write_once", fill)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waited"))
    with pytest.raises(UserError, match="No space left on device; free space"):
        try_storage(to_place(tmp_path))
    assert len(written) == speed.TRIES
    assert list(tmp_path.iterdir()) == []


def test_a_storage_that_gives_back_something_else(tmp_path, monkeypatch):
    monkeypatch.setattr(LocalPlace, "read_bytes", lambda self, changes=True: b"other")
    with pytest.raises(UserError, match="other bytes than were written"):
        try_storage(to_place(tmp_path))
    assert list(tmp_path.iterdir()) == []
