"""Searches over spaces that have few points: none twice, and an end that is said."""

import itertools
import random

import pytest

from tests.support.simulation import Simulation
from tune_at.config.space import parse_distribution
from tune_at.study.exhaustion import combinations, count_distinct, distinct_draws, space_size
from tune_at.study.study import Study
from tune_at.study.warnings import warnings_of

SPACE = "{optim.lr: {choice: [0.1, 0.2, 0.3]}, data.crop: {int: [0, 1]}}"


def study_of(tmp_path, search, name="s"):
    path = tmp_path / f"{name}.yaml"
    base = "{data: {subset: 64}, train: {epochs: 1, batch_size: 32}}"
    path.write_text(f"title: x\nbase: {base}\nseeds: [0, 1]\nsearch: {search}\n")
    return Study.resolve(str(path))


def points(trials):
    return {trial.config.model_copy(update={"seed": 0}).model_dump_json() for trial in trials}


def test_random_ends_when_the_space_is_exhausted_and_says_so(tmp_path):
    study = study_of(tmp_path, f"{{name: random, trials: 20, space: {SPACE}}}")
    assert study.size == len(study.trials()) == 12
    assert len(points(study.trials())) == 6
    assert [t.name[:4] for t in study.trials()[::2]] == [f"{n:04d}" for n in range(6)]
    (note,) = warnings_of(study)
    assert note == ("note: the space has 6 points that differ, search.trials asks for 20: each of them is tried once")
    assert Study.from_yaml(study.as_yaml(), "x").trials() == study.trials()
    assert study.extended(30).trials() == study.trials()


def test_fewer_trials_are_the_first_of_more(tmp_path):
    trials = [study_of(tmp_path, f"{{name: random, trials: {n}, space: {SPACE}}}").trials() for n in range(1, 8)]
    for fewer, more in itertools.pairwise(trials):
        assert more[: len(fewer)] == fewer


@pytest.mark.parametrize("objectives", ["[robust_accuracy]", "[natural_accuracy, robust_accuracy]"])
def test_optuna_ends_when_the_space_is_exhausted(tmp_path, objectives):
    twins = "objective: [trades, {name: trades, beta: 6}, pgd_at], optim.lr: [0.1, 1e-1, 0.3]"
    twins = twins.replace("0.1, 1e-1, 0.3", "0.1, 0.3")
    study = study_of(tmp_path, f"{{name: optuna, trials: 9, startup: 3, objectives: {objectives}, space: {{{twins}}}}}")
    assert study.size == 8
    assert "the space has 4 points that differ" in warnings_of(study)[0]
    sweep = Simulation(tmp_path / "sweep", study, 1, random.Random(0))
    while sweep.step():
        pass
    assert len(points(state.trial for state in sweep.run.board.states)) == 4
    assert len(sweep.run.board.states) == 8


@pytest.mark.parametrize("size", [1, 7, 300])
def test_distinct_draws_give_each_point_of_a_finite_space_once(size):
    space = {"a": parse_distribution({"int": [1, size]}, "a") if size > 1 else parse_distribution([1], "a"),
             "b": parse_distribution(["x", "y"], "b")}  # fmt: skip
    drawn = list(distinct_draws(space, 3, repr))
    assert len(drawn) == space_size(space) == 2 * size
    assert sorted(map(repr, drawn)) == sorted(map(repr, combinations(space)))
    assert list(itertools.islice(distinct_draws(space, 3, repr), size)) == drawn[:size]


def test_what_resolves_alike_counts_once():
    space = {"a": parse_distribution([1, 2, 3, 4], "a")}
    parity = lambda values: str(values["a"] % 2)
    assert len(list(distinct_draws(space, 0, parity))) == count_distinct(space, parity, 10) == 2
    assert space_size({"a": parse_distribution({"uniform": [0, 1]}, "a")}) is None
