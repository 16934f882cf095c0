"""Runs in folders: by what is swept and has few values, each trial in one of its own."""

import pytest

from tune_at.recording.run_folders import RunFolders, trial_number
from tune_at.study.study import Study

BASE = "title: x\nbase: {data: {name: digits, validation: 0.05}, train: {epochs: 2, batch_size: 32}}\n"


@pytest.fixture
def runs(tmp_path):
    def build(text):
        path = tmp_path / "written.yaml"
        path.write_text(BASE + text)
        study = Study.resolve(str(path))
        folders = RunFolders(study)
        return {trial.name: folders.of(trial.name, trial.swept, trial.stage) for trial in study.trials()}

    return build


def test_the_first_two_keys_have_folders_and_leave_the_name(runs):
    text = "axes: {objective: [pgd_at, trades], attack.eps: [4/255, 8/255], optim.lr: [0.1, 0.01]}\nseeds: [0, 3]\n"
    found = runs(text)
    assert found["00-pgd_at-eps=4_255-lr=0.1-s0"] == "objective=pgd_at/eps=4_255/00-lr=0.1-s0"
    assert found["15-trades-eps=8_255-lr=0.01-s3"] == "objective=trades/eps=8_255/15-lr=0.01-s3"
    assert len(set(found.values())) == len(found) == 16
    # In the list of runs, which is sorted, each group stands together in the order of the sweep.
    assert list(found.values()) == sorted(found.values())
    assert [trial_number(run) for run in found.values()] == [trial_number(name) for name in found]


@pytest.mark.parametrize(
    ("text", "name", "run"),
    [
        ("", "00-s0", "00-s0"),
        ("axes: {optim.lr: [0.1]}\n", "00-lr=0.1-s0", "00-lr=0.1-s0"),
        (f"axes: {{optim.lr: {[0.01 * n for n in range(1, 14)]}}}\n", "00-lr=0.01-s0", "00-lr=0.01-s0"),
        (
            "axes: {attack: [{eps: 8/255, step: 2/255}, {eps: 4/255, step: 1/255}]}\n",
            "00-eps=8_255-s0",
            "attack=8_255/00-eps=8_255-s0",
        ),
        (
            "axes: {objective: [{name: trades, beta: 1}, {name: trades, beta: 6}, pgd_at]}\n",
            "01-trades-beta=6-s0",
            "objective=trades/01-beta=6-s0",
        ),
        (
            "axes: {objective: [pgd_at, trades]}\nstages: {first: {train.epochs: 1}, second: {}}\n",
            "02-pgd_at-s0",
            "second/objective=pgd_at/02-s0",
        ),
    ],
    ids=["nothing", "one value", "many values", "mappings", "a section's keys", "stages"],
)
def test_what_has_a_folder(runs, text, name, run):
    assert runs(text)[name] == run


def test_a_key_that_is_drawn_from_a_range_stays_in_the_name(runs):
    space = "{optim.lr: {loguniform: [0.01, 0.1]}, data.flip: [true, false]}"
    found = runs(f"search: {{name: random, trials: 6, space: {space}}}\n")
    assert len(found) == 6
    for name, run in found.items():
        number, rate, flip, seed = name.split("-")
        assert run == f"{flip}/{number}-{rate}-{seed}"


def test_keys_of_one_name_are_told_apart(runs):
    found = runs("axes: {data.subset: [64, 128], data.crop: [0, 1], evaluation.test_samples: [10, 20]}\n")
    assert found["00-subset=64-crop=0-test_samples=10-s0"] == "subset=64/crop=0/00-test_samples=10-s0"
    found = runs("axes: {attack.steps: [1, 2], evaluation.steps: [3, 4]}\n")
    assert next(iter(found.values())).startswith("attack.steps=1/evaluation.steps=3/00-")
