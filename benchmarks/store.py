"""Case (g): what reading a large sweep costs: 1,000 trials of 200 epochs, written and folded by the program itself.

Each command runs in a process of its own, start-up included. On an object store requests are counted, not timed: the
server here is a Python program on the same machine.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.large import make_sweep
from benchmarks.measure import Way
from benchmarks.processes import ROOT, seconds
from tune_at.store.place import to_place

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


def large(quick: bool) -> list[Way]:
    """The same of ten times as many, and their memory; a dry run of as many points."""
    trials, epochs = (48, 20) if quick else (10_000, 200)
    ways = []
    with tempfile.TemporaryDirectory() as folder:
        sweep = make_sweep(Path(folder), trials, epochs)
        study = Path(folder) / "large.yaml"
        commands = {**COMMANDS, "dry run": ("run.py", "sweep", str(study), "--dry-run")}
        for name, command in commands.items():
            line = [sys.executable, *(word.format(sweep=sweep) for word in command)]
            limit = START if name == "dry run" else LARGE_LIMIT
            taken, bytes_ = zip(*(_measured(line) for _ in range(1 if quick else 5)), strict=True)
            median, memory = statistics.median(taken), max(bytes_) / 1e6
            ways.append(Way(name, median, limit / median, 1.0, memory, "MB", rounds=list(taken)))
            ways.append(Way(f"{name}, memory", median, MEMORY / max(bytes_), 1.0, memory, "MB"))
    return ways


LARGE_LIMIT, START = 3.0, 10.0
"""Seconds that a command may take on such a sweep, and the dry run."""

MEMORY = 1e9
"""Bytes that each may hold at its peak."""


def _measured(command: list[str]) -> tuple[float, int]:
    """Wall-clock seconds of a command that must succeed, and its peak memory in bytes."""
    script = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
    script += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024); sys.exit(done.returncode)"
    began = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, cwd=ROOT)
    taken = time.perf_counter() - began
    if found.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{found.stderr[-2000:]}")
    return taken, int(found.stdout)


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
