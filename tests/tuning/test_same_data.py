"""A sweep on a folder of images: interrupted, its data changed, put back, resumed, and read when the data is gone."""

import os
import shutil
import signal
import time

import pictures
import pytest
from processes import difference, run, start, stop_all, wait_for_team

STUDY = """\
title: Pets in a folder
base:
  data: {name: image_folder, path: my pets, image_size: 8, noise_rate: 0.4}
  model: {name: small_cnn, width: 4}
  objective: sat
  attack: {eps: 0.1, step: 0.05, steps: 1}
  train: {epochs: 60, batch_size: 9}
  evaluation: {steps: 1, every: 10, train_samples: 10}
figures: [memorization_curves]
"""


@pytest.fixture(autouse=True)
def clean():
    yield
    stop_all()


def stopped_after_a_checkpoint(driver, sweep):
    """Let the only worker run in short bursts until it has written a checkpoint; it is stopped when this returns."""
    (worker,) = wait_for_team(driver, 1)
    for _ in range(5000):
        os.kill(worker, signal.SIGSTOP)
        if list(sweep.glob("checkpoints/*/epoch-*.pt")):
            return
        os.kill(worker, signal.SIGCONT)
        time.sleep(0.03)
    raise TimeoutError(f"no checkpoint in {sweep}")


def content(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_with_its_own_images_only(tmp_path, monkeypatch):
    home = tmp_path / "home"
    root = pictures.folder(home / "my pets", 15)
    (root / "train" / "empty").mkdir()
    (home / "s.yaml").write_text(STUDY)
    study, sweep = home / "s.yaml", tmp_path / "a"
    monkeypatch.chdir(tmp_path)  # the path in the study's file starts from that file
    for _ in range(10):
        driver = start("sweep", study, "--storage", tmp_path, "--name", "a")
        stopped_after_a_checkpoint(driver, sweep)
        stop_all()
        if not list(sweep.glob("checkpoints/*/epoch-000060.pt")):
            break
        shutil.rmtree(sweep)  # it had ended already: the machine let the worker run and this process wait

    before = content(sweep)
    for i in range(3):
        pictures.picture(root / "train" / "cat" / f"new{i}.png", 700 + i)
    refused = run("resume", sweep)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    (line,) = refused.stderr.splitlines()
    assert "data: train has 33 images by now, 30 when the sweep began (data.path " in line
    assert "restore it, or start a new sweep" in line
    assert content(sweep) == before

    for i in range(3):
        (root / "train" / "cat" / f"new{i}.png").unlink()
    monkeypatch.chdir(home)  # nor does it matter where it is resumed
    done = run("resume", sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    whole = run("sweep", study, "--storage", tmp_path, "--name", "b")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "warning: data.path" in whole.stdout
    assert "1 folder without images (empty)" in whole.stdout
    for table in ("trials", "epochs"):
        assert not difference(sweep, tmp_path / "b", table)

    shutil.move(root, tmp_path / "moved")
    for arguments in (
        ("status", sweep),
        ("report", sweep),
        ("query", sweep, "SELECT count(*) FROM epochs"),
        ("resume", sweep),
    ):
        read = run(*arguments)
        assert read.returncode == 0, read.stdout + read.stderr
    new = run("sweep", study, "--storage", tmp_path, "--name", "c")
    assert new.returncode == 2
    assert "my pets is not a folder" in new.stderr
    assert not (tmp_path / "c").exists()
