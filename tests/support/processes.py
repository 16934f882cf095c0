"""Starting sweeps as a user does and killing what they are made of."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa

from tune_at.store import read_arrow
from tune_at.store.schema import TIMES

ROOT = Path(__file__).parent.parent.parent

STUDY = """\
title: Two objectives, three quick epochs a second
base:
  data: {name: digits, subset: 300, noise_rate: 0.4}
  model: {name: small_cnn, width: 16}
  attack: {eps: 0.1, step: 0.03, steps: 8}
  optim: {lr: 0.05, nesterov: true}
  train: {epochs: 16, batch_size: 50}
  evaluation: {steps: 4, train_samples: 100}
axes:
  objective: [pgd_at, trades]
  optim.schedule: [piecewise, cosine]
figures: [memorization_curves, generalization_gap]
"""


def command(*arguments):
    return [sys.executable, str(ROOT / "run.py"), *map(str, arguments)]


def run(*arguments, **options):
    """A finished command."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=240, **options)


def start(*arguments):
    """A command in a session of its own, as a terminal gives it one. `stop_all` ends it if the test does not."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    STARTED.append(process)
    return process


STARTED: list[subprocess.Popen] = []


def stop_all() -> None:
    """Kill what `start` left running, Ray's processes too."""
    while STARTED:
        process = STARTED.pop()
        for pid in [process.pid, *descendants(process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                kill(pid)
        process.wait()


def wait_for_epoch(sweep: Path, epoch: int, timeout: float = 120) -> None:
    """Until some trial has a checkpoint of `epoch` or later."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if any(int(path.stem[-6:]) >= epoch for path in sweep.glob("checkpoints/*/epoch-*.pt")):
            return
        time.sleep(0.02)
    raise TimeoutError(f"no checkpoint of epoch {epoch} in {sweep}")


def wait_for_checkpoint(sweep: Path, known: set[Path], timeout: float = 120) -> None:
    """Until there is a checkpoint besides the `known` ones."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if set(sweep.glob("checkpoints/*/epoch-*.pt")) - known:
            return
        time.sleep(0.02)
    raise TimeoutError(f"no new checkpoint in {sweep}")


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


def wait_for_team(driver: subprocess.Popen, size: int, timeout: float = 120) -> list[int]:
    """The processes that train trials, once there are `size` of them."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if len(team := workers(driver)) == size:
            return team
        time.sleep(0.02)
    raise TimeoutError(f"{driver.args} did not start {size} workers")


def wait_until_gone(pids: list[int], timeout: float = 60) -> None:
    """Until none of the processes runs any more."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        states = []
        for pid in pids:
            with contextlib.suppress(OSError):
                states.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
        if set(states) <= {"Z", "X"}:
            return
        time.sleep(0.02)
    raise TimeoutError(f"processes {pids} are still there")


def results(sweep: Path, table: str) -> pa.Table:
    """A table without the columns that tell the time."""
    found = read_arrow(sweep, table)
    drop = [*TIMES[table], *(["sweep"] if table == "trials" else [])]
    return found.drop_columns([name for name in drop if name in found.schema.names])


def kill(pid: int) -> None:
    """`kill -9`."""
    os.kill(pid, 9)
