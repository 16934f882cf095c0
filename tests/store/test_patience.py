"""Storage that fails: for a while, for good, or with an error that waiting does not cure."""

import errno
import subprocess
import sys
import threading
import time

import pyarrow.fs as fs
import pytest
from s3_server import s3  # noqa: F401

from tune_at.errors import UserError
from tune_at.store import patience
from tune_at.store.patience import StorageFailed, storage_patience
from tune_at.store.place import to_place
from tune_at.store.remote import RemotePlace


def delegate(name):
    def call(self, *arguments, **options):
        return getattr(self.inner, name)(*arguments, **options)

    return call


DELEGATED = {
    name: delegate(name)
    for name in fs.FileSystemHandler.__abstractmethods__
    if name not in ("get_type_name", "open_output_stream", "open_input_file", "get_file_info_selector")
}


class Failing(type("Delegating", (fs.FileSystemHandler,), DELEGATED)):
    """A file system of which every operation on a file raises the next of some errors, until none is left."""

    def __init__(self, folder):
        self.inner = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
        self.errors, self.calls = [], 0

    def get_type_name(self):
        return "failing"

    def get_file_info_selector(self, selector):
        return self.inner.get_file_info(selector)

    def fail(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)

    def open_output_stream(self, path, metadata):
        self.fail()
        return self.inner.open_output_stream(path, metadata=metadata)

    def open_input_file(self, path):
        self.fail()
        return self.inner.open_input_file(path)


@pytest.fixture
def failing(tmp_path):
    (tmp_path / "bucket").mkdir()
    handler = Failing(tmp_path)
    return handler, RemotePlace("s3", "bucket/x", "", fs.PyFileSystem(handler))


def s3_error(code):
    return OSError(
        f"When uploading object with key 'x' in bucket 'bucket': AWS Error {code} during PutObject operation: no"
    )


PASSING = [
    OSError(errno.ENOSPC, "full"),
    OSError(errno.EIO, "io"),
    OSError(errno.EDQUOT, "quota"),
    OSError(errno.ETIMEDOUT, "slow"),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    s3_error("SLOW_DOWN"),
    s3_error("INTERNAL_FAILURE"),
    s3_error("UNKNOWN (HTTP status 503)"),
    s3_error("UNKNOWN (HTTP status 429)"),
    s3_error("NETWORK_CONNECTION"),
]


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_what_may_pass_is_tried_again(failing, error):
    handler, place = failing
    handler.errors = [error, error]
    place.write_whole(b"data")
    assert handler.calls == 3
    handler.errors = [error]
    assert place.read_bytes() == b"data"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EACCES, "no"), "Permission denied; make it writable, then try again"),
        (OSError(errno.EROFS, "no"), "Read-only file system; make it writable"),
        (OSError(errno.ENOTDIR, "no"), "Not a directory; see that"),
        (s3_error("ACCESS_DENIED"), "ACCESS_DENIED in PutObject: no; check the credentials"),
        (s3_error("NO_SUCH_BUCKET"), "create the bucket"),
        (s3_error("UNKNOWN (HTTP status 403)"), "check the credentials"),
    ],
    ids=str,
)
def test_what_will_not_pass_is_raised_at_once(failing, error, words):
    handler, place = failing
    handler.errors = [error] * 9
    with pytest.raises(StorageFailed) as caught:
        place.write_whole(b"data")
    assert handler.calls == 1
    assert str(caught.value).startswith("s3://bucket/x: ")
    assert words in str(caught.value)
    again = StorageFailed(*caught.value.parts)
    assert str(again) == str(caught.value)


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(patience, "time", made)
    return made


def test_patience_has_an_end_which_the_environment_says(failing, monkeypatch, caplog, clock):
    handler, place = failing
    for seconds, calls in (("0", 1), ("1", 5)):
        handler.errors, handler.calls = [OSError(errno.ENOSPC, "full")] * 99, 0
        monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", seconds)
        clock.now = 0.0
        with pytest.raises(StorageFailed, match="s3://bucket/x: No space left on device; free space, then try again"):
            place.write_whole(b"data")
        assert handler.calls == calls
        assert clock.now == float(seconds)
    assert caplog.text.count("No space left on device; trying again for 1 s") == 1
    monkeypatch.delenv("TUNE_AT_STORAGE_PATIENCE")
    assert storage_patience() == 60
    for text in ("soon", "-1", "nan", "inf"):
        monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", text)
        with pytest.raises(UserError, match="is no number of seconds"):
            place.read_bytes()


def test_a_missing_file_is_no_failure_to_wait_for(failing, tmp_path, clock):
    _, place = failing
    for absent in (place, to_place(tmp_path / "absent")):
        with pytest.raises(FileNotFoundError):
            absent.read_bytes()
        assert clock.now == 0


LIMITED = """
import resource, sys
from tune_at.store.patience import StorageFailed
from tune_at.store.place import to_place
place = to_place(sys.argv[1]) / "f"
place.write_whole(b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    place.write_whole(b"x" * 200_000)
except StorageFailed as error:
    print(error)
try:
    (place.parent / "log").extend(b"x" * 200_000, 0)
except StorageFailed as error:
    print(error)
"""


def test_a_file_that_may_not_become_so_long_leaves_the_old_one(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, timeout=600)
    assert done.stdout.count("File too large") == 2, done.stderr
    assert (tmp_path / "f").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "log"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(small_disk, monkeypatch):
    place = to_place(small_disk) / "deep" / "f"
    place.write_whole(b"old")
    (small_disk / "ballast").write_bytes(b"x" * 800_000)
    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "0.3")
    for write in (place.write_whole, lambda data: (place.parent / "log").extend(data, 0)):
        with pytest.raises(StorageFailed, match="No space left on device; free space, then try again"):
            write(b"x" * 500_000)
        (place.parent / "log").unlink(missing_ok=True)
    assert [path.name for path in place.parent.iterdir()] == ["f"]
    assert place.read_bytes() == b"old"

    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "300")
    freed = threading.Timer(0.5, (small_disk / "ballast").unlink)
    freed.start()
    place.write_whole(b"x" * 500_000)
    freed.join()
    assert len(place.read_bytes()) == 500_000


def test_a_server_that_comes_back(s3, monkeypatch):  # noqa: F811
    place = to_place(s3.uri()) / "x"
    place.write_whole(b"old")
    with s3.stopped():
        monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "0.5")
        for action in (place.read_bytes, place.exists, place.parent.files, lambda: place.write_whole(b"new")):
            with pytest.raises(StorageFailed, match="connect"):
                action()
        monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "300")
        writing = threading.Thread(target=place.write_whole, args=(b"new",))
        writing.start()
        time.sleep(0.5)
        assert writing.is_alive()
    writing.join()
    assert place.read_bytes() == b"new"
