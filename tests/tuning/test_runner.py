"""Sweeps of enough trials to be folded, run by the real driver but for Ray."""

import os
import shutil
import subprocess
import sys

import pytest
from processes import ROOT, difference, results

from tune_at.store.fold import BATCH
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import list_files
from tune_at.store.schema import part_key
from tune_at.store.writer import part_path, write_rows

STUDY = f"""\
title: Tiny trials
base:
  data: {{name: digits, subset: 64, validation: 0.05}}
  model: {{name: small_cnn, width: 4}}
  attack: {{eps: 0.1, step: 0.05, steps: 2}}
  train: {{epochs: 2, batch_size: 24}}
  evaluation: {{steps: 2, train_samples: 32}}
axes: {{optim.lr: {[round(0.01 * (number + 1), 3) for number in range(BATCH + 2)]}}}
"""


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "without_ray.py"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip


@pytest.mark.slow
def test_a_sweep_is_folded_while_it_runs_and_at_its_end_and_damage_of_folds_is_undone(tmp_path):
    (tmp_path / "tiny.yaml").write_text(STUDY)
    sweep, folder = tmp_path / "t", SweepFolder.of(tmp_path / "t")
    first = run("sweep", tmp_path / "tiny.yaml", "--storage", tmp_path, "--name", "t", TRIALS=str(BATCH + 1))
    assert first.returncode == 130, first.stdout + first.stderr
    assert f"1 of {BATCH + 2} trials left" in first.stdout
    assert [(fold.first, fold.last) for fold in list_files(folder, "epochs").folds] == [(1, 2)]
    second = run("resume", sweep)
    assert second.returncode == 0, second.stdout + second.stderr
    for table in ("trials", "epochs"):
        files = list_files(folder, table)
        assert (len(files.folds), len(files.parts)) == (1, 0)
    whole = shutil.copytree(sweep, tmp_path / "whole")

    # An evaluation beside a damaged fold: the one is kept, the other written again, from checkpoints.
    evaluation = {
        "trial": results(sweep, "trials")["trial"][0].as_py(), "checkpoint": "best", "attack": "pgd-20", "batch": 0,
        "epoch": 2, "split": "test", "n": 10, "correct": 5, "accuracy": 0.5, "settings": {},
    }  # fmt: skip
    write_rows(sweep, "evaluations", evaluation["trial"], [evaluation])
    kept = part_path(sweep, "evaluations", evaluation["trial"], part_key("evaluations", evaluation)).read_bytes()
    for table in ("epochs", "trials"):
        (fold,) = list_files(folder, table).folds
        torn = fold.place.read_bytes()[:-40]
        fold.place.write_whole(torn)
        again = run("resume", sweep)
        assert again.returncode == 0, again.stdout + again.stderr
        assert f"{fold.place}: is damaged: " in again.stdout
        assert torn in [path.read_bytes() for path in folder.damaged.files()]
        assert not difference(sweep, whole, "epochs")
        assert not difference(sweep, whole, "trials")
        evaluated = part_path(sweep, "evaluations", evaluation["trial"], part_key("evaluations", evaluation))
        assert evaluated.read_bytes() == kept
