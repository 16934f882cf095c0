"""Spaces, searches and schedulers in a study's file, and what is refused before anything starts."""

import pytest
from search_study import ONLY_LR, PBT, SEARCH, SPACE

from tune_at.config.space import parse_distribution
from tune_at.errors import UserError
from tune_at.study.sampling import draw
from tune_at.study.study import Study


def test_points_are_drawn_from_the_space_once_for_each_seed(resolve):
    study = resolve()
    trials = study.trials()
    assert study.size == len(trials) == 10
    assert [t.config.seed for t in trials] == [0, 3] * 5
    for one, other in zip(trials[::2], trials[1::2], strict=True):
        assert one.config.model_copy(update={"seed": 3}) == other.config
    assert all(1 <= t.config.objective.beta <= 6 and t.config.objective.name == "trades" for t in trials)
    assert all(1 / 255 <= t.config.attack.eps <= 8 / 255 for t in trials)
    assert {t.config.model.width for t in trials} <= {4, 5, 6}
    assert len({t.config.optim.lr for t in trials}) == 5
    assert trials[0].name.startswith("0000-trades-beta=")
    assert Study.from_yaml(study.as_yaml(), "x") == study


def test_what_resume_records_of_an_extension_is_no_key_of_a_study(resolve):
    study = resolve()
    assert "earlier" not in study.as_yaml()
    longer = study.extended(30)
    assert Study.from_yaml(longer.as_yaml(), "x") == longer
    with pytest.raises(UserError, match=r"known here: name, seed, space, trials$"):
        resolve(**{"search.xyzzy": 3})
    for key in ("extended", "earlier"):
        with pytest.raises(UserError, match=rf"search\.{key}: no such key"):
            resolve(**{f"search.{key}": [3]})


def test_a_sweep_that_was_extended_by_the_first_0_1_is_read(resolve):
    from tune_at.study.record import digest

    study = resolve().extended(30)
    body = study.as_yaml().partition("\n")[2].replace("earlier:\n- 5\n", "")
    body = body.replace("  seed: 0\n", "  seed: 0\n  extended: [5]\n")
    assert "extended" in body
    assert Study.from_yaml(f"# digest: {digest(body)}\n{body}", "x") == study


def test_a_longer_search_begins_with_the_shorter_one(resolve):
    short, long = resolve().trials(), resolve(**{"search.trials": 30}).trials()
    assert long[:10] == short
    assert resolve().extended(30).trials() == long
    assert resolve().extended(30).extended(40).earlier == (5, 30)
    with pytest.raises(UserError, match="fewer than the 5"):
        resolve().extended(4)


@pytest.mark.parametrize(
    ("form", "low", "high", "kind"),
    [
        ({"uniform": [-1, 2]}, -1, 2, float),
        ({"loguniform": [1e-3, "0.5"]}, 1e-3, 0.5, float),
        ({"int": [2, 4]}, 2, 4, int),
        ({"logint": [1, 100]}, 1, 100, int),
    ],
)
def test_values_fill_their_range(form, low, high, kind):
    space = {"x": parse_distribution(form, "x")}
    values = [draw(space, 0, n)["x"] for n in range(400)]
    assert all(low <= value <= high and type(value) is kind for value in values)
    assert min(values) <= low + (high - low) * 0.05
    assert max(values) >= low + (high - low) * 0.8
    if "log" in next(iter(form)):
        assert sum(value < (low * high) ** 0.5 for value in values) == pytest.approx(200, abs=40)
    assert values == [draw(space, 0, n)["x"] for n in range(400)]
    assert values != [draw(space, 1, n)["x"] for n in range(400)]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"search.space": {"optim.lr": {"uniform": [0.5, 0.1]}}}, "optim.lr: the range [0.5, 0.1] is reversed"),
        ({"search.space": {"optim.lr": {"uniform": [0.1, 0.1]}}}, "is empty; set the key in base"),
        ({"search.space": {"optim.lr": {"choice": []}}}, "[] is empty"),
        ({"search.space": {"optim.lr": {"loguniform": [0, 1]}}}, "0 has no logarithm; start above 0"),
        ({"search.space": {"optim.lr": {"gauss": [0, 1]}}}, "'gauss' is unknown"),
        ({"search.space": {"optim.lr": 3}}, "3 is not a distribution"),
        ({"search.space": {"optim.l": {"uniform": [0.1, 1]}}}, "no such key; did you mean optim.lr"),
        ({"search.space": {"data.noise_rate": {"uniform": [0, 2]}}}, "data.noise_rate: 2.0 must be at most 1"),
        ({"search.space": {"objective": {"choice": ["trades", "pgd"]}}}, "did you mean pgd_at"),
        ({"search.trials": 0}, "search.trials: 0 must be at least 1"),
        ({"search.algorithm": "optun"}, "did you mean optuna"),
        ({"search.trails": 3}, "search.trails: no such key"),
        ({"scheduler": "ashaa"}, "did you mean asha"),
        ({"scheduler.metric": "robust_acuracy"}, "is never reported; did you mean robust_accuracy"),
        ({"scheduler.metric": "test_robust_accuracy"}, "is not of the split that trials are judged on, val"),
        ({"scheduler.grace": 9}, "scheduler.grace: no epoch from 9 on is evaluated before the last"),
        ({"scheduler.grace": 3, "evaluation.every": 20}, "no epoch from 3 on is evaluated before the last"),
        ({"scheduler": 5}, "scheduler: 5 is neither a name nor a mapping"),
        ({"search": [1]}, "search: [1] is neither a name nor a mapping"),
        ({"seeds": [4, 4]}, "[4, 4] names a seed twice"),
        ({"search.space": dict.fromkeys(SPACE)}, "search.space: is empty"),
        ({"scheduler.eta": 1}, "scheduler.eta: 1 must be above 1"),
        ({"scheduler": "hyperband", "train.epochs": 1}, "scheduler.eta: 3 leaves no rung that is evaluated before"),
        ({"scheduler": {"name": "hyperband", "eta": 10}}, "no trial would ever be judged; lower it or evaluation"),
        ({"scheduler": "hyperband", "evaluation.every": 9}, "scheduler.eta: 3 leaves no rung"),
        ({"scheduler": {"name": "pbt"}}, "scheduler.mutations: is empty"),
        ({"scheduler": {"name": "pbt", "mutations": {"model.width": {"int": [1, 9]}}}}, "cannot change while a trial"),
        ({"scheduler": {"name": "pbt", "mutations": {"optim.lr": {"uniform": [0.1, 1]}}}}, "differ in attack"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(resolve, overrides, message):
    with pytest.raises(UserError) as caught:
        resolve(**overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_null_drops_a_scheduler_and_many_choices_are_thinned(resolve):
    assert resolve(scheduler=None).scheduler.name == "fifo"
    from tune_at.study.sampling import corner_points

    space = {f"k{n}": parse_distribution(list(range(n, n + 5)), "x") for n in range(12)}
    points = corner_points(space)
    assert len(points) == 256
    assert all({point[key] for point in points} == set(found.values) for key, found in space.items())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({}, "seeds: pbt copies weights, and so needs one seed"),
        ({"seeds": 0, "train.checkpoint_every": 2}, "2, but pbt needs the checkpoint of epoch 3"),
        ({"seeds": 0, "search.trials": 1}, "scheduler.name: pbt with a population of one: no trial would ever"),
        ({"seeds": 0, "scheduler.every": 9}, "scheduler.every: no epoch from 9 on"),
    ],
)
def test_populations_that_cannot_be(resolve, overrides, message):
    with pytest.raises(UserError) as caught:
        resolve(**{"search.space": ONLY_LR, "scheduler": PBT, **overrides})
    assert message in str(caught.value)


def test_a_population_cannot_grow(resolve):
    study = resolve(**{"search.space": ONLY_LR, "scheduler": PBT, "seeds": 0})
    with pytest.raises(UserError, match="one population from the start"):
        study.extended(9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("algorithm: random", "algorithm: optuna\n  objectives: [robust_accuracy, natural_accuracy]"),
            "asha judges by one metric, but the search has 2 objectives",
        ),
        (("algorithm: random", "algorithm: optuna\n  objectives: [speed]"), "'speed' is never reported"),
        (("seeds: [0, 3]", "axes: {optim.momentum: [0, 0.9]}"), "move optim.momentum into search.space"),
        (("seeds: [0, 3]", "stages: {a: {}, b: {}}"), "stages: are for grids without early stopping"),
    ],
)
def test_parts_that_do_not_go_together(resolve, change, message):
    with pytest.raises(UserError, match=message):
        resolve(SEARCH.replace(*change))
