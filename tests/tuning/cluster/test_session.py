"""Sweeps on clusters of several nodes, each a raylet on this machine."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from processes import STUDY, Gate, difference, kill, output_of, planned, run, run_epochs, start, stop_all, until
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from tune_at.errors import UserError
from tune_at.store import read_table
from tune_at.tuning.cluster.connect import find_cluster
from tune_at.tuning.cluster.tokens import MODE, TOKEN, TOKEN_PATH, write_token

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc"),
]
RIGHT = "7" * 64


@contextlib.contextmanager
def ray_cluster(*sizes, **environment):
    """Starts a cluster of nodes with so many CPUs; gives its address and a function that sends an order."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[2] / "support" / "ray_cluster.py"), *map(str, sizes)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**clean, "RAY_USAGE_STATS_ENABLED": "0", **environment},
    )  # fmt: skip

    def order(line):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        yield process.stdout.readline().strip(), order
    finally:
        process.stdin.close()
        try:
            process.wait(300)
        finally:
            with contextlib.suppress(ProcessLookupError):
                kill(process.pid)


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """Three nodes of one CPU each that ask for a token."""
    path = tmp_path_factory.mktemp("token") / "token"
    write_token(path, RIGHT)
    with ray_cluster(1, 1, 1, **{MODE: "token", TOKEN_PATH: str(path)}) as (address, order):
        yield address, order, path


@pytest.fixture(scope="module")
def unlocked():
    """Two nodes of one CPU each that obey anybody."""
    with ray_cluster(1, 1, **{MODE: "disabled"}) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def a_clean_environment(monkeypatch, tmp_path):
    for name in (MODE, TOKEN, TOKEN_PATH, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield
    stop_all()


def study(tmp_path):
    (tmp_path / "faults.yaml").write_text(STUDY)
    return tmp_path / "faults.yaml"


def test_a_token_is_asked_for_and_its_place_named(locked, monkeypatch, tmp_path):
    address, _, path = locked
    began = time.monotonic()
    with pytest.raises(UserError, match=r"asks for a token, and there is none here; put .*RAY_AUTH_TOKEN_PATH"):
        find_cluster(address)
    monkeypatch.setenv(TOKEN, "wrong")
    with pytest.raises(UserError, match=r"refuses the token from RAY_AUTH_TOKEN; put"):
        find_cluster(address)
    monkeypatch.delenv(TOKEN)
    monkeypatch.setenv(TOKEN_PATH, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"RAY_AUTH_TOKEN_PATH: .*nowhere does not exist"):
        find_cluster(address)
    assert time.monotonic() - began < 5 * 15  # five questions
    monkeypatch.setenv(TOKEN_PATH, str(path))
    found = find_cluster(address)
    assert (found.address, found.authenticated, found.warnings) == (address, True, ())
    open_path = tmp_path / "home" / ".ray" / "auth_token"
    open_path.parent.mkdir(parents=True)
    open_path.write_text(RIGHT + "\n")
    open_path.chmod(0o644)
    monkeypatch.delenv(TOKEN_PATH)
    assert find_cluster(address).warnings == (f"warning: others can read {open_path}: chmod 600 {open_path}",)


def test_other_versions_than_the_clusters(unlocked):
    address, _ = unlocked
    with grpc.insecure_channel(address) as channel:
        store = gcs_service_pb2_grpc.InternalKVGcsServiceStub(channel)
        place = {"namespace": b"cluster", "key": b"CLUSTER_METADATA"}
        before = store.InternalKVGet(gcs_service_pb2.InternalKVGetRequest(**place)).value
        try:
            for key, name in (("ray_version", "Ray"), ("python_version", "Python")):
                changed = json.dumps({**json.loads(before), key: "2.9.1"}).encode()
                store.InternalKVPut(gcs_service_pb2.InternalKVPutRequest(**place, value=changed, overwrite=True))
                with pytest.raises(UserError, match=rf"the cluster runs {name} 2\.9\.1, this program {name} \d"):
                    find_cluster(address)
        finally:
            store.InternalKVPut(gcs_service_pb2.InternalKVPutRequest(**place, value=before, overwrite=True))
    assert find_cluster(address).authenticated is False


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("resources.cpu=2", "2 CPUs a trial, but the largest of the cluster's 2 nodes has 1; set resources.cpu to"),
        ("resources.gpu=auto", "1 GPU a trial, but none of the cluster's 2 nodes has one; set resources.gpu=0"),
    ],
)
def test_a_trial_that_only_the_sum_of_the_nodes_could_hold(unlocked, tmp_path, override, message):
    address, _ = unlocked
    storage = tmp_path / "storage"
    done = run("sweep", study(tmp_path), "--storage", storage, "--address", address, "--set", override)
    assert done.returncode == 2, done.stdout
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert done.stdout.startswith(f"joining {address}, and trying one batch")
    assert "starting Ray" not in done.stdout
    assert f"warning: --address {address} runs without authentication" in done.stdout
    assert not storage.exists()


def test_doctor_tells_the_nodes_and_that_anybody_is_let_in(unlocked, tmp_path):
    address, _ = unlocked
    done = run("doctor", "--address", address, "--storage", tmp_path / "storage")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{address} answers" in done.stdout
    assert done.stdout.count("1 CPUs, 0 GPUs") == 2
    assert "runs without authentication: whoever can reach it can run any code there; start it with" in done.stdout
    assert not (tmp_path / "storage").exists()


def test_a_node_that_does_not_see_the_storage(unlocked, tmp_path):
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a mount namespace")
    address, order = unlocked
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    assert order(f"blind {hidden}") == "ready"
    done = run("sweep", study(tmp_path), "--storage", hidden / "runs", "--address", address)
    assert done.returncode == 2, done.stdout
    assert f"--storage: {hidden}/runs is not the same folder on node " in done.stderr
    assert done.stderr.count("\n") == 1
    looked = run("doctor", "--storage", hidden / "runs", "--address", address)
    assert looked.returncode == 1, looked.stdout + looked.stderr
    assert f"--storage: {hidden}/runs is not the same folder on node " in looked.stdout
    assert list(hidden.iterdir()) == []


def test_a_node_is_killed_while_it_trains(locked, monkeypatch, tmp_path):
    address, order, path = locked
    epochs = {"train.epochs": 10}
    planned(study(tmp_path), tmp_path, "whole", **epochs)
    cut = planned(study(tmp_path), tmp_path, "cut", **epochs)
    # Three nodes, four trials: the first runs to its end, the others wait where they go on from their fourth epoch.
    gates = []
    for trial in cut.study.trials()[1:]:
        run_epochs(cut, trial, 4)
        gates.append(Gate(cut.folder, trial.name))
    reference = start("resume", tmp_path / "whole")
    monkeypatch.setenv(TOKEN_PATH, str(path))
    driver = start("resume", tmp_path / "cut", "--address", address)
    until(lambda: all(gate.held() for gate in gates), driver)
    assert int(order("remove")) >= 1
    for gate in gates:
        gate.open()
    output = output_of(driver)
    assert driver.returncode == 0, output
    assert output.count("worker lost: ") == 1
    assert "warning" not in output
    assert "raylet" not in output
    assert read_table(tmp_path / "cut", "trials")["status"].tolist() == ["completed"] * 4

    output = output_of(reference)
    assert reference.returncode == 0, output
    for table in ("epochs", "trials"):
        assert not difference(tmp_path / "cut", tmp_path / "whole", table), table
    assert not (tmp_path / "home" / ".ray").exists()
