"""One contract for every kind of place, and what an address may not have in it."""

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from s3_server import SECRET, s3, without_aws  # noqa: F401

from tune_at.errors import UserError
from tune_at.store import lease, query, read_table
from tune_at.store.files import create_folder, remove_temporaries, require_writable
from tune_at.store.lock import Locked, is_locked, sweep_lock
from tune_at.store.place import LocalPlace, to_place
from tune_at.store.remote import RemotePlace
from tune_at.store.writer import part_path, write_rows
from tune_at.training.checkpoint import checkpoint_path, checkpoints, load_state, prune, save_state


@pytest.fixture(params=["local", "file", "s3"])
def address(request, tmp_path):
    """The address of a folder that does not exist yet, as a user writes it."""
    if request.param == "s3":
        return request.getfixturevalue("s3").uri()
    return str(tmp_path / "new") if request.param == "local" else f"file://{tmp_path}/new"


def test_names_and_strings(address):
    place = to_place(address)
    inner = place / "a=0.1-s0" / "epoch-000001.tar.pt"
    assert (inner.name, inner.stem, inner.suffix) == ("epoch-000001.tar.pt", "epoch-000001.tar", ".pt")
    assert inner.parent.parent == place
    assert inner.with_suffix(".csv").name == "epoch-000001.tar.csv"
    for copy in (to_place(str(inner)), pickle.loads(pickle.dumps(inner)), place / "a=0.1-s0/epoch-000001.tar.pt"):
        assert copy == inner
        assert hash(copy) == hash(inner)
    assert not place.exists()


def test_files(address):
    place = to_place(address)
    file = place / "sub" / "x.bin"
    with pytest.raises(FileNotFoundError):
        file.read_bytes()
    with pytest.raises(FileNotFoundError):
        file.unlink()
    file.unlink(missing_ok=True)
    assert place.files() == []
    big = os.urandom(12_000_000)  # several parts of an upload
    for data in (b"", b"old", memoryview(b"new"), big):
        file.write_whole(data)
        assert file.read_bytes() == data
    (place / "sub" / "y.txt").write_whole("é".encode())
    assert (place / "sub" / "y.txt").read_text(encoding="utf-8") == "é"
    (place / "sub" / "deep" / "x.bin").write_whole(b"1")
    assert (place / "sub").files("x", ".bin") == [file]
    assert [path.name for path in (place / "sub").files() if path.is_file()] == ["x.bin", "y.txt"]
    assert file.exists()
    assert (place / "sub").exists()
    assert not (place / "sub").is_file()
    file.unlink()
    assert not file.exists()
    (place / "sub").remove_tree()
    (place / "sub").remove_tree()
    assert not (place / "sub" / "deep" / "x.bin").exists()


def test_a_file_that_grows(address):
    file = to_place(address) / "log"
    file.extend(b"one", 0)
    file.extend(b"one two", 3)
    assert file.read_bytes() == b"one two"
    file.extend(b"one two three", 3)  # a part of it had been written by a try that failed
    assert file.read_bytes() == b"one two three"
    file.unlink()
    file.extend(b"one two three four", 13)
    assert file.read_bytes() == b"one two three four"


def test_folders_are_made_once(address):
    require_writable(address, "--storage")
    place = to_place(address)
    assert [path.name for path in place.parent.files() if path.name.startswith(".tune-at")] == []
    create_folder(address, {"study.yaml": b"first"})
    with pytest.raises(FileExistsError):
        create_folder(address, {"study.yaml": b"second"})
    assert (place / "study.yaml").read_bytes() == b"first"
    remove_temporaries(address)
    assert [path.name for path in place.files()] == ["study.yaml"]


def test_tables_and_checkpoints(address):
    place = to_place(address)
    (place / "study.yaml").write_whole(b"x")
    for trial in ("b", "a"):
        write_rows(address, "epochs", trial, [{"trial": trial, "epoch": n, "lr": 0.1} for n in (1, 2)])
    assert read_table(address, "epochs")["trial"].tolist() == ["a", "a", "b", "b"]
    assert query(place, "SELECT sum(epoch) AS n FROM epochs").to_pylist() == [{"n": 6}]
    path = part_path(place, "epochs", "a")
    path.write_whole(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="is damaged"):
        read_table(address, "epochs")
    folder = place / "checkpoints" / "a"
    for epoch in (1, 2, 3, 9):
        save_state(checkpoint_path(folder, epoch), {"w": torch.full((5,), epoch)})
    prune(folder, 3)
    assert [path.name for path in checkpoints(folder)] == [f"epoch-{n:06d}.pt" for n in (9, 3, 2)]
    assert load_state(checkpoints(folder)[0])["w"].tolist() == [9] * 5


HOLDER = (
    "import sys; from tune_at.store.lock import sweep_lock\n"
    "with sweep_lock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
)


def test_one_driver_a_sweep(address, monkeypatch, caplog):
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.05)
    place = to_place(address)
    (place / "study.yaml").write_whole(b"x")
    assert not is_locked(address)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, address], stdin=-1, stdout=-1, text=True)
    assert holder.stdout.readline() == "held\n"
    assert is_locked(address)
    with pytest.raises(Locked, match=f"is being run by process {holder.pid}"), sweep_lock(address):
        pass
    holder.kill()
    holder.communicate()
    assert not is_locked(address)
    with sweep_lock(address):
        assert isinstance(place, LocalPlace) or f"taken over from process {holder.pid}" in caplog.text
    with sweep_lock(address):
        pass
    if isinstance(place, RemotePlace):
        assert [path.name for path in place.files()] == ["study.yaml"]


def another_machine(holder):
    return lease.Holder("elsewhere", "another boot", 1, "other", holder.time)


def put_lease(place, holder):
    import json
    from dataclasses import asdict

    (place / ".lock").write_whole(json.dumps(asdict(holder)).encode())


def test_a_lease_of_another_machine_is_respected_until_it_is_stale(s3, monkeypatch, caplog):  # noqa: F811
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.05)
    place = to_place(s3.uri())
    put_lease(place, another_machine(lease.Holder.here()))
    with pytest.raises(Locked, match="process 1 on elsewhere"), sweep_lock(place):
        pass
    assert is_locked(place)
    time.sleep(2.1)  # the server's clock has whole seconds
    monkeypatch.setattr(lease, "STALE_SECONDS", 1.0)
    assert not is_locked(place)
    with sweep_lock(place):
        monkeypatch.setattr(lease, "STALE_SECONDS", 60.0)  # the server's whole seconds would make ours stale, too
        assert "has not renewed its lease" in caplog.text
        with pytest.raises(Locked), sweep_lock(place):
            pass
    assert place.files() == []


def test_of_two_who_take_a_lease_at_once_one_gets_it_and_a_lost_one_is_left_alone(s3, monkeypatch):  # noqa: F811
    place = to_place(s3.uri())
    other = another_machine(lease.Holder.here())
    # The other one writes while this one waits for things to settle.
    monkeypatch.setattr(lease.time, "sleep", lambda seconds: put_lease(place, other))
    with pytest.raises(Locked, match="elsewhere"), sweep_lock(place):
        pass
    assert lease.read_holder(place / ".lock") == other


def test_a_lease_is_renewed_and_a_lost_one_interrupts(s3, monkeypatch):  # noqa: F811
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.2)
    place = to_place(s3.uri())
    with pytest.raises(KeyboardInterrupt), sweep_lock(place):
        (place / ".lock").unlink()
        deadline = time.monotonic() + 600
        while not (place / ".lock").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (place / ".lock").exists()
        put_lease(place, another_machine(lease.Holder.here()))
        while time.monotonic() < deadline:
            time.sleep(0.05)  # until it is interrupted
    assert lease.read_holder(place / ".lock").host == "elsewhere"


def test_an_address_with_a_query_is_joined_before_it():
    place = to_place("s3://b/p?region=x&scheme=http") / "demo"
    assert str(place) == "s3://b/p/demo?region=x&scheme=http"
    assert str(to_place("s3://b//p/?region=x") / "demo") == "s3://b/p/demo?region=x"
    assert str(to_place("s3a://b/a%20b") / "c") == "s3://b/a%20b/c"
    assert to_place("s3://b/a%20b").path == "b/a b"
    assert str(to_place("file:///a/b%20c") / "d") == "/a/b c/d"
    assert isinstance(to_place(Path("a/s3/b:c")), LocalPlace)


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("s3://user:hunter2@b/p", "has a user or password"),
        ("s3://b/p?access_key=hunter2", "is no place for a secret"),
        ("s3://b/p?secret_key=hunter2", "is no place for a secret"),
        ("s3://b/p?endpoint_override=http://u:hunter2@h", "has a user or password"),
        ("s3://b/p?endpoint_override=http%3A%2F%2Fu%3Ahunter2%40h", "has a user or password"),
        ("gs://b/p?access_token=hunter2", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("s3://b/p?regio=hunter2", "did you mean region?"),
        ("ftp://b/p", "unknown kind of storage"),
        ("hdfs://user:hunter2@b/p", "unknown kind of storage"),
        ("s3:/b/p", "is no whole address"),
        ("s3://", "names no bucket"),
        ("s3://b/../c", "names no bucket and folder"),
        ("file://host/p", "is no local folder"),
        (Path("s3://b/p"), "as a string"),
    ],
)
def test_refused_addresses(address, part):
    with pytest.raises(UserError) as caught:
        to_place(address)
    assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickled_place_has_no_secret(s3):  # noqa: F811
    place = to_place(s3.uri())
    place.exists()  # opens the connection
    assert SECRET.encode() not in pickle.dumps(place)


def cli(*arguments, **environment):
    """(exit code, stderr, seconds) of a command without credentials but those in `environment`."""
    began = time.monotonic()
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, str(root / "run.py"), *arguments],
        capture_output=True, text=True, timeout=600, env={**without_aws(os.environ), **environment},
    )  # fmt: skip
    return done, time.monotonic() - began


def assert_refused(result, *parts):
    done, seconds = result
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("tune-at: error: ")
    assert done.stderr.count("\n") == 1
    for part in parts:
        assert part in done.stderr
    # Where nobody answers, the AWS library alone takes 14 s; a start takes what it takes on a busy machine.
    assert seconds < 12 + cli("status", "/nowhere")[1]


def test_storage_that_cannot_be_used_is_refused_in_seconds(s3):  # noqa: F811
    keys = {key: os.environ[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    sweep = ("sweep", "random_labels", "--preset", "laptop", "--name", "a", "--storage")
    uri = s3.uri()
    assert_refused(cli(*sweep, uri), "no AWS credentials", "AWS_SECRET_ACCESS_KEY")
    assert_refused(cli(*sweep, s3.uri("no-bucket/p"), **keys), "s3://no-bucket: there is no such bucket")
    closed = "s3://b/p?endpoint_override=http://127.0.0.1:1&region=x"
    assert_refused(cli(*sweep, closed, **keys), "connect", "see that it is there")
    assert_refused(cli("status", closed, **keys), "connect")
    assert s3.objects(uri) == {}


def test_nobody_waits_for_a_metadata_service_that_does_not_answer():
    import socket

    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(20)  # accepts, and never says a word
        there = {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{hole.getsockname()[1]}",
            "AWS_EC2_METADATA_DISABLED": "false",
        }
        assert_refused(cli("status", "s3://b/p?region=x", **there), "no AWS credentials")


def test_credentials_are_found_where_aws_looks(monkeypatch, tmp_path):
    from tune_at.store.credentials import require_s3_credentials

    for key in [key for key in os.environ if key.startswith("AWS_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match="no AWS credentials"):
        require_s3_credentials()
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").touch()
    require_s3_credentials()
