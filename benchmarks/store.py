"""Case (g): what reading a large sweep costs: 1,000 trials of 200 epochs, written and folded by the program itself.

Each command runs in a process of its own, start-up included. On an object store requests are counted, not timed: the
server here is a Python program on the same machine.
"""

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.measure import Way
from benchmarks.processes import seconds
from tune_at.recording.rows import write_trial
from tune_at.recording.spec import TrialSpec
from tune_at.store.fold import BATCH, fold
from tune_at.store.layout import SweepFolder
from tune_at.store.place import to_place
from tune_at.store.schema import EPOCHS
from tune_at.store.status import Status
from tune_at.store.writer import write_rows
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

Rows = Callable[[str, int, np.random.Generator], list[dict[str, Any]]]
"""What makes a trial's rows from its name and the number of its epochs."""

LIMIT = 2.0
"""Seconds that a command may take."""

REQUESTS = 50
"""Requests that a command may make of an object store."""

SQL = "SELECT trial, max(test_robust_accuracy) AS best FROM epochs JOIN trials USING (trial) GROUP BY trial ORDER BY 2"

TABLES = "import sys; from analysis.frames import load_frames; load_frames(sys.argv[1])"

COMMANDS = {
    "status": ("run.py", "status", "{sweep}"),
    "query": ("run.py", "query", "{sweep}", SQL),
    "report's tables": ("-c", TABLES, "{sweep}"),
}


def store(quick: bool) -> list[Way]:
    """`status`, `query` and `report`'s tables, here and on an object store."""
    trials, epochs = (48, 20) if quick else (1000, 200)
    with tempfile.TemporaryDirectory() as folder:
        sweep = make_sweep(Path(folder), trials, epochs)
        ways = []
        for name, command in COMMANDS.items():
            line = [sys.executable, *(word.format(sweep=sweep) for word in command)]
            taken = [seconds(*line) for _ in range(1 if quick else 5)]
            median = statistics.median(taken)
            ways.append(Way(name, median, LIMIT / median, 1.0, 0.0, "requests", rounds=taken))
        with object_store() as (address, requests):
            copy(sweep, address)
            for name, command in COMMANDS.items():
                before = requests()
                far = seconds(sys.executable, *(word.format(sweep=address) for word in command))
                count = requests() - before
                ways.append(Way(f"{name}, S3", far, REQUESTS / count, 1.0, count, "requests", rounds=[far]))
    return ways


def make_sweep(folder: Path, trials: int, epochs: int, make_rows: Rows | None = None) -> Path:
    """A finished sweep with rows as training writes them, folded as trials end; returns its folder."""
    make_rows = make_rows or epoch_rows
    seeds = 4
    written = folder / "large.yaml"
    written.write_text(
        yaml.safe_dump(
            {
                "title": "Many trials",
                "base": {"data": {"name": "digits"}, "model": "small_cnn", "train": {"epochs": epochs}},
                "axes": {"optim.lr": [round(0.001 * 1.02**n, 8) for n in range(trials // seeds)]},
                "seeds": list(range(seeds)),
                "figures": ["memorization_curves"],
            }
        )
    )
    sweep = Sweep(SweepFolder.of(folder / "large"), Study.resolve(str(written)))
    sweep.create()
    draw = np.random.default_rng(0)
    ended: list[str] = []
    for trial in sweep.study.trials():
        config = trial.config.as_tree()
        spec = TrialSpec(
            str(sweep.folder), sweep.name, sweep.study.name, trial.stage, trial.name, config, dict(trial.swept)
        )
        rows = make_rows(trial.name, epochs, draw)
        best = max(rows, key=lambda row: row["val_robust_accuracy"])["epoch"]
        write_rows(sweep.folder, "epochs", trial.name, rows)
        known = {"started": datetime.now(UTC), "device": "cpu", "peak_memory_mb": 512.0}
        write_trial(spec, Status.COMPLETED, epochs=epochs, best_epoch=best, **known)
        ended.append(trial.name)
        if len(ended) % BATCH == 0:
            fold(sweep.folder, ended[-BATCH:])
    fold(sweep.folder, ended, last=True)
    return folder / "large"


def epoch_rows(trial: str, epochs: int, draw: np.random.Generator) -> list[dict[str, Any]]:
    """Rows of a trial's epochs with every column that PGD-AT has."""
    names = [field.name for field in EPOCHS if field.name not in ("trial", "epoch", "lr")]
    names += ["objective_loss", "objective_robust_accuracy"]
    values = draw.random((epochs, len(names)))
    return [
        {"trial": trial, "epoch": epoch + 1, "lr": 0.1, **dict(zip(names, map(float, values[epoch]), strict=True))}
        for epoch in range(epochs)
    ]


@contextlib.contextmanager
def object_store() -> Iterator[tuple[str, Callable[[], int]]]:
    """A server that speaks S3's protocol on this machine: the address of a sweep there, and the requests so far."""
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED")
    os.environ.update(dict.fromkeys(names, "true"))
    application: Any = DomainDispatcherApplication
    counted, call = [0], application.__call__

    def count(self: Any, *arguments: Any) -> Any:
        counted[0] += 1
        return call(self, *arguments)

    application.__call__ = count
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
        fs.S3FileSystem(endpoint_override=endpoint, region="us-east-1", allow_bucket_creation=True).create_dir("sweeps")
        yield f"s3://sweeps/large?endpoint_override={endpoint}&region=us-east-1", lambda: counted[0]
    finally:
        server.stop()
        application.__call__ = call


def copy(sweep: Path, address: str) -> None:
    """Put a sweep's files into an object store."""
    for path in sorted(sweep.rglob("*")):
        if path.is_file():
            target = to_place(address)
            for name in path.relative_to(sweep).parts:
                target = target / name
            target.write_whole(path.read_bytes())


def main() -> None:
    """`python -m benchmarks.store FOLDER`: leave such a sweep in a folder, to look at."""
    began = time.perf_counter()
    folder = Path(sys.argv[1])
    shutil.rmtree(folder / "large", ignore_errors=True)
    print(make_sweep(folder, 1000, 200), f"{time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
