"""SIGTERM and Ctrl-C at any moment: one line, exit code 130, no native stack, nothing half-written, nobody left behind.

Where the program is, its output, its processes and a gate in its folder say; no test waits for a while and hopes.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import (
    Gate,
    descendants,
    output_of,
    planned,
    run,
    start,
    stop_all,
    until,
    wait_until_gone,
)
from two_trials import STUDY

from tune_at.tuning import interruption

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    stop_all()


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(STUDY)
    return path


def titles(driver):
    return descendants(driver.pid).values()


def assert_one_line(driver, words):
    """It has ended as it should: what came on the standard error is one line."""
    output, errors = driver.communicate(timeout=600)
    assert driver.returncode == 130, output + errors
    assert errors == f"tune-at: {words}\n"
    return output


def open_files(pid):
    """What a process has open; what it closes meanwhile is left out."""
    files = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            files.append(link.readlink())
    return files


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_a_command_reads(study, tmp_path, number):
    sweep = planned(study, tmp_path, "a")
    part = Path(str(sweep.folder.part("epochs", sweep.study.trials()[0].name)))
    part.parent.mkdir(parents=True)
    os.mkfifo(part)
    end = os.open(part, os.O_RDWR | os.O_NONBLOCK)
    driver = start("status", tmp_path / "a", stderr=subprocess.PIPE)
    until(lambda: part in open_files(driver.pid), driver)
    driver.send_signal(number)
    assert assert_one_line(driver, "interrupted") == ""
    os.close(end)


HANDLER = """\
import ctypes, os, signal, threading
from tune_at.tuning import interruption
libc = ctypes.CDLL(None)
with interruption.interruptible(program=True):
    try:
        # As Ray's native code does: a handler that Python knows nothing of, and that ends the process.
        libc.signal(signal.SIGTERM, ctypes.cast(libc.abort, ctypes.c_void_p))
        print("here", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_a_native_handler_that_is_set_later_is_never_called():
    driver = subprocess.Popen([sys.executable, "-c", HANDLER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout.readline() == "here\n"
    driver.terminate()
    assert driver.communicate(timeout=600)[0] == "interrupted\n"
    assert driver.returncode == 0


ENDED_FIRST = """
import os, signal, threading
import pytest
from tune_at.tuning import interruption

done = []
with interruption.interruptible(program=False):
    with pytest.raises(KeyboardInterrupt), interruption.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("all of it")
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(600)
assert done == ["all of it"]
assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


def test_what_must_not_be_interrupted_is_ended_first():
    # In a process of its own: threads that Ray has left in this one are older than the block, and may take the signal.
    subprocess.run([sys.executable, "-c", ENDED_FIRST], check=True, timeout=1200)


def test_children_are_ended_by_sigterm_as_ever():
    with interruption.interruptible(program=False):
        # With a function to call between fork and exec, as Ray starts its processes.
        child = subprocess.Popen(["sleep", "600"], preexec_fn=lambda: None)
        child.terminate()
        assert child.wait(600) == -signal.SIGTERM


def sent_while_ray_starts(number, part, *command):
    """A command that got a signal once one of Ray's processes was there, and the processes that it had by then.

    What it has announced says whether that came too late, while it was already running trials; then it is tried again.
    """
    for _ in range(10):
        driver = start(*command, stderr=subprocess.PIPE)
        # Ray's native part in the driver itself comes after its processes.
        until(lambda driver=driver: any(part in title for title in titles(driver)), driver, pause=0.001)
        started = list(descendants(driver.pid))
        driver.send_signal(number)
        output, errors = driver.communicate(timeout=600)
        assert driver.returncode == 130, output + errors
        if "at a time" not in output:
            return output, errors, started
        where = re.search(r"continue with: python run.py resume (\S+)", output + errors)
        shutil.rmtree(where[1])
    raise AssertionError("ten times the signal came when Ray had long been started")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("part", ["gcs_server", "raylet/raylet"])
def test_while_ray_starts(study, tmp_path, part, number):
    storage = tmp_path / "storage"
    command = ("sweep", study, "--storage", storage, "--name", "a")
    output, errors, started = sent_while_ray_starts(number, part, *command)
    assert errors == "tune-at: interrupted; nothing was written\n"
    assert output.startswith("starting Ray, and trying one batch")
    wait_until_gone(started)
    assert not (storage / "a").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_trials_run_and_their_processes_do_not_answer(study, tmp_path, number):
    """The whole sweep, stopped at two gates: the driver gives its workers up and says how to go on."""
    sweep = planned(study, tmp_path, "a")
    gates = [Gate(sweep.folder, trial.name) for trial in sweep.study.trials()]
    driver = start("resume", tmp_path / "a", stderr=subprocess.PIPE)
    until(lambda: any(gate.held() for gate in gates), driver)
    started = list(descendants(driver.pid))
    driver.send_signal(number)
    output, errors = driver.communicate(timeout=600)
    assert driver.returncode == 130
    assert f"continue with: python run.py resume {tmp_path / 'a'}\n" in output + errors
    assert "Traceback" not in output + errors
    assert errors.count("\n") <= 1
    wait_until_gone(started)
    for gate in gates:
        gate.open()
    again = start("resume", tmp_path / "a")
    output = output_of(again)
    assert again.returncode == 0, output


@pytest.mark.slow
def test_a_search_that_was_to_be_extended_is_still_extended_by_the_command_that_is_printed(tmp_path):
    path = tmp_path / "s.yaml"
    text = STUDY.replace("axes: {objective: [pgd_at, standard]}", "")
    path.write_text(text + "search: {algorithm: random, trials: 1, space: {optim.lr: {loguniform: [0.01, 0.1]}}}\n")
    done = run("sweep", path, "--storage", tmp_path, "--name", "a")
    assert done.returncode == 0, done.stdout + done.stderr
    command = ("resume", tmp_path / "a", "--trials", 2, "--concurrency", 1)
    driver = start(*command, stderr=subprocess.PIPE)
    until(lambda: any("gcs_server" in title for title in titles(driver)), driver, pause=0.001)
    driver.terminate()
    output, errors = driver.communicate(timeout=600)
    if "at a time" in output:
        pytest.skip("the machine was so busy that the extension was recorded before the signal came")
    assert driver.returncode == 130
    printed = f"python run.py resume {tmp_path / 'a'} --trials 2 --concurrency 1"
    assert errors == f"tune-at: interrupted; continue with: {printed}\n"
