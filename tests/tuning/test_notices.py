"""`--notify`: what the command is given, that it holds up nobody, and that nothing is told twice."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from processes import PATIENCE_WITH_PROCESSES, ROOT, is_gone, until
from two_trials import STUDY

from tests.support.simulation import Simulation, make_study
from tune_at.cli.main import main
from tune_at.errors import UserError
from tune_at.store.layout import SweepFolder
from tune_at.tuning.launch import Launch, resume_command
from tune_at.tuning.notices import Notices


@pytest.fixture
def notices(tmp_path):
    """A function (command, limit) → Notices of a folder, which are closed at the test's end."""
    made = []

    def make(command, limit=30.0, describe=lambda: {"format": 1, "state": "running"}):
        made.append(Notices(command, SweepFolder.of(tmp_path / "s"), describe, limit))
        return made[-1]

    (tmp_path / "s").mkdir()
    yield make
    for each in made:
        each.killed.set()
        each.close()


def told(path):
    """What commands that append their input to a file were given."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_command_gets_the_event_in_its_environment_and_on_its_input(notices, tmp_path):
    out = tmp_path / "it's out"
    one = notices(f'cat >> "{out}"; echo "$TUNE_AT_EVENT|$TUNE_AT_TEXT|$TUNE_AT_SWEEP" >> "{out}.environment"')
    one.tell("fail", "stopped before its end: disk", new=None)
    one.close()
    assert told(out) == [
        {"format": 1, "state": "running", "event": "fail", "text": "s: stopped before its end: disk", "new": None}
    ]
    assert (tmp_path / "it's out.environment").read_text() == f"fail|s: stopped before its end: disk|{tmp_path / 's'}\n"
    assert one.complaint() == ""


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("echo no >&2; echo 'mail: no such host' >&2; exit 3", "ended with exit code 3: mail: no such host"),
        ("exit 1", "ended with exit code 1;"),
        ("nonesuch-command", "ended with exit code 127: sh:"),
        ("kill -9 $$", "ended with exit code -9"),
    ],
)
def test_a_command_that_fails_is_said_once(notices, command, problem):
    one = notices(command)
    one.tell("best", "a")
    one.tell("end", "b")
    one.close()
    complaint = one.complaint()
    assert complaint.startswith(f"--notify: the command {problem}")
    assert complaint.endswith("; the sweep goes on, and this is not said again")
    one.problem = "the command fails again"
    assert one.complaint() == ""


def test_one_that_hangs_is_killed_with_its_children_and_holds_up_nobody(notices, tmp_path):
    one = notices(f"sleep 1000 & echo $! > {tmp_path}/child; wait", limit=0.5)
    began = time.monotonic()
    one.tell("end", "a")
    assert time.monotonic() - began < 0.5
    child = int(until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text()))
    one.close()
    assert "did not end within 0.5 s and was killed" in one.complaint()
    until(lambda: is_gone(child))


def test_what_is_left_in_the_background_ends_with_the_command(notices, tmp_path):
    one = notices(f"sleep 1000 & echo $! > {tmp_path}/child")
    one.tell("end", "a")
    one.close()
    assert one.complaint() == ""
    child = int((tmp_path / "child").read_text())
    until(lambda: is_gone(child))


def test_sigterm_reaches_what_a_command_starts(notices, tmp_path):
    """It is blocked in this program, and a blocked signal would stay so in `timeout`, which sends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        one = notices(f"timeout 0.2 sleep 1000; echo $? > {tmp_path}/code")
        one.tell("end", "a")
        one.close()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert (tmp_path / "code").read_text() == "124\n"


def test_ctrl_c_while_it_is_waited_for_kills_it(notices, tmp_path):
    one = notices(f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    one.tell("end", "a")
    pid = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        one.close()
    until(lambda: is_gone(pid))
    assert one.complaint() == ""


def test_a_slow_command_hears_the_newest_best_and_the_end(notices, tmp_path):
    gate, out = tmp_path / "gate", tmp_path / "out"
    os.mkfifo(gate)
    one = notices(f"cat >> {out}; read go < {gate}")
    for number in range(4):
        one.tell("best", str(number), {"best": {"g": [str(number), number]}})
        if number == 0:
            until(lambda: told(out))
    one.tell("end", "over", {"ended": 2})
    gate.write_text("go\n")
    until(lambda: len(told(out)) == 2)
    gate.write_text("go\n")
    one.close()
    assert [(item["event"], item["text"]) for item in told(out)] == [("best", "s: 0"), ("end", "s: over")]
    record = json.loads((tmp_path / "s" / "notices.json").read_text())
    assert record == {"best": {"g": ["3", 3]}, "ended": 2}  # the last was told by the end's object


def test_a_store_that_cannot_be_read_is_told_without_it(notices, tmp_path):
    def fail():
        raise UserError("s3://b", "is gone")

    one = notices(f"cat >> {tmp_path}/out", describe=fail)
    one.tell("fail", "disk")
    one.close()
    assert told(tmp_path / "out") == [{"event": "fail", "text": "s: disk"}]
    assert not (tmp_path / "s" / "notices.json").exists()  # nothing that must not be said again


def test_storage_that_fails_is_not_asked(notices, tmp_path):
    one = notices(f"cat >> {tmp_path}/out", describe=lambda: pytest.fail("it is asked"))
    one.tell("fail", "disk", described=False)
    one.close()
    assert told(tmp_path / "out") == [{"event": "fail", "text": "s: disk"}]


def test_what_was_told_is_not_told_again_after_resume(tmp_path):
    study = make_study(tmp_path, "fifo", trials=8, epochs=4, seeds="[0, 1]")
    simulation = Simulation(tmp_path / "s", study, 1, random.Random(0))
    out, texts = tmp_path / "out", []

    def driver(steps):
        """One driver of the sweep, which is killed after so many epochs."""
        simulation.restart()
        one = Notices(f"cat >> {out}", SweepFolder.of(tmp_path / "s"), dict)
        one.begin(study, simulation.run.board.states)
        for _ in range(steps):
            if not simulation.step():
                one.ended(16, "ended")
                break
            one.look(simulation.run.done)
            if simulation.run.done and one.thread:
                until(lambda: not one.waiting)
            simulation.run.done.clear()
        one.close()
        seen = [item["text"] for item in told(out)]
        out.unlink(missing_ok=True)
        texts.extend(seen)
        return seen

    for _ in range(12):
        driver(9)
    whole = [text for text in texts if "new best" in text]
    assert len(whole) == len(set(whole)) >= 2
    assert texts[-1] == "s: ended"
    assert texts.count("s: ended") == 1
    means = [float(text.partition("%")[0].split()[-1]) for text in whole]
    assert means == sorted(means)
    assert driver(9) == []


def test_what_was_there_before_anybody_was_told_is_no_news(tmp_path):
    study = make_study(tmp_path, "fifo", trials=4, epochs=3)
    simulation = Simulation(tmp_path / "s", study, 1, random.Random(0))
    while simulation.step():
        pass
    one = Notices("true", SweepFolder.of(tmp_path / "s"), dict)
    one.begin(study, simulation.run.board.states)
    assert (one.waiting, one.thread) == ([], None)
    # Reached by a driver that was killed before it told of it: now it is.
    (tmp_path / "s" / "notices.json").write_text(json.dumps({"best": {}, "ended": 0}))
    late = Notices(f"cat >> {tmp_path}/out", SweepFolder.of(tmp_path / "s"), dict)
    late.begin(study, simulation.run.board.states)
    late.close()
    (item,) = told(tmp_path / "out")
    assert item["event"] == "best"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"best": 3}', '{"best": {"g": 1}, "ended": 0}'])
def test_a_damaged_record_is_none(tmp_path, text):
    (tmp_path / "notices.json").write_text(text)
    assert not Notices("true", SweepFolder.of(tmp_path), dict)._recall()


def test_the_command_that_is_printed_has_it(tmp_path):
    launch = Launch(notify='mail -s "$TUNE_AT_TEXT" me')
    assert resume_command(SweepFolder.of(tmp_path), launch).endswith("""--notify 'mail -s "$TUNE_AT_TEXT" me'""")


def without_ray(*arguments, **environment):
    """The whole program but for Ray."""
    return subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "without_ray.py"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True,
        timeout=PATIENCE_WITH_PROCESSES,
    )  # fmt: skip


def test_a_sweep_tells_of_its_best_and_its_end_and_quiet_is_quiet(tmp_path, capsys):
    (tmp_path / "two.yaml").write_text(STUDY)
    out = tmp_path / "out"
    command = f"cat >> {out}; exit 4"
    start = ("sweep", tmp_path / "two.yaml", "--storage", tmp_path, "--name", "two", "--notify", command)
    first = without_ray(*start, TRIALS="1")
    assert first.returncode == 130, first.stdout + first.stderr
    assert "1 of 2 trials left; continue with: " in first.stdout
    assert "--notify" in first.stdout
    assert first.stderr.count("the command ended with exit code 4") == 1
    assert [item["event"] for item in told(out)] == ["best"]
    second = without_ray("resume", tmp_path / "two", "--notify", f"cat >> {out}", "--quiet")
    assert second.returncode == 0
    assert second.stdout + second.stderr == ""
    items = told(out)
    assert items[-1]["event"] == "end"
    assert items[-1]["state"] == "finished"
    assert items[-1]["trials"]["completed"] == 2
    assert items[-1]["text"].startswith("two: ended: 2 trials: 2 completed; best ")
    assert len({item["text"] for item in items}) == len(items)
    with pytest.raises(SystemExit) as ended:
        main(["resume", str(tmp_path / "two"), "--notify", f"cat >> {out}"])
    assert ended.value.code == 0
    assert "nothing is left to run" in " ".join(capsys.readouterr().out.split())
    assert told(out) == items


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_command_is_a_mistake(tmp_path, text):
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "sweep", "random_labels", "--preset", "laptop", "--notify", text],
        capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_WITH_PROCESSES,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tune-at: error: --notify: is empty; give a command")
    assert list(tmp_path.iterdir()) == []
