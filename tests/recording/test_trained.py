"""A trained network in a script of one's own, and in files that need no Tune-AT."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from processes import ROOT, planned, run_epochs

import tune_at
from tune_at.cli.main import main
from tune_at.errors import UserError
from tune_at.models import build_model
from tune_at.store import read_table
from tune_at.training.trainer import Trainer

STUDY = """\
title: Trained
base:
  data: {name: digits, subset: 100, validation: 0.1, noise_rate: 0.2}
  model: {name: small_cnn, width: 4}
  attack: {eps: 0.1, step: 0.05, steps: 2}
  train: {epochs: 3, batch_size: 50}
  evaluation: {steps: 2, train_samples: 20}
axes: {objective: [pgd_at, co_teaching]}
"""


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY)
    made = planned(tmp_path / "s.yaml", tmp_path, "a")
    for trial in made.study.trials():
        run_epochs(made, trial, 3)
    return made


@pytest.mark.parametrize("trial", ["00-pgd_at-s0", "01-co_teaching-s0"])
@pytest.mark.parametrize("checkpoint", ["best", "final", "2"])
def test_it_is_as_right_as_its_row_says(sweep, trial, checkpoint):
    torch.set_num_threads(2)
    net, test = tune_at.load_trained(str(sweep.folder), trial, checkpoint)
    assert torch.get_num_threads() == 2  # the caller's
    assert (test.images.dtype, tuple(test.images.shape[1:])) == (torch.float32, (1, 8, 8))
    assert 0 <= float(test.images.min()) < float(test.images.max()) == 1
    assert not net.training and not any(parameter.requires_grad for parameter in net.parameters())
    right = float((net(test.images).argmax(1) == test.labels).double().mean())
    alone = tune_at.load_network(str(sweep.folder), trial, checkpoint)
    rows = read_table(str(sweep.folder), "epochs")
    row = rows[(rows["trial"] == trial) & (rows["epoch"] == alone.epoch)].iloc[0]
    assert right == pytest.approx(row["test_natural_accuracy"], abs=1e-12)
    assert alone.metrics["test_natural_accuracy"] == row["test_natural_accuracy"]
    assert alone.epoch == {"best": alone.epoch, "final": 3, "2": 2}[checkpoint]
    assert torch.equal(alone.network(test.images), net(test.images))
    # Attacks can be run on it.
    images = test.images[:4].clone().requires_grad_()
    net(images).sum().backward()
    assert images.grad.abs().sum() > 0


def test_splits_have_their_images_and_labels(sweep):
    sizes, trainer = {}, Trainer(sweep.study.trials()[0].config)
    for split in ("train", "val", "test"):
        _, examples = tune_at.load_trained(str(sweep.folder), "00-pgd_at-s0", split=split)
        sizes[split] = len(examples.labels)
        # In the order of the split, which the column `example` of the table `samples` counts.
        batch = trainer.data[split].take(torch.arange(sizes[split]))
        assert torch.equal(examples.images, batch.x)
        assert torch.equal(examples.labels, batch.y)
    assert sizes == {"train": 100, "val": 144, "test": 360}


@pytest.mark.parametrize(
    ("trial", "arguments", "line"),
    [
        ("00-pgd_at", {}, "trial 00-pgd_at: is not one of .*; did you mean 00-pgd_at-s0"),
        ("00-pgd_at-s0", {"checkpoint": "9"}, "has no checkpoint '9'; of this trial there are best, final, 2, 3"),
        ("00-pgd_at-s0", {"split": "valid"}, "'valid' has no images here; choose one of train, val, test"),
    ],
)
def test_what_is_not_there_is_named(sweep, trial, arguments, line):
    with pytest.raises(UserError, match=line):
        tune_at.load_trained(str(sweep.folder), trial, **arguments)


def test_a_network_without_its_data(sweep, monkeypatch):
    from tune_at.data import identity

    def gone(config):
        raise UserError("data", "is not here", "fetch it")

    monkeypatch.setattr(identity, "load_source", gone)
    with pytest.raises(UserError, match="is not here"):
        tune_at.load_trained(str(sweep.folder), "00-pgd_at-s0")
    assert tune_at.load_network(str(sweep.folder), "00-pgd_at-s0").epoch > 0


def command(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0


LOADERS = {
    "--torchscript": (
        "import sys, torch, numpy as np\n"
        "known = {'metadata': '', 'config': '', 'epoch': ''}\n"
        "net = torch.jit.load(sys.argv[1], _extra_files=known)\n"
        "assert known['config'] and known['epoch']\n"
        "logits = net(torch.from_numpy(np.load(sys.argv[2]))).numpy()\n"
    ),
    "--onnx": (
        "import sys, numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "assert session.get_modelmeta().custom_metadata_map['epoch']\n"
        "(logits,) = session.run(None, {session.get_inputs()[0].name: np.load(sys.argv[2])})\n"
    ),
}


BARE = "assert not [m for m in sys.modules if m.startswith('tune_at')]\nnp.save('logits', logits)\n"


@pytest.mark.parametrize("form", LOADERS)
def test_a_bare_process_gets_the_same_logits(sweep, form, tmp_path, capsys):
    if form == "--onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    command(["export", str(sweep.folder), "--trial", "00-pgd_at-s0", form, "--to", str(tmp_path / "net")])
    assert "small_cnn of 00-pgd_at-s0 after epoch" in capsys.readouterr().out
    net, test = tune_at.load_trained(str(sweep.folder), "00-pgd_at-s0")
    for count in (1, 7):  # whatever the batch that it was traced with
        np.save(tmp_path / "x.npy", test.images[:count].numpy())
        code = (
            LOADERS[form] + "assert not [m for m in sys.modules if m.startswith('tune_at')]\nnp.save('logits', logits)"
        )
        arguments = [sys.executable, "-I", "-c", code, str(tmp_path / "net"), str(tmp_path / "x.npy")]
        subprocess.run(arguments, check=True, cwd=tmp_path, capture_output=True, text=True)
        torch.testing.assert_close(
            torch.from_numpy(np.load(tmp_path / "logits.npy")), net(test.images[:count]), rtol=1e-4, atol=1e-5
        )


def test_safetensors_fit_a_network_that_is_built_by_itself(sweep, tmp_path):
    from safetensors import safe_open

    path = tmp_path / "net.safetensors"
    command(["export", str(sweep.folder), "--trial", "01-co_teaching-s0", "--checkpoint", "final", "--to", str(path)])
    with safe_open(str(path), "pt") as file:
        known, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert (known["trial"], known["checkpoint"], known["epoch"]) == ("01-co_teaching-s0", "final", "3")
    assert json.loads(known["input"]) == {"shape": [1, 8, 8], "range": [0, 1]}
    assert "test_robust_accuracy" in json.loads(known["accuracies"])
    net, test = tune_at.load_trained(str(sweep.folder), "01-co_teaching-s0", "final")
    config = tune_at.TrialConfig.parse(json.loads(known["config"]))
    fresh = build_model(config.model, int(known["classes"]), 1, 8).eval()
    fresh.load_state_dict(weights)
    torch.testing.assert_close(fresh(test.images), net(test.images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--trial", "x", "--to", "n"], "trial x: is not one of"),
        (["--trial", "00-pgd_at-s0", "--checkpoint", "7", "--to", "n"], "has no checkpoint '7'"),
        (["--trial", "00-pgd_at-s0", "--to", "no/such/n"], "--to: no/such/n is no file in a folder that exists"),
        (
            ["--trial", "00-pgd_at-s0", "--to", "s.yaml"],
            "--to: s.yaml exists; name another file, or replace it with --force",
        ),
    ],
)
def test_an_export_that_cannot_be_is_one_line_and_no_file(sweep, arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "s.yaml").read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["export", str(sweep.folder), *arguments])
    assert ended.value.code == 2
    assert line in capsys.readouterr().err
    assert not (tmp_path / "n").exists()
    assert (tmp_path / "s.yaml").read_bytes() == before
    command(["export", str(sweep.folder), "--trial", "00-pgd_at-s0", "--to", "s.yaml", "--force"])
    assert (tmp_path / "s.yaml").read_bytes() != before


PAGE = ROOT / "docs" / "from_a_checkpoint.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"^(?:from|import) (\w+)", re.MULTILINE)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_each_snippet_of_the_page_runs(sweep, number, tmp_path):
    """In a process of its own after the page's first one, which loads the network; what is not installed is skipped."""
    for package in set(NEEDS.findall(SNIPPETS[number])) - {"tune_at", "torch"}:
        pytest.importorskip(package)
    code = SNIPPETS[0] + (SNIPPETS[number] if number else "")
    code = code.replace("runs/NAME", str(sweep.folder)).replace("test.images[:500]", "test.images[:8]")
    code = code.replace("test.labels[:500]", "test.labels[:8]").replace("8 / 255", "0.1")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command_line = [sys.executable, "-c", code]
    done = subprocess.run(command_line, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d", done.stdout)
