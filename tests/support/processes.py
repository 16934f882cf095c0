"""Starting sweeps as a user does, holding their trials where a test wants them, and killing what they are made of.

No test knows how far another process is: it waits for what it can see, or holds a trial at a `Gate`. How long that may
take is nobody's business but a stuck test's: see `PATIENCE_WITH_PROCESSES`.
"""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa

from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store import read_arrow
from tune_at.store.layout import SweepFolder
from tune_at.store.schema import TIMES
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

ROOT = Path(__file__).parent.parent.parent

WHOLE = os.environ.get("TUNE_AT_CHAOS") == "whole"
"""Whether `make chaos` runs: every case of what `make test` runs a part of."""

PATIENCE_WITH_PROCESSES = 600.0
"""Seconds after which a process is taken to be stuck, on whatever machine, however busy."""

STUDY = """\
title: Two objectives, quick epochs
base:
  data: {name: digits, subset: 300, noise_rate: 0.4}
  model: {name: small_cnn, width: 16}
  attack: {eps: 0.1, step: 0.03, steps: 4}
  optim: {lr: 0.05, nesterov: true}
  train: {epochs: 16, batch_size: 50}
  evaluation: {steps: 2, train_samples: 100}
axes:
  objective: [pgd_at, trades]
  optim.schedule: [piecewise, cosine]
figures: [memorization_curves, generalization_gap]
"""


def command(*arguments):
    return [sys.executable, str(ROOT / "run.py"), *map(str, arguments)]


def run(*arguments, **options):
    """A finished command."""
    options = {"capture_output": True, "text": True, "timeout": PATIENCE_WITH_PROCESSES, **options}
    return subprocess.run(command(*arguments), **options)


def start(*arguments, **options):
    """A command in a session of its own, as a terminal gives it one. `stop_all` ends it if the test does not."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    process = subprocess.Popen(command(*arguments), start_new_session=True, **options)
    STARTED.append(process)
    return process


STARTED: list[subprocess.Popen] = []


def output_of(process):
    """All that a started command has printed, once it has ended."""
    return process.communicate(timeout=PATIENCE_WITH_PROCESSES)[0]


def stop_all() -> None:
    """Kill what `start` left running, Ray's processes too."""
    while STARTED:
        process = STARTED.pop()
        for pid in [process.pid, *descendants(process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                kill(pid)
        process.wait()


def until(condition, process=None, pause=0.02):
    """What `condition` returns once it is true. Fails if `process` ends before."""
    deadline = time.monotonic() + PATIENCE_WITH_PROCESSES
    while not (result := condition()):
        if process is not None and process.poll() is not None and not (result := condition()):
            raise AssertionError(f"{process.args} ended before: {process.communicate()[0]}")
        if result:
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_WITH_PROCESSES:.0f} s for nothing")
        time.sleep(pause)
    return result


def planned(study, storage, name, **overrides):
    """A sweep's folder as `sweep` makes it, for a test that puts gates into it before `resume` runs it."""
    sweep = Sweep.plan(Study.resolve(str(study), overrides=overrides), str(storage), name)
    sweep.create()
    return sweep


def run_epochs(sweep, trial, epochs):
    """Leave a trial as an earlier run does that was killed after so many epochs."""
    config, swept = trial.config.as_tree(), dict(trial.swept)
    folder, name = str(sweep.folder), sweep.folder.name
    here = RecordedTrial(TrialSpec(folder, name, sweep.study.name, trial.stage, trial.name, config, swept))
    for _ in range(epochs):
        here.step()


class Gate:
    """Holds a trial whenever a worker takes it: where it reads its newest checkpoint, it finds a pipe to wait at.

    The pipe stands in the trial's folder under the name of an epoch that is never reached. Once it is open, or its
    maker is dead, it reads as a checkpoint that is damaged, and the trial goes on from the one before.
    """

    def __init__(self, sweep, trial):
        self.path = Path(str(SweepFolder.of(sweep).checkpoint(trial, 999_999)))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self.path)
        self.end = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)  # a writer: who opens the pipe has to wait for data

    def held(self):
        """The worker that waits at the gate, or 0."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                trains = (folder / "cmdline").read_bytes().startswith(b"ray::ATTrainable")
                if trains and any(self.path == link.readlink() for link in (folder / "fd").iterdir()):
                    return int(folder.name)
        return 0

    def open(self):
        """Let the trial go on."""
        if self.end >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self.end)
            self.end = -1


def wait_for_epoch(sweep: Path, epoch: int, process=None) -> None:
    """Until some trial has a checkpoint of `epoch` or later."""
    until(lambda: any(reached >= epoch for reached in epochs_reached(sweep).values()), process)


def epochs_reached(sweep: Path) -> dict[str, int]:
    """The epoch of each trial's newest checkpoint; gates do not count."""
    reached: dict[str, int] = {}
    for path in sweep.glob("checkpoints/*/epoch-*.pt"):
        if path.is_file():
            reached[path.parent.name] = max(reached.get(path.parent.name, 0), int(path.stem[-6:]))
    return reached


def descendants(pid: int) -> dict[int, str]:
    """The processes below `pid` with their command lines, from /proc."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
    found, frontier = {}, {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found |= {child: titles[child] for child in frontier if child in titles}
    return found


def workers(driver: subprocess.Popen) -> list[int]:
    """The processes that train trials."""
    return sorted(pid for pid, title in descendants(driver.pid).items() if title.startswith("ray::ATTrainable"))


def wait_for_team(driver: subprocess.Popen, size: int) -> list[int]:
    """The processes that train trials, once there are `size` of them."""
    return until(lambda: team if len(team := workers(driver)) == size else None, driver)


def is_gone(pid: int) -> bool:
    """Whether a process does not run any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_until_gone(pids) -> None:
    """Until none of the processes runs any more."""
    until(lambda: all(map(is_gone, pids)))


def results(sweep: Path, table: str) -> pa.Table:
    """A table without the columns that tell the time."""
    found = read_arrow(sweep, table)
    drop = [*TIMES[table], *(["sweep"] if table == "trials" else [])]
    return found.drop_columns([name for name in drop if name in found.schema.names])


def difference(one: Path, other: Path, table: str) -> list[str]:
    """The cells in which two sweeps differ, the times left out: empty where they are the same."""
    found = [results(sweep, table) for sweep in (one, other)]
    if found[0].equals(found[1]):
        return []
    names = [sorted(part.schema.names) for part in found]
    if names[0] != names[1] or found[0].num_rows != found[1].num_rows:
        return [f"columns {names[0]} and {names[1]}, {found[0].num_rows} and {found[1].num_rows} rows"]
    rows = zip(*(part.to_pylist() for part in found), strict=True)
    cells = [
        f"{mine.get('trial')}, row {number}: {name} {mine[name]!r}, and {theirs[name]!r}"
        for number, (mine, theirs) in enumerate(rows)
        for name in names[0]
        if mine[name] != theirs[name]
    ]
    return cells or [f"schemas {found[0].schema} and {found[1].schema}"]


def kill(pid: int) -> None:
    """`kill -9`."""
    os.kill(pid, 9)
