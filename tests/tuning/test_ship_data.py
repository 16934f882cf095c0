"""Data that only the driver has: Ray's object store brings it to the workers."""

import numpy as np
import pytest
from processes import PATIENCE_WITH_PROCESSES, run

from tune_at.data.arrays import ImageSet, Source, plain
from tune_at.store import read_table

STUDY = """\
title: Two epochs on a small CIFAR-10
base:
  data: {name: cifar10, subset: 60, validation: 0.001}
  model: {name: small_cnn, width: 4}
  objective: standard
  train: {epochs: 2, batch_size: 20}
  evaluation: {steps: 1, every: 2, train_samples: 20, test_samples: 50}
"""

# A worker that looks for the files fails: the driver alone has them, under a path that it does not hand on.
DRIVER = """\
import sys, numpy as np
from tune_at.data import sources
from tune_at.data.arrays import ImageSet, Source
rng = np.random.default_rng(0)
made = [ImageSet(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), np.arange(n) % 10) for n in (50_000, 10_000)]
sources.provide({"cifar10": Source(*made)})
from tune_at.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("ship", [True, False])
def test_workers_train_on_data_that_the_driver_alone_has(tmp_path, monkeypatch, ship):
    import subprocess
    import sys

    monkeypatch.setenv("TUNE_AT_DATA", str(tmp_path / "empty"))
    (tmp_path / "s.yaml").write_text(STUDY)
    flags = ["--ship-data"] if ship else []
    command = [sys.executable, "-c", DRIVER, "sweep", tmp_path / "s.yaml", "--storage", tmp_path, "--name", "a", *flags]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=PATIENCE_WITH_PROCESSES)
    trials = read_table(tmp_path / "a", "trials")
    if ship:
        assert done.returncode == 0, done.stdout + done.stderr
        assert trials["status"].tolist() == ["completed"]
    else:
        assert done.returncode == 1
        assert trials["status"].tolist() == ["failed"]
        assert "data fetch cifar10" in trials["error"][0]
        assert "data fetch cifar10" in run("status", tmp_path / "a").stdout + done.stdout


def test_plain_arrays_hold_no_mapped_file(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 2, 2), dtype=np.uint8))
    mapped = ImageSet(np.load(tmp_path / "x.npy", mmap_mode="r"), np.zeros(2, dtype=np.int64))
    assert not isinstance(plain(mapped).images, np.memmap)
    assert isinstance(Source(mapped, mapped).train.images, np.memmap)
