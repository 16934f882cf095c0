"""Each remedy that a message of a study names, followed to its end."""

import re

import pytest

from tune_at.errors import UserError
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

SEARCH = "search: {name: random, trials: 4, space: {optim.lr: {uniform: [0.1, 0.2]}}}\n"


def resolve(tmp_path, text, **overrides):
    path = tmp_path / "s.yaml"
    path.write_text(f"title: x\n{text}")
    return Study.resolve(str(path), overrides=overrides)


def refusal(tmp_path, text, **overrides):
    with pytest.raises(UserError) as caught:
        resolve(tmp_path, text, **overrides)
    return caught.value


def test_more_trials_of_a_grid_are_a_new_sweep(tmp_path):
    sweep = Sweep.plan(resolve(tmp_path, "axes: {optim.lr: [0.1, 0.2]}\n"), str(tmp_path), "first")
    sweep.create()
    sweep = Sweep.open(str(tmp_path / "first"))
    with pytest.raises(UserError, match="resume without --trials, and begin a new sweep for more points"):
        sweep.extended(3)
    sweep.require_unchanged()  # without --trials it goes on
    more = resolve(tmp_path, "axes: {optim.lr: [0.1, 0.2, 0.3]}\n")
    Sweep.plan(more, str(tmp_path), "second").create()
    assert Sweep.open(str(tmp_path / "second")).study.size == 3


@pytest.mark.parametrize(
    "axes", ["objective: [pgd_at], objective.beta: [3]", "objective.beta: [3], objective: [pgd_at]"]
)
def test_a_key_that_other_objectives_have_names_them_and_how_to_write_it(tmp_path, axes):
    error = refusal(tmp_path, f"axes: {{{axes}}}\n")
    assert error.where == "s.yaml: objective.beta"
    assert error.problem == "no such key for this objective.name, pgd_at; trades, trades_te and sat have it"
    written = re.search(r"\{.*?\}", error.remedy)[0]
    for axis in (f"[pgd_at, {written}]", f"[{written}]"):
        study = resolve(tmp_path, f"axes: {{objective: {axis}}}\n")
        assert study.trials()[-1].config.objective.beta == 3


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("optim.learning_rate", "optim.lr"), ("optim.wd", "optim.weight_decay"), ("attack.epsilon", "attack.eps"),
        ("attack.step_size", "attack.step"), ("optim.schedule.step_size", "optim.schedule.every"),
        ("attack.num_steps", "attack.steps"), ("evaluation.num_steps", "evaluation.steps"),
        ("train.batch", "train.batch_size"), ("learning_rate", "optim.lr"),
        ("optim.schedule.gamma", "optim.schedule.factor"),
        ("scheduler.grace_period", "scheduler.grace"), ("scheduler.reduction_factor", "scheduler.eta"),
        ("search.num_samples", "search.trials"), ("search.n_trials", "search.trials"), ("num_samples", "search.trials"),
    ],
)  # fmt: skip
def test_words_of_other_libraries(tmp_path, key, meant):
    text = SEARCH + "scheduler: asha\n"
    value = 1 if meant != "optim.schedule.every" else 0.5
    error = refusal(tmp_path, text, **{key: value})
    assert error.remedy == f"did you mean {meant}?"
    if meant.startswith("optim.schedule"):
        resolve(tmp_path, text, **{"optim.schedule": "step", meant: value})
    elif meant not in ("optim.lr", "scheduler.eta"):  # which the space draws, and which is above 1
        resolve(tmp_path, text, **{meant: value})


def test_a_file_has_words_of_other_libraries_too(tmp_path):
    assert refusal(tmp_path, "base: {optim: {learning_rate: 0.1}}\n").remedy == "did you mean optim.lr?"
    assert refusal(tmp_path, "scheduler: {name: asha, max_t: 10}\n").remedy.startswith(
        "the longest trial is train.epochs"
    )
    assert refusal(tmp_path, "scheduler: {name: asha, time_attr: x}\n").remedy.endswith("drop it")
    assert refusal(tmp_path, "scheduler: ASHAScheduler\n").remedy == "did you mean asha?"
    assert refusal(tmp_path, "search: tpe\n").remedy == "did you mean optuna?"
    error = refusal(tmp_path, "search: {name: random, space: {optim.lr: {log_uniform: [0.1, 0.2]}}}\n")
    assert error.remedy == "did you mean loguniform?"


def test_a_missing_title_says_so_and_not_the_whole_study(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("base: {train: {epochs: 3, batch_size: 32}}\n")
    with pytest.raises(UserError) as caught:
        Study.resolve(str(path))
    assert str(caught.value).startswith("s.yaml: title: is missing; title is: One line")
    assert "batch_size" not in str(caught.value)
    path.write_text("title: x\n" + path.read_text())
    Study.resolve(str(path))


@pytest.mark.parametrize("spelling", ["name", "algorithm"])
def test_both_spellings_of_a_searchs_name(tmp_path, spelling):
    text = SEARCH.replace("name:", f"{spelling}:")
    study = resolve(tmp_path, text)
    assert (study.search.name, study.size) == ("random", 4)
    for key in ("search", "search.name", "search.algorithm"):
        assert resolve(tmp_path, text, **{key: "optuna"}).search.name == "optuna"
    assert resolve(tmp_path, text, search={"algorithm": "optuna", "startup": 2}).search.name == "optuna"
    assert "algorithm" not in study.as_yaml()
    assert Study.from_yaml(study.as_yaml(), "x") == study


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("base: {optimizer: {lr: 0.1}}\n", "did you mean optim?"),
        ("base: {dataset: cifar10}\n", "did you mean data?"),
        ("base: {model: {arch: vgg16}}\n", "did you mean model.name?"),
        ("base: {train: {lr: 0.1}}\n", "did you mean optim.lr?"),
        ("base: {train: {optimizer: sgd}}\n", "did you mean optim.name?"),
        ("scheduler: ASHA\naxes: {optim.lr: [0.1]}\n", "did you mean asha?"),
        ("axes: {optim.lr: []}\n", "write at least one"),
    ],
)
def test_what_is_written_elsewhere_or_in_other_words_is_named_where_it_stands(tmp_path, text, remedy):
    assert refusal(tmp_path, text).remedy == remedy


def test_a_grid_has_no_number_of_trials(resolve):
    with pytest.raises(UserError, match="a grid has as many trials as its axes have points; write more seeds"):
        resolve("title: x\naxes: {optim.lr: [0.1, 0.2]}\n", **{"search.trials": 4})
    with pytest.raises(UserError, match=r"axes.attack.eps: .* must be a list; write its values in brackets"):
        resolve("title: x\naxes: {attack.eps: {loguniform: [0.1, 0.2]}}\n")
