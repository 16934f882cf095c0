"""What a search compares is measured on the same, or the search is refused."""

import shlex

import pytest
from search_study import SEARCH

from tune_at.errors import UserError
from tune_at.study.file import parse_overrides
from tune_at.study.groups import groups_of, telling_keys
from tune_at.study.study import Study

OPTUNA = {"search": "optuna", "scheduler": None}
NO_EPS = {"search.space.attack.eps": None}


@pytest.mark.parametrize(
    ("overrides", "refused"),
    [
        ({}, "attack.eps: robust_accuracy is measured on attack.eps"),
        (
            {"search.objectives": ["natural_accuracy", "robust_loss"]},
            "attack.eps: robust_loss is measured on attack.eps",
        ),
        (
            {**NO_EPS, "search.space.attack": [{"norm": "linf"}, {"norm": "l2"}]},
            "attack: robust_accuracy is measured on",
        ),
        ({**NO_EPS, "search.space.data": ["digits", "cifar10"], "data.subset": 64}, "data: robust_accuracy"),
        (
            {"search.objectives": ["natural_accuracy"], **NO_EPS, "search.space.data.noise_rate": [0, 0.4]},
            "data.noise_rate: natural_accuracy",
        ),
        (
            {"search.objectives": ["natural_accuracy"], "scheduler": "asha"},
            "attack.eps: robust_accuracy is measured on attack.eps",
        ),
    ],
)
def test_optuna_is_refused_where_its_points_cannot_be_compared_and_each_remedy_works(resolve, overrides, refused):
    overrides = {"scheduler": None, **overrides}
    objectives = ", ".join(overrides.pop("search.objectives", ["robust_accuracy"]))
    text = SEARCH.replace("algorithm: random", f"name: optuna\n  objectives: [{objectives}]")
    with pytest.raises(UserError) as caught:
        resolve(text, **overrides)
    assert "\n" not in str(caught.value)
    assert f"search.space.{refused}" in str(caught.value)
    remedy = caught.value.remedy
    inside = shlex.split(remedy[remedy.index("(") + 1 : remedy.index(")")])
    assert resolve(text, **{**overrides, **parse_overrides(inside[1::2])}).search.name == "optuna"
    assert "or set search=random" in remedy
    assert resolve(text, **overrides, search="random").search.name == "random"


@pytest.mark.parametrize(
    "overrides",
    [
        {"search.objectives": ["natural_accuracy"]},
        {"search.objectives": ["natural_accuracy", "natural_loss"]},
        NO_EPS,
        {"search.space.attack.eps": [0.1]},
        {**NO_EPS, "search.space.attack.steps": {"int": [1, 3]}, "search.space.data.flip": [True, False]},
    ],
)
def test_optuna_may_vary_what_its_objectives_are_not_measured_on(resolve, overrides):
    assert resolve(**{**OPTUNA, **overrides}).search.name == "optuna"


def test_a_search_of_schema_1_is_what_it_was(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(SEARCH)
    study = Study.resolve(str(path), overrides=OPTUNA, schema=1)
    assert "attack.eps" in study.space
    assert Study.from_yaml(study.as_yaml(), "study.yaml") == study


def test_groups_are_places_in_the_sweep(resolve):
    grid = resolve("title: x\naxes: {optim.lr: [0.1, 0.2, 0.3], attack.eps: [0.1, 0.2]}\nseeds: [0, 1]\n").trials()
    assert groups_of(grid, "robust_accuracy") == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]
    assert groups_of(grid, "natural_accuracy") == [list(range(12))]
    assert (telling_keys(grid, "robust_loss"), telling_keys(grid, "natural_loss")) == (("attack.eps",), ())
