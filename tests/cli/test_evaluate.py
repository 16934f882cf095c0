"""`evaluate` as it is typed: what cannot be is one line before anything is written, what is odd is said."""

import json
import shutil
import warnings
import zipfile

import pytest
import torch
from processes import planned, run_epochs
from tasks_here import command  # noqa: F401

from tune_at import load_trained
from tune_at.models import build_model
from tune_at.store import read_table

STUDY = """\
title: What evaluate meets
base:
  data: {name: digits, subset: 100, validation: 0.1}
  model: {name: small_cnn, width: 4}
  attack: {eps: 0.1, step: 0.05, steps: 2}
  train: {epochs: 2, batch_size: 50}
  evaluation: {steps: 1, train_samples: 20}
axes: {objective: [pgd_at, standard], optim.lr: [0.05, 1e20]}
"""
WELL, LOST, UNFINISHED, PENDING = (
    "00-pgd_at-lr=0.05-s0", "01-pgd_at-lr=1e+20-s0", "02-standard-lr=0.05-s0", "03-standard-lr=1e+20-s0",
)  # fmt: skip
QUICK = ("--attack", "pgd-2", "-n", "100")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A sweep whose first trial has ended, whose second has diverged, and whose third has not ended."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "s.yaml").write_text(STUDY)
    sweep = planned(folder / "s.yaml", folder, "a")
    for trial, epochs in zip(sweep.study.trials(), (2, 1, 1), strict=False):
        run_epochs(sweep, trial, epochs)
    statuses = dict(zip(*(read_table(str(sweep.folder), "trials")[name] for name in ("trial", "status")), strict=True))
    assert statuses == {WELL: "completed", LOST: "diverged", UNFINISHED: "running"}
    return str(sweep.folder)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--trials", WELL, "--checkpoint", "7"],
            f"trial {WELL}: has no checkpoint '7'; of this trial there are best,",
        ),
        (["--checkpoint", "²"], f"trial {WELL}: has no checkpoint '²'; of this trial there are best, final, 1, 2"),
        (["--trials", "best:1", "--checkpoint", "bset"], f"trial {WELL}: has no checkpoint 'bset'"),
        (["--trials", LOST], f"trial {LOST}: has no checkpoint 'best'; of this trial there are final, 1"),
        (["--trials", UNFINISHED], f"--trials {UNFINISHED}: it has not ended yet; wait for it, or resume the sweep"),
        (["--trials", PENDING], f"--trials {PENDING}: it has not been started yet; wait for it, or resume the sweep"),
        (["--eps", "2"], "--eps: '2' is not a length in pixels on [0, 1]; write it as 8/255 or 0.031"),
        (["--step", "x/255"], "--step: 'x/255' is not a length in pixels on [0, 1]; write it as 8/255 or 0.031"),
        (["--attack", "autoatack"], "attack: 'autoatack' is unknown; did you mean autoattack?"),
        (
            ["-n", "361"],
            f"-n: 361 is more than the 360 images that {WELL} has in 'test'; give at most 360, or leave it",
        ),
        (["-n", "101", "--split", "train"], f"-n: 101 is more than the 100 images that {WELL} has in 'train'"),
        (["-n", "²"], "evaluate: argument -n: '²' is not a whole number above 0"),
        (["--model", "resnet18"], "--model: is said of weights from elsewhere; name them with --weights FILE, or omit"),
        (["--set", "attack.norm=l2"], "--set: is said of weights from elsewhere; name them with --weights FILE"),
    ],
)
def test_what_cannot_be_is_one_line_and_no_row(trained, command, words, line):  # noqa: F811
    code, _, errors = command("evaluate", trained, *words)
    assert (code, len(errors)) == (2, 1)
    assert errors[0].startswith(f"tune-at: error: {line}")
    assert read_table(trained, "evaluations").empty


def test_a_radius_unlike_the_trainings_is_said(trained, command, tmp_path):  # noqa: F811
    sweep = shutil.copytree(trained, tmp_path / "a")
    code, lines, errors = command("evaluate", sweep, *QUICK, "--checkpoint", "final", "--eps", "0.05")
    assert (code, errors) == (0, [])
    assert "note: pgd-2 eps=0.05: eps is 0.05, and 0.1 in the training of 1 trial" in lines
    (row,) = read_table(sweep, "evaluations").to_dict("records")
    assert (row["attack"], json.loads(row["settings"])["eps"]) == ("pgd-2 eps=0.05", 0.05)
    # The same radius in other words is the training's own.
    _, lines, _ = command("evaluate", sweep, *QUICK, "--checkpoint", "final", "--eps", "25.5/255")
    assert not any("in the training of" in line for line in lines)


def test_a_trial_that_has_diverged(trained, command, tmp_path):  # noqa: F811
    """Passed over, unless it is named; then its network, which is NaN, is right nowhere."""
    sweep = shutil.copytree(trained, tmp_path / "a")
    _, lines, _ = command("evaluate", sweep, *QUICK, "--checkpoint", "final")
    assert f"passed over: {LOST}: it has diverged, and its last weights may be NaN" in lines
    assert set(read_table(sweep, "evaluations")["trial"]) == {WELL}
    code, lines, errors = command("evaluate", sweep, *QUICK, "--checkpoint", "final", "--trials", "all", LOST)
    assert (code, errors) == (0, [])
    assert f"note: {LOST}: it has diverged, and its last weights may be NaN" in lines
    rows = read_table(sweep, "evaluations").set_index("trial")
    assert rows.loc[LOST, ["natural_correct", "correct", "n"]].tolist() == [0, 0, 100]
    network, test = load_trained(str(sweep), LOST, "final")
    assert network(test.images[:1]).isnan().all()


def test_a_damaged_checkpoint_is_named_and_the_rest_is_evaluated(trained, command, tmp_path):  # noqa: F811
    sweep = shutil.copytree(trained, tmp_path / "a")
    best = sweep / "checkpoints" / WELL / "best.pt"
    best.write_bytes(best.read_bytes()[:1000])
    code, lines, errors = command("evaluate", sweep, *QUICK)
    assert (code, errors) == (1, [])
    (again,) = (line for line in lines if line.startswith("1 of 2 evaluations failed; try again with: "))
    assert again.endswith(f" evaluate {sweep} --attack pgd-2 -n 100")
    assert read_table(sweep, "evaluations")["checkpoint"].tolist() == ["epoch-000002"]
    (row,) = (line.split() for line in lines if f"{WELL}  best" in line)
    assert row[-2:] == ["-", "-"]


def weights(classes=10, channels=1, model="small_cnn"):
    return build_model(model, classes, channels, 8).state_dict()


def save(path, content):
    torch.save(content, path)


def write_torchscript(path, _):
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def write_archive(path, _):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")


def write_half(path, content):
    torch.save(content, path)
    path.write_bytes(path.read_bytes()[:5000])


UNREADABLE = "is not a file of torch.save, or it is damaged; save it again by torch.save(network.state_dict(), FILE)"
FILES = {
    "other architecture": (
        save,
        lambda: weights(model="wrn-10-1"),
        "does not fit small_cnn: missing: features.1.weight",
    ),
    "other classes": (save, lambda: weights(classes=100), "has 100 classes, the data 10; name its own --data"),
    "other channels": (
        save,
        lambda: weights(channels=3),
        "does not fit small_cnn: of another shape: features.0.weight",
    ),
    "a network": (
        save,
        lambda: build_model("small_cnn", 10, 1, 8),
        "is not a file of tensors alone: it holds tune_at.mo",
    ),
    "no weights": (
        save,
        lambda: {"epoch": 3},
        "holds no weights: its keys are epoch; weights are expected under one of",
    ),
    "diverged": (
        save,
        lambda: {n: v * torch.nan for n, v in weights().items()},
        "has values that are not finite: feat",
    ),
    "text": (lambda path, _: path.write_text("these are no weights\n"), lambda: None, UNREADABLE),
    "empty": (lambda path, _: path.touch(), lambda: None, UNREADABLE),
    "half": (write_half, weights, UNREADABLE),
    "an archive": (write_archive, lambda: None, UNREADABLE),
    "a program": (
        write_torchscript,
        lambda: None,
        "is not a file of tensors alone, but a program of TorchScript; save",
    ),
    "a folder": (lambda path, _: path.mkdir(), lambda: None, "Is a directory; name a file of weights"),
    "nothing": (lambda path, _: None, lambda: None, "No such file or directory; name a file of weights"),
}


@pytest.mark.parametrize("kind", FILES)
def test_weights_that_are_none_or_of_another_network(kind, command, tmp_path, recwarn):  # noqa: F811
    write, content, line = FILES[kind]
    write(path := tmp_path / "w.pt", content())
    into = tmp_path / "runs" / "theirs"
    words = ("--weights", path, "--into", into, "--model", "small_cnn", "--data", "digits")
    code, out, errors = command("evaluate", *words, *QUICK)
    assert (code, out, len(errors)) == (2, [], 1)
    assert errors[0].startswith(f"tune-at: error: --weights {path}: {line}")
    assert "\x1b" not in errors[0] and len(errors[0]) < 500
    assert not [str(warning.message) for warning in recwarn if "torch" in str(warning.filename)]
    assert not into.parent.exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--into", "theirs", "--model", "small_cn"], "model.name: 'small_cn' is unknown; did you mean small_cnn?"),
        (["--into", "theirs", "--set", "model.width=x"], "model.width: 'x' is refused: it is not a whole number"),
        (["--into", "theirs", "--set", "width=8"], "--set width: no such key; did you mean model.width?"),
        (
            ["--into", "theirs", "--mean", "0.5"],
            "--mean, --std: one of them is missing; give both, by channel, or neither",
        ),
        (["--into", "there"], "--into there: exists, and is no sweep; name another folder"),
        (["--into", "."], "--into .: exists, and is no sweep; name another folder"),
        (["theirs", "--into", "theirs"], "evaluate theirs: stands beside --weights; name the folder by --into alone"),
        ([], "--weights: --into is missing; give --into DIR/NAME, --model and --data"),
    ],
)
def test_weights_with_words_that_do_not_fit(words, line, command, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    torch.save(weights(), "w.pt")
    (tmp_path / "there").mkdir()
    named = [] if "--model" in words else ["--model", "small_cnn"]
    code, out, errors = command("evaluate", *words, *named, "--weights", "w.pt", "--data", "digits")
    assert (code, out, len(errors)) == (2, [], 1)
    assert errors[0].startswith(f"tune-at: error: {line}")
    assert not (tmp_path / "theirs").exists()


def test_weights_from_elsewhere_are_as_right_as_their_network(command, tmp_path):  # noqa: F811
    torch.manual_seed(0)
    network = build_model("small_cnn", 10, 1, 8)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "w.pt")
    into = tmp_path / "theirs"
    words = ("--weights", tmp_path / "w.pt", "--into", into, "--model", "small_cnn", "--data", "digits")
    code, lines, errors = command("evaluate", *words, "--attack", "pgd-2")
    assert (code, errors) == (0, [])
    _, test = load_trained(str(into), "00-s0")
    right = int((network.eval()(test.images).argmax(1) == test.labels).sum())
    rows = read_table(into, "evaluations")
    assert (rows["natural_correct"].sum(), rows["n"].sum()) == (right, len(test.labels))
    assert any(f" {100 * right / len(test.labels):.1f} " in line for line in lines)
