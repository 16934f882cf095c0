"""What a driver says of itself, and what is left of one that was killed."""

import json
import os
import subprocess
import sys
import threading

import pytest

from tune_at.store.failures import StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.tuning import heartbeat
from tune_at.tuning.heartbeat import DriverRecord, Heartbeat
from tune_at.tuning.machines import Capacity, Gpu

GPU = Gpu(0, "NVIDIA H100", 0.5, 1.0, 2.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "local_gpus", lambda: [GPU])
    return SweepFolder.of(tmp_path)


def test_a_record_says_who_runs_the_sweep_and_what_its_machines_do(folder):
    written = threading.Event()
    with Heartbeat(folder, 3, every=0.01) as beat:
        beat.capacity, beat.working = Capacity(1, 2.0, 1.0, 0.0, 0.0), ("a", "b")
        while not ((record := DriverRecord.read(folder)) and record.capacity):
            written.wait(0.01)
        assert (record.pid, record.at_once, record.working) == (os.getpid(), 3, ["a", "b"])
        assert record.capacity == {"nodes": 1, "cpus": 2.0, "cpus_taken": 1.0, "gpus": 0.0, "gpus_taken": 0.0}
        assert [Gpu(**gpu) for gpu in record.gpus] == [GPU]
        assert (record.ended, record.outcome) == ("", "")
    json.loads(folder.driver.read_bytes())  # whole


@pytest.mark.parametrize(
    ("finished", "reason", "error", "expected"),
    [
        (True, "", None, ("finished", "")),
        (False, "", None, ("interrupted", "")),
        (False, "00-a failed", None, ("failed", "00-a failed")),
        (True, "", KeyboardInterrupt(), ("interrupted", "")),
        (False, "", StorageFailed("s3://b", "is gone", "look"), ("failed", "s3://b: is gone; look")),
        (False, "", ZeroDivisionError(), ("failed", "ZeroDivisionError")),
    ],
)
def test_a_record_says_how_the_sweep_ended(folder, finished, reason, error, expected):
    try:
        with Heartbeat(folder, 1) as beat:
            beat.finished, beat.reason, beat.working = finished, reason, ("a",)
            if error is not None:
                raise error
    except (KeyboardInterrupt, StorageFailed, ZeroDivisionError) as raised:
        assert raised is error
    record = DriverRecord.read(folder)
    assert (record.outcome, record.reason) == expected
    assert record.ended >= record.started
    assert record.working == []


def test_a_driver_that_was_killed_has_said_nothing_of_an_end(tmp_path):
    code = (
        "import os, sys; from tune_at.tuning.heartbeat import Heartbeat; from tune_at.store.layout import SweepFolder\n"
        "import time; folder = SweepFolder.of(sys.argv[1])\n"
        "with Heartbeat(folder, 1):\n"
        "    while not folder.driver.exists(): time.sleep(0.01)\n"
        "    os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=120).returncode == -9
    record = DriverRecord.read(SweepFolder.of(tmp_path))
    assert record.pid > 0
    assert (record.ended, record.outcome) == ("", "")


def test_storage_that_fails_holds_up_nobody_and_says_nothing(folder, caplog):
    folder.driver.mkdir()  # where the file should go
    with Heartbeat(folder, 1, every=0.01) as beat:
        pass
    assert not beat.thread.is_alive()
    assert list(folder.driver.iterdir()) == []
    assert caplog.records == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": 3}', '{"news": 1}'])
def test_a_record_of_another_form_raises_nothing(folder, text):
    folder.driver.write_text(text)
    assert DriverRecord.read(folder) is None
