"""What a search and a scheduler compare is measured on the same."""

import shlex

import pytest
from search_study import SEARCH

from tune_at.errors import UserError
from tune_at.study.file import parse_overrides
from tune_at.study.groups import groups_of, telling_keys
from tune_at.study.study import Study
from tune_at.study.warnings import warnings_of

OPTUNA = {"search": "optuna", "scheduler": None}
NO_EPS = {"search.space.attack.eps": None}


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        ({}, "attack.eps differs from trial to trial, so that robust_accuracy"),
        ({"search.objectives": ["natural_accuracy", "robust_loss"]}, "so that robust_loss does not compare"),
        ({**NO_EPS, "search.space.attack": [{"norm": "linf"}, {"norm": "l2"}]}, "attack.norm differs"),
        ({"search.objectives": ["natural_accuracy"], **NO_EPS, "search.space.data.noise_rate": [0, 0.4]}, "noise_rate"),
        (
            {"search.objectives": ["natural_accuracy"], "scheduler": "asha"},
            "so that robust_accuracy does not compare like",
        ),
        ({"search.objectives": ["natural_accuracy"]}, ""),
        (NO_EPS, ""),
        ({"search.space.attack.eps": [0.1]}, ""),
        ({**NO_EPS, "search.space.attack.steps": {"int": [1, 3]}, "search.space.data.flip": [True, False]}, ""),
    ],
)
def test_optuna_warns_where_its_points_cannot_be_compared(resolve, overrides, warned):
    lines = [line for line in warnings_of(resolve(**{**OPTUNA, **overrides})) if line.startswith("warning")]
    assert len(lines) == bool(warned)
    assert all(warned in line and "draws at random where no two are" in line for line in lines)


def test_brackets_of_points_that_cannot_be_compared_are_refused_and_each_remedy_works(resolve):
    hyperband = {**OPTUNA, "scheduler": {"name": "hyperband", "eta": 2}}
    with pytest.raises(UserError) as caught:
        resolve(**hyperband)
    assert "search.space.attack.eps: robust_accuracy is measured on attack.eps" in str(caught.value)
    assert "or set scheduler=asha" in caught.value.remedy
    inside = shlex.split(caught.value.remedy.partition("(")[2].partition(")")[0])
    assert resolve(**{**hyperband, **parse_overrides(inside[1::2])}).scheduler.name == "hyperband"
    assert resolve(**{**OPTUNA, "scheduler": "asha"}).scheduler.name == "asha"


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
