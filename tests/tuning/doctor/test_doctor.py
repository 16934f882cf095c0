"""Each line of `doctor`: what it says of what is there and of what is not, and its remedy."""

import shutil
import socket
import sys
from collections import namedtuple
from importlib import metadata

import pytest
import torch
from s3_server import s3, without_aws  # noqa: F401

from tune_at.config.data import DATASETS, Vision
from tune_at.store.place import to_place
from tune_at.tuning.doctor import machine, software
from tune_at.tuning.doctor.check import State, size
from tune_at.tuning.doctor.cluster import _fresh, cluster_checks
from tune_at.tuning.doctor.machine import devices
from tune_at.tuning.doctor.software import versions
from tune_at.tuning.doctor.surroundings import data, storage_checks

Usage = namedtuple("Usage", "total used free")


def by_name(checks):
    return {check.what: check for check in checks}


def test_versions_are_those_that_are_installed():
    found = by_name(versions())
    assert {check.state for check in found.values()} == {State.OK}
    assert f"ray {metadata.version('ray')}" in found["packages"].says
    assert f"torch {torch.__version__.partition('+')[0]}" in found["packages"].says


def test_packages_that_are_missing_or_too_old(monkeypatch):
    required = ["numpy>=9999", "no-such-package>=1", "rich>=1", "torch<1; python_version < '3'", "x>=1; extra == 'dev'"]
    monkeypatch.setattr(software, "_required", lambda: required)
    failed = {check.what: check for check in versions() if check.state == State.FAILED}
    assert list(failed) == ["numpy", "no-such-package"]
    assert failed["numpy"].says == f"{metadata.version('numpy')} is installed; >=9999 is needed"
    assert failed["no-such-package"].says == "is not installed; >=1 is needed"
    assert "pip install -c constraints.txt" in failed["numpy"].remedy


def test_what_is_required_is_what_the_project_says():
    names = {line.partition(">")[0].partition("[")[0] for line in software._required()}
    assert {"ray", "torch", "duckdb", "rich"} <= names


def test_an_older_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    check = by_name(versions())["python"]
    assert (check.state, check.remedy) == (State.FAILED, "install Python 3.11 or newer")


def test_devices_of_this_machine():
    found = by_name(devices())
    assert not [check for check in found.values() if check.state == State.FAILED]
    assert ("GPU" in found) == (not torch.cuda.is_available())
    assert "GFLOP/s" in found["fp32"].says
    assert "of fp32" in found["bf16"].says


def test_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        list(devices())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("ratio", "state", "part"),
    [
        (2.1, State.OK, "×2.1 of fp32"),
        (0.2, State.NOTE, "×0.2 of fp32 in products and convolutions: nothing is gained"),
    ],
)
def test_a_precision_that_is_slower_is_not_advised(ratio, state, part):
    check = machine._compared("bf16", ratio)
    assert check.state == state
    assert part in check.says
    assert ("train.precision=bf16" in check.says) == (state == State.OK)


def test_a_torch_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (check,) = devices()
    assert (check.what, check.state) == ("torch", State.FAILED)


def test_no_room(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 9 * 10**8, 10**8))
    found = by_name(machine._room())
    assert found["temporary files"].state == State.NOTE
    assert "100 MB free" in found["temporary files"].says
    check = by_name(storage_checks(to_place(tmp_path)))["storage"]
    assert check.state == State.NOTE
    assert check.says.endswith("100 MB free")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert by_name(machine._room())["temporary files"].state == State.FAILED


def test_a_gpu_that_torch_does_not_find(monkeypatch):
    monkeypatch.setattr(machine.Path, "exists", lambda self: str(self) == "/dev/nvidia0")
    assert "built for CPUs: install its CUDA build" in machine._no_gpu(None).remedy
    assert "nvidia-smi" in machine._no_gpu("12.8").remedy


def test_data_sets_that_are_there_incomplete_or_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("TUNE_AT_DATA", str(tmp_path))
    shards = tmp_path / "cifar10"
    shards.mkdir()
    for name in ("train-00000-of-00001", "test-00000-of-00001"):
        (shards / f"{name}.parquet").touch()
    (tmp_path / "cifar100").mkdir()
    (tmp_path / "cifar100" / "train-00000-of-00002.parquet").touch()
    (tmp_path / "cifar100" / "test-00000-of-00001.parquet").touch()
    found = by_name(data())
    assert set(DATASETS) <= set(found)
    assert (found["cifar10"].state, found["cifar10"].says) == (State.OK, f"2 Parquet files in {shards}")
    assert (found["cifar100"].state, found["cifar100"].says) == (State.NOTE, "has no train-00001-of-00002.parquet")
    assert found["svhn"].state == State.NOTE
    assert f"`python run.py data fetch svhn --data-dir {tmp_path}` downloads it" in found["svhn"].remedy
    assert found["digits"].state == State.OK


def test_a_folder_of_data_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("TUNE_AT_DATA", str(tmp_path / "gone"))
    found = by_name(data())
    assert (found["TUNE_AT_DATA"].state, found["TUNE_AT_DATA"].says) == (State.NOTE, f"{tmp_path}/gone is not a folder")
    missing = {name for name, check in found.items() if check.state == State.NOTE} - {"TUNE_AT_DATA"}
    assert missing == {name for name, entry in DATASETS.items() if issubclass(entry.config, Vision)}
    monkeypatch.delenv("TUNE_AT_DATA")
    monkeypatch.setenv("TUNE_AT_CACHE", str(tmp_path / "none"))
    assert "TUNE_AT_DATA" not in by_name(data())  # the cache's own folder comes with the first data set


def test_storage_without_a_bucket_or_credentials(s3, monkeypatch):  # noqa: F811
    (check,) = storage_checks(to_place(s3.uri("no-such-bucket/runs")))
    assert (check.state, check.remedy) == (State.FAILED, "create it, or name another")
    assert "s3://no-such-bucket/runs: there is no such bucket" in check.says
    (check,) = storage_checks(to_place(s3.uri()))
    assert check.state == State.OK
    assert "free" not in check.says


def test_an_address_at_which_nobody_answers(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        (check,) = cluster_checks(f"127.0.0.1:{taken.getsockname()[1]}", to_place(tmp_path))
    assert check.state == State.FAILED
    assert "no cluster can be reached there: Connection refused" in check.says
    assert check.remedy == "start one with `ray start --head`, or omit --address"


def test_a_fresh_ray_asks_for_a_token_unless_it_is_told_not_to(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert {check.state for check in _fresh()} == {State.OK}
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    token = by_name(_fresh())["token"]
    assert (token.state, token.remedy) == (State.NOTE, "unset RAY_AUTH_MODE")


@pytest.mark.parametrize(
    ("count", "shown"), [(8192, "8 kB"), (850e6, "850 MB"), (3.14e9, "3.1 GB"), (42e9, "42.0 GB"), (0, "0 kB")]
)
def test_sizes(count, shown):
    assert size(count) == shown
