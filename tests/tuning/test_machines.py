"""What is taken of the machines: Ray's accounts, and an `nvidia-smi` that answers, hangs or fails."""

import os
import stat

import pytest

from tune_at.tuning import machines
from tune_at.tuning.machines import Capacity, Gpu, from_record, in_lines, local_gpus, parsed

H100 = Gpu(0, "NVIDIA H100", 0.93, 12392.0, 81559.0)


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """A function that makes this `nvidia-smi`'s program."""

    def make(script):
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return make


def test_what_ray_has_given_away_is_taken():
    both = Capacity.of(2, {"CPU": 16.0, "GPU": 2.0, "memory": 1e9}, {"CPU": 4.0, "GPU": 0.5})
    assert str(both) == "2 nodes, 12 of 16 CPUs, 1.5 of 2 GPUs taken"
    assert str(Capacity.of(1, {"CPU": 1.0}, {})) == "1 node, 1 of 1 CPU taken"  # used up: not in Ray's account
    assert str(Capacity.of(1, {}, {})) == "1 node"


def test_a_gpu_is_told_as_nvidia_smi_does(smi):
    smi("echo '0, NVIDIA H100, 93, 12392, 81559'; echo '1, NVIDIA A100 MIG 1g.5gb, [N/A], 10, 4864'; echo noise")
    found = local_gpus()
    assert found == [H100, Gpu(1, "NVIDIA A100 MIG 1g.5gb", None, 10.0, 4864.0)]
    assert str(found[0]) == "GPU 0 (NVIDIA H100): 93% busy, 12.1 of 79.6 GiB"
    assert str(found[1]) == "GPU 1 (NVIDIA A100 MIG 1g.5gb): 0.0 of 4.8 GiB"
    assert str(Gpu(2, "X", None, None, None)) == "GPU 2 (X): load unknown"


def test_where_nothing_can_be_asked_nothing_is_said(smi, monkeypatch, tmp_path):
    smi("echo broken; exit 9")
    assert local_gpus() is None
    monkeypatch.setattr(machines, "ANSWER_SECONDS", 0.2)
    smi("exec sleep 60")
    assert local_gpus() is None
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert local_gpus() is None
    assert parsed("") == []


def test_many_gpus_are_one_line_and_of_several_nodes_it_is_said_whose():
    gpus = [Gpu(number, "NVIDIA H100", number / 10, 1024.0 * number, 81920.0) for number in range(4)]
    assert in_lines(None, gpus) == ["4 GPUs (NVIDIA H100): 0% to 30% busy, 0.0 to 3.0 of 80.0 GiB"]
    lines = in_lines(Capacity(2, 16.0, 8.0, 8.0, 8.0), [H100])
    assert lines == [
        "2 nodes, 8 of 16 CPUs, 8 of 8 GPUs taken",
        "GPU 0 (NVIDIA H100) on the driver's node: 93% busy, 12.1 of 79.6 GiB",
    ]
    assert in_lines(None, []) == []


def test_a_record_of_another_form_is_no_record():
    assert from_record({"capacity": {"nodes": 1}, "gpus": None}) == (None, [])
    assert from_record({"capacity": None, "gpus": [{"index": 1}]}) == (None, [])
    assert from_record({}) == (None, [])
