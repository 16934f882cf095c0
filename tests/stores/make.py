"""Makes the stores of one version of this program: `python tests/stores/make.py CHECKOUT FOLDER [STUDY ...]`.

CHECKOUT is a working tree of that version with its `.venv`, FOLDER the place of `studies/*.yaml` and of the sweeps.
Each study is run once to its end, and once until every process of it is killed (`kill -9`) when some trials have
ended, one is in the middle of its epochs, and others have not begun. README.md says what is recorded of which.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

TOGETHER = {"grid": 2, "asha": 2, "optuna": 1, "kd_swa": 1, "pbt": 2, "folder": 1}
"""Trials at once; Optuna's proposals depend on the order in which trials end."""

OPTIONS = {"grid": ["--preset", "short", "--set", "optim.lr=0.1"]}

EPOCHS = {"grid": 6, "asha": 6, "optuna": 6, "kd_swa": 5, "pbt": 6, "folder": 6}

ENDED = {"grid": 3, "asha": 2, "optuna": 3, "kd_swa": 4, "pbt": 0, "folder": 1}
"""Trials that have ended before the kill."""


WEIGHTS = ("kd_swa",)
"""Studies whose finished sweep keeps the last and the best weights; of the others there are the tables alone."""


def processes_below(pid: int) -> list[int]:
    """The processes that `pid` has started, and those that they have started."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    below, frontier = [], {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        below += frontier
    return below


def newest(sweep: Path) -> dict[str, int]:
    """The epoch of each trial's newest checkpoint."""
    epochs: Counter[str] = Counter()
    for path in sweep.glob("checkpoints/*/epoch-*.pt"):
        epochs[path.parent.name] = max(epochs[path.parent.name], int(path.stem[-6:]))
    return epochs


def statuses(sweep: Path) -> dict[str, str]:
    """The status of each trial that has a row."""
    found = {}
    for path in sorted((sweep / "store/trials").glob("*.parquet")):
        with contextlib.suppress(OSError, ValueError):  # in the moment of its replacement
            found[path.stem] = pq.read_table(path, columns=["status"])["status"][0].as_py()
    return found


def signal_all(pid: int, number: int) -> None:
    """Send a signal to a process and to all that it has started."""
    for one in [pid, *processes_below(pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)


def killed_midway(command: list[str], environment: dict[str, str], sweep: Path, study: str) -> bool:
    """Start a sweep, kill it when enough trials have ended, and say whether another was in its middle then."""
    driver = subprocess.Popen(command, env=environment, start_new_session=True, cwd=sweep.parent)
    while driver.poll() is None:
        time.sleep(0.002)
        if sum(status in ("completed", "stopped") for status in statuses(sweep).values()) < ENDED[study]:
            continue
        if study == "pbt" and not any(sweep.glob("checkpoints/*/exploit-*.pt")):
            continue
        signal_all(driver.pid, signal.SIGSTOP)  # so that nothing moves while it is looked at
        rows, epochs = statuses(sweep), newest(sweep)
        if any(2 <= epoch < EPOCHS[study] and rows.get(name) == "running" for name, epoch in epochs.items()):
            signal_all(driver.pid, signal.SIGKILL)
            driver.wait()
            print(
                "killed:", json.dumps({name: [status, epochs.get(name, 0)] for name, status in rows.items()}, indent=1)
            )
            return True
        signal_all(driver.pid, signal.SIGCONT)
    return False


def main(checkout: Path, folder: Path, studies: list[str]) -> None:
    """Make the stores in a neutral place, which `study.yaml` records, and copy them."""
    place = Path(tempfile.gettempdir()) / f"tune-at-{folder.name}"
    place.mkdir(exist_ok=True)
    shutil.copytree(folder / "photos", place / "photos", dirs_exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "RAY_USAGE_STATS_ENABLED": "0"}
    for study in studies or TOGETHER:
        shutil.copy(folder / "studies" / f"{study}.yaml", place)
        for end in ("finished", "killed"):
            sweep = place / f"{study}-{end}"
            shutil.rmtree(sweep, ignore_errors=True)
            command = [
                str(checkout / ".venv/bin/python"), str(checkout / "run.py"), "sweep", str(place / f"{study}.yaml"),
                "--storage", str(place), "--name", sweep.name, "--concurrency", str(TOGETHER[study]),
                *OPTIONS.get(study, []),
            ]  # fmt: skip
            if end == "finished":
                subprocess.run(command, env=environment, check=True, cwd=place)
            elif not killed_midway(command, environment, sweep, study):
                raise SystemExit(f"{study}: no trial was in its middle; run this again")
            shutil.rmtree(folder / sweep.name, ignore_errors=True)
            shutil.copytree(
                sweep, folder / sweep.name, ignore=shutil.ignore_patterns("tensorboard", "*.tmp", "driver*")
            )
            if end == "finished" and study not in WEIGHTS:
                shutil.rmtree(folder / sweep.name / "checkpoints")
            for trial, status in statuses(folder / sweep.name).items():
                for path in sorted((folder / sweep.name / "checkpoints" / trial).glob("epoch-*.pt"))[:-1]:
                    if status != "running":
                        path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute(), sys.argv[3:])
