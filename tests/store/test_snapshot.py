"""A sweep is read once: on far storage in few requests, at `resume` each file of the store a single time."""

import contextlib
import fcntl
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from processes import ROOT
from s3_server import s3  # noqa: F401

from tune_at.cli.main import main
from tune_at.scheduling.ledger import Ledger
from tune_at.scheduling.policies import build_policy
from tune_at.store.failures import Locked
from tune_at.store.fold import BATCH, fold
from tune_at.store.layout import SweepFolder
from tune_at.store.lock import sweep_lock
from tune_at.store.place import LocalPlace, to_place
from tune_at.store.writer import write_rows
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

V1 = Path(__file__).parent.parent / "stores" / "v1"

REQUESTS = 50


@pytest.fixture
def requests(monkeypatch):
    """The requests that the server has had."""
    seen, call = [], DomainDispatcherApplication.__call__

    def counted(self, environ, start_response):
        seen.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        return call(self, environ, start_response)

    monkeypatch.setattr(DomainDispatcherApplication, "__call__", counted)
    return seen


@pytest.fixture
def far(s3, tmp_path):  # noqa: F811
    """A finished sweep of many trials on S3, folded as it went."""
    path = tmp_path / "large.yaml"
    rates = [round(0.001 + 0.0001 * number, 6) for number in range(5 * BATCH)]
    path.write_text(
        "title: Many\nbase: {data: {name: digits}, train: {epochs: 3}}\n"
        f"axes: {{optim.lr: {rates}}}\nfigures: [memorization_curves]\n"
    )
    study = Study.resolve(str(path))
    sweep = Sweep(SweepFolder.of(s3.uri()), study)
    sweep.create()
    ended = []
    for trial in study.trials():
        row = {
            "sweep": "s", "study": "s", "stage": "main", "trial": trial.name, "seed": 0, "status": "completed",
            "epochs": 3, "best_epoch": 2, "selection": "validation", "config": trial.config.as_json(),
            "config_hash": trial.config.hash, **trial.swept,
        }  # fmt: skip
        accuracies = {f"{s}_{k}_accuracy": 0.5 for s in ("train", "val", "test") for k in ("natural", "robust")}
        epochs = [{"trial": trial.name, "epoch": number, "lr": 0.1, **accuracies} for number in (1, 2, 3)]
        write_rows(sweep.folder, "trials", trial.name, [row])
        write_rows(sweep.folder, "epochs", trial.name, epochs)
        ended.append(trial.name)
        if len(ended) % BATCH == 0:
            fold(sweep.folder, ended[-BATCH:])
    fold(sweep.folder, ended, last=True)
    return sweep.folder


def test_a_finished_sweep_on_s3_is_read_in_few_requests(far, requests, capsys):
    from analysis.frames import load_frames

    commands = {
        "status": lambda: main(["status", str(far)]),
        "query": lambda: main(["query", str(far), "SELECT count(*) FROM epochs JOIN trials USING (trial)"]),
        "report's tables": lambda: load_frames(far),
    }
    for name, command in commands.items():
        requests.clear()
        with contextlib.suppress(SystemExit):
            command()
        assert 0 < len(requests) <= REQUESTS, (name, requests)
        # However many trials there are: no request names one.
        assert not [request for request in requests if "-s0" in request]
    assert str(15 * BATCH) in capsys.readouterr().out


@pytest.fixture
def reads(monkeypatch):
    """How often each file was read."""
    counts, read = Counter(), LocalPlace.read_bytes

    def counted(self, *arguments):
        counts[str(self)] += 1
        return read(self, *arguments)

    monkeypatch.setattr(LocalPlace, "read_bytes", counted)
    return counts


@pytest.mark.parametrize("study", ["grid", "asha", "optuna", "kd_swa", "pbt"])
def test_what_a_driver_has_to_know_is_read_once(tmp_path, reads, study):
    sweep = Sweep.open(str(shutil.copytree(V1 / f"{study}-killed", tmp_path / study)))
    with sweep.held() as snapshot:
        left = sweep.unfinished(snapshot)
        assert sweep.left(snapshot) >= len(left) > 0
        sweep.statuses(snapshot)
        known = sweep.trials(snapshot)
        board = Ledger(sweep, build_policy(sweep.study)).load(known, len(known), {t.name for t in left}, snapshot)
    assert [state.name for state in board.states] == [trial.name for trial in known]
    parquet = {path: count for path, count in reads.items() if path.endswith(".parquet")}
    assert set(parquet) == {str(path) for path in (tmp_path / study / "store").rglob("*.parquet")}
    assert set(parquet.values()) == {1}


RESUME = """
import contextlib, json, sys
from tune_at.store.place import LocalPlace
reads, read = [], LocalPlace.read_bytes
def counted(self, *arguments):
    reads.append(str(self))
    return read(self, *arguments)
LocalPlace.read_bytes = counted
from tune_at.tuning import runner
def fit(self):
    print("READ", json.dumps(reads), flush=True)
runner.tune.Tuner.fit = fit  # nothing is trained, and no Ray is started
runner.ray_session = lambda *arguments: contextlib.nullcontext([])
runner.require_cluster = lambda *arguments: None
runner._at_once = lambda *arguments: 1
from tune_at.cli.main import main
main(["resume", sys.argv[1]])
"""


@pytest.mark.slow
def test_resume_reads_each_file_of_the_store_once(tmp_path):
    import json

    sweep = shutil.copytree(V1 / "grid-killed", tmp_path / "grid")
    done = subprocess.run(
        [sys.executable, "-c", RESUME, str(sweep)], capture_output=True, text=True, cwd=ROOT, timeout=600
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("READ ")), None)
    assert line is not None, done.stdout + done.stderr
    counts = Counter(path for path in json.loads(line[5:]) if path.endswith(".parquet"))
    assert set(counts) == {str(path) for path in (tmp_path / "grid" / "store").rglob("*.parquet")}
    assert set(counts.values()) == {1}
    assert to_place(sweep).exists()


def test_a_lock_file_that_was_removed_while_it_was_opened_holds_nothing(tmp_path, monkeypatch):
    folder = SweepFolder.of(tmp_path)
    flock = fcntl.flock

    def removed_first(file, how):
        folder.lock.unlink()
        flock(file, how)

    monkeypatch.setattr("tune_at.store.lock.fcntl.flock", removed_first)
    with pytest.raises(Locked), sweep_lock(folder):
        pass
    monkeypatch.undo()
    with sweep_lock(folder):
        assert folder.lock.exists()
