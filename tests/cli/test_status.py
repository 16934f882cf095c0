"""`status`: the same of a live, a killed and a finished sweep, here and on an object store; followed, and as JSON."""

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from s3_server import s3  # noqa: F401

from tests.support.simulation import Simulation, make_study
from tune_at.cli import following
from tune_at.cli.main import main
from tune_at.cli.standing import Standing, State
from tune_at.cli.standing_json import as_json
from tune_at.store import read_table
from tune_at.store.layout import SweepFolder
from tune_at.store.lock import sweep_lock
from tune_at.store.status import Status
from tune_at.store.writer import write_rows
from tune_at.study.sweep import Sweep
from tune_at.tuning.heartbeat import DriverRecord
from tune_at.wording import program, shell

ROOT = Path(__file__).parent.parent.parent
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A function that lets a simulated sweep go on by so many epochs of its trials."""
    study = make_study(tmp_path, "{name: asha, grace: 3}", trials=8, seeds="[0, 1]")
    simulation = Simulation(tmp_path / "s", study, 3, random.Random(0))
    monkeypatch.setattr("tune_at.cli.standing.utc_now", lambda: NOW)

    def go_on(steps=10_000):
        while steps and simulation.step():
            steps -= 1
        return simulation

    go_on.folder = tmp_path / "s"
    return go_on


def says(folder, **fields):
    """What a driver has said; times in seconds from now."""
    times = {"started": -125, "heard": -2, **{k: v for k, v in fields.items() if k in ("started", "heard", "ended")}}
    others = {k: v for k, v in fields.items() if k not in times}
    written = {key: (NOW + timedelta(seconds=value)).isoformat() for key, value in times.items()}
    record = DriverRecord(os.getpid(), "laptop", **written, **{"at_once": 3, **others})
    SweepFolder.of(folder).driver.write_whole(json.dumps(asdict(record)).encode())


@pytest.fixture
def call(capsys):
    """A function that runs a command → (exit code, stdout, stderr)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main([str(a) for a in arguments])
        return exit_.value.code, *capsys.readouterr()

    return run


def test_of_a_live_sweep(sweep, call):
    simulation = sweep(60)
    running = [state.name for state in simulation.run.board.states if state.active]
    capacity = {"nodes": 1, "cpus": 4.0, "cpus_taken": 3.0, "gpus": 0.0, "gpus_taken": 0.0}
    says(sweep.folder, working=running, capacity=capacity)
    with sweep_lock(sweep.folder):
        code, out, err = call("status", sweep.folder)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[-2] == "1 node, 3 of 4 CPUs taken"
    assert re.fullmatch(rf"running for 2 min, by process {os.getpid()} on laptop; time left unknown", lines[-1])
    stopped = read_table(sweep.folder, "decisions").query("action == 'stop'").sort_values("decided", ascending=False)
    start = lines.index(f"stopped early: {len(stopped)}")
    for line, row in zip(lines[start + 2 :], stopped.to_dict("records")[:3], strict=False):
        reason = [f"{row['value']:.1%}", "<", f"{row['cutoff']:.1%}", str(row["rung"])]
        assert line.split() == [row["trial"], "epoch", str(row["epoch"]), *reason]


def test_states(sweep, call):
    sweep(40)
    command = f"continue with: {shell(*program(), 'resume', sweep.folder)}"
    lines = call("status", sweep.folder)[1].splitlines()
    assert lines[-1] == f"not running; {command}"  # a sweep of an older version
    says(sweep.folder)
    last = call("status", sweep.folder)[1].splitlines()[-1]
    heard = f"{NOW - timedelta(seconds=2):%Y-%m-%d %H:%M:%S} UTC"
    assert last == f"not running: its driver died, process {os.getpid()} on laptop, last heard of {heard}; {command}"
    says(sweep.folder, ended=-1, outcome="failed", reason="/data: No space left on device")
    last = call("status", sweep.folder)[1].splitlines()[-1]
    assert last == f"not running: it stopped early: /data: No space left on device; {command}"
    says(sweep.folder, ended=-1, outcome="interrupted")
    assert call("status", sweep.folder)[1].splitlines()[-1] == f"not running; {command}"
    sweep()
    says(sweep.folder, ended=-5, outcome="finished")
    last = call("status", sweep.folder)[1].splitlines()[-1]
    assert last == f"ended {NOW - timedelta(seconds=5):%Y-%m-%d %H:%M} UTC, 2 min after its last start"


def test_what_the_driver_before_has_said_is_not_this_ones(sweep):
    sweep(40)
    here = Sweep.open(str(sweep.folder))
    says(sweep.folder)
    lock = SweepFolder.of(sweep.folder).lock
    with sweep_lock(sweep.folder):
        assert Standing.of(here).driver.host == "laptop"
        lock.write_text("1")  # it is this process that holds it, under another's number
        assert Standing.of(here).driver is None
        lock.write_text(str(os.getpid()))
        says(sweep.folder, ended=-1)
        assert Standing.of(here).driver is None
        says(sweep.folder, heard=-100)
        assert any(line == "nothing heard of its driver for 100 s" for line in Standing.of(here).page().machines)


def test_who_runs_without_a_worker_is_paused(sweep):
    sweep(40)
    here = Sweep.open(str(sweep.folder))
    with sweep_lock(sweep.folder):
        says(sweep.folder, working=["none of these"])
        found = Standing.of(here)
        running = read_table(sweep.folder, "trials").query("status == 'running'")["trial"].tolist()
        assert running
        assert found._with(Status.PAUSED) == running
        says(sweep.folder, working=running)
        assert Standing.of(here)._with(Status.RUNNING) == running
        says(sweep.folder, working=[])  # it has not looked yet
        assert Standing.of(here)._with(Status.RUNNING) == running


def test_time_left_is_from_the_recorded_seconds(sweep):
    simulation = sweep(30)
    rows = read_table(sweep.folder, "epochs").assign(train_seconds=30.0, evaluation_seconds=10.0)
    for trial, mine in rows.groupby("trial"):
        write_rows(sweep.folder, "epochs", trial, mine.to_dict("records"))
    says(sweep.folder, at_once=1)
    with sweep_lock(sweep.folder):
        found = Standing.of(Sweep.open(str(sweep.folder)))
        most = found.seconds_left_at_most
    left = sum(state.epochs - state.epoch for state in simulation.run.board.states if not state.ended)
    undrawn = 16 - len(simulation.run.board.states)
    assert most == pytest.approx(40 * (left + 27 * undrawn), rel=0.02)  # and what is written beside
    assert 0 < found.seconds_left <= most


def test_json_says_what_the_tables_say(sweep, call):
    sweep(120)
    says(sweep.folder, gpus=[{"index": 0, "name": "H100", "busy": None, "used_mb": 1.0, "total_mb": 2.0}])
    with sweep_lock(sweep.folder):
        code, out, err = call("status", sweep.folder, "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)

    def refuse(word):
        raise AssertionError(f"{word} in JSON")

    found = json.loads(out, parse_constant=refuse)
    trials, epochs = (read_table(sweep.folder, table) for table in ("trials", "epochs"))
    assert (found["format"], found["state"], found["sweep"]) == (1, "running", "s")
    counts = trials["status"].value_counts()
    for status in ("running", "completed", "stopped", "diverged", "failed"):
        assert found["trials"][status] == counts.get(status, 0)
    assert counts["diverged"] > 0  # whose accuracy was NaN
    assert found["trials"]["total"] == 16
    assert sum(found["trials"].values()) == 2 * 16
    assert found["epochs"]["done"] == len(epochs)
    stops = read_table(sweep.folder, "decisions").query("action == 'stop'")
    assert len(stops) == len(found["stopped"]) == counts["stopped"]
    for item in found["stopped"]:
        row = stops.set_index("trial").loc[item["trial"]]
        assert [item[key] for key in ("epoch", "rung", "value", "cutoff")] == [
            row[key] for key in ("epoch", "rung", "value", "cutoff")
        ]
        assert item["metric"] == "robust_accuracy"
        assert item["value"] < item["cutoff"]
    (best,) = found["best"]
    members = [item["trial"] for item in best["trials"]]
    at = {(item["trial"], item["epoch"]) for item in best["trials"]}
    assert at == {*trials[trials["trial"].isin(members)][["trial", "best_epoch"]].itertuples(index=False, name=None)}
    mine = epochs.set_index(["trial", "epoch"])["val_robust_accuracy"].loc[list(at)]
    assert best["mean"] == pytest.approx(mine.mean())
    assert best["spread"] == pytest.approx(mine.std())
    assert best["seeds"] == best["seeds_planned"] == 2
    assert {item["trial"] for item in found["running"]} == {*trials.query("status == 'running'")["trial"]}
    assert found["driver"]["host"] == "laptop"
    assert found["gpus"][0]["busy"] is None
    assert found["resume"] is None


def test_json_has_the_keys_that_are_documented(sweep):
    sweep(120)
    says(sweep.folder, capacity={"nodes": 1, "cpus": 4.0, "cpus_taken": 3.0, "gpus": 0.0, "gpus_taken": 0.0})
    page = (ROOT / "docs" / "reference" / "status.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    found = as_json(Standing.of(Sweep.open(str(sweep.folder))))
    assert documented == {*found}
    for key in ("best", "stopped", "driver", "machines", "epochs"):
        (row,) = re.findall(rf"^\| `{key}` \|(.*)$", page, re.MULTILINE)
        inner = found[key][0] if isinstance(found[key], list) else found[key]
        assert {*inner} <= {*re.findall(r"`(\w+)`", row)}, key


def test_a_sweep_without_rows_and_a_finished_one_have_the_same_keys(sweep):
    empty = as_json(Standing.of(Sweep.open(str(sweep.folder))))
    assert (empty["state"], empty["best"], empty["trials"]["pending"]) == ("interrupted", [], 16)
    sweep()
    whole = as_json(Standing.of(Sweep.open(str(sweep.folder))))
    assert whole["state"] == "finished"
    assert whole["epochs"]["left_at_most"] == 0
    assert {*empty} == {*whole}


def test_watch_follows_a_sweep_to_its_end_in_lines(sweep, call, monkeypatch):
    sweep(20)
    says(sweep.folder)
    lock = sweep_lock(sweep.folder)
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) < 4:
            sweep(15)
        else:
            sweep()
            lock.__exit__(None, None, None)

    monkeypatch.setattr(following.follow, "__defaults__", (sleep,))
    lock.__enter__()
    code, out, err = call("status", sweep.folder, "--watch", "7")
    lines = out.splitlines()
    news = [line for line in lines if line.startswith("[")]
    assert (code, err) == (0, "")
    assert len(news) == len(waited) == 4
    assert waited[0] >= 7
    assert all(re.match(r"\[\d\d:\d\d\] .*running, .*; .* \d+/27", line) for line in news)
    assert re.match(r"Simulated: 16 trials: \d+ completed, \d+ diverged, \d+ stopped$", lines[len(news)])


def test_watch_says_when_the_driver_has_died(sweep, call, monkeypatch):
    sweep(20)
    says(sweep.folder)
    lock = sweep_lock(sweep.folder)
    monkeypatch.setattr(following.follow, "__defaults__", (lambda seconds: lock.__exit__(None, None, None),))
    lock.__enter__()
    code, out, _ = call("status", sweep.folder, "--watch")
    assert code == 1
    assert "not running: its driver died" in out.splitlines()[-1]


def test_watch_of_what_does_not_run_tells_and_leaves(sweep, call):
    sweep(20)
    assert call("status", sweep.folder, "--watch")[0] == 1
    sweep()
    code, out, _ = call("status", sweep.folder, "--watch")
    assert code == 0
    assert out == call("status", sweep.folder)[1]


def test_ctrl_c_leaves_quietly(sweep, call, monkeypatch):
    sweep(20)

    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(following.follow, "__defaults__", (interrupted,))
    with sweep_lock(sweep.folder):
        code, out, err = call("status", sweep.folder, "--watch")
    assert (code, err) == (130, "")
    assert len(out.splitlines()) == 1  # where it stood


def test_in_a_terminal_the_live_view_is_shown_and_taken_away(sweep, call, monkeypatch):
    for key, value in {"COLUMNS": "80", "LINES": "24", "TTY_COMPATIBLE": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(key, value)
    sweep(60)
    says(sweep.folder)
    lock = sweep_lock(sweep.folder)
    monkeypatch.setattr(following.follow, "__defaults__", (lambda seconds: lock.__exit__(None, None, None),))
    lock.__enter__()
    out = call("status", sweep.folder, "--watch")[1]
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out)
    assert "Simulated: s" in text
    assert "running\n" in text
    assert "best val robust accuracy so far" in text
    assert "\x1b[2K" in out  # lines of the view are cleared


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--watch", "--json"], ["--watch: shows a view, --json prints one object", "leave out one"]),
        (["--watch", "0"], ["'0' is no number of seconds"]),
        (["--watch", "nan"], ["'nan' is no number of seconds"]),
        (["--watch", "soon"], ["'soon' is no number of seconds", "DIR/NAME comes first"]),
    ],
)
def test_mistakes(sweep, call, arguments, parts):
    code, out, err = call("status", sweep.folder, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(part in err for part in parts)


def test_of_a_folder_of_sweeps_there_is_a_list_and_nothing_to_follow(sweep, call, tmp_path):
    sweep(20)
    (item,) = json.loads(call("status", tmp_path, "--json")[1])
    assert item["sweep"] == "s"
    code, out, err = call("status", tmp_path, "--watch")
    assert (code, out) == (2, "")
    assert f"--watch: follows one sweep, and {tmp_path} is a folder of 1 sweep; name one of them" in err


@pytest.mark.parametrize("options", [[], ["--json"], ["--watch"]])
def test_what_is_no_sweep_is_told_in_one_line(tmp_path, call, options):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "nowhere", tmp_path / "file"):
        code, out, err = call("status", place, *options)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "is no sweep" in err or "Not a directory" in err


def test_nothing_is_written_by_asking(sweep, call):
    sweep(60)
    says(sweep.folder)

    def files():
        return {path: path.stat().st_mtime_ns for path in sweep.folder.rglob("*") if path.is_file()}

    before = files()
    call("status", sweep.folder)
    call("status", sweep.folder, "--json")
    call("status", sweep.folder, "--watch")
    assert files() == before


def test_on_an_object_store_it_is_the_same(s3, sweep, call):  # noqa: F811
    import pyarrow.fs as fs

    from tune_at.store.lease import Holder
    from tune_at.store.place import to_place

    sweep(60)
    says(sweep.folder)
    uri = s3.uri()
    to, _, query = uri.partition("?")
    fs.copy_files(str(sweep.folder), f"{to.removeprefix('s3://')}/s", destination_filesystem=s3.filesystem)
    away = f"{to}/s?{query}"
    to_place(away).__truediv__(".lock").unlink(missing_ok=True)
    died = json.loads(call("status", away, "--json")[1])
    assert died["state"] == "died"
    (to_place(away) / ".lock").write_whole(json.dumps(asdict(Holder.here())).encode())
    with sweep_lock(sweep.folder):
        here, there = (json.loads(call("status", place, "--json")[1]) for place in (sweep.folder, away))
    assert there["state"] == "running"
    changing = ("folder", "time", "seconds_elapsed", "failed")
    assert {k: v for k, v in here.items() if k not in changing} == {k: v for k, v in there.items() if k not in changing}


def test_a_view_that_is_cut_off_by_its_reader_ends_quietly(sweep):
    sweep(60)
    command = f"{sys.executable} {ROOT / 'run.py'} status {sweep.folder} --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert done.stdout == '{"format":'
    assert done.stderr == ""


def test_states_are_words_that_stay():
    assert [*map(str, State)] == ["running", "finished", "interrupted", "failed", "died"]
