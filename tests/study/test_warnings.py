"""What is warned of before a sweep."""

import pytest
from search_study import SEARCH

from tune_at.study.warnings import warnings_of

NO_EPS = {"search.space.attack.eps": None}
TEST_METRIC = {"train.selection": "test", "search.space.evaluation.test_samples": {"int": [50, 90]}}


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        ({}, "warning: attack.eps differs from trial to trial, so that robust_accuracy does not compare"),
        ({"search": "optuna", "scheduler": None}, "attack.eps differs from trial to trial, so that robust_accuracy"),
        ({"search": "optuna", "scheduler": None, "search.objectives": ["natural_accuracy"]}, ""),
        (
            {"search": "optuna", "scheduler": None, "search.objectives": ["natural_accuracy", "robust_loss"]},
            "robust_loss",
        ),
        ({"scheduler": None}, "robust_accuracy"),
        ({"scheduler.metric": "natural_accuracy"}, ""),
        ({"scheduler.metric": "val_robust_loss"}, "robust_loss"),
        (NO_EPS, ""),
        ({"search.space.attack.eps": [0.1]}, ""),
        ({**NO_EPS, "search.space.attack.steps": {"int": [1, 3]}, "search.space.data.flip": [True, False]}, ""),
        ({**NO_EPS, "search.space.attack": [{"norm": "linf"}, {"norm": "l2"}]}, "attack.norm differs"),
        (
            {"search.space.attack.step": {"uniform": [0.01, 0.02]}, "search.space.evaluation.steps": [1, 10]},
            "attack.eps and attack.step and evaluation.steps differ from",
        ),
        (
            {**NO_EPS, "scheduler.metric": "natural_accuracy", "search.space.data.noise_rate": [0, 0.4]},
            "natural_accuracy",
        ),
        ({**NO_EPS, **TEST_METRIC}, "evaluation.test_samples differs"),
        ({**NO_EPS, **TEST_METRIC, "train.selection": "validation"}, ""),
    ],
)
def test_a_search_over_what_its_metric_measures_is_warned_of(resolve, overrides, warned):
    found = warnings_of(resolve(**overrides))
    assert len(found) == bool(warned)
    assert all(warned in line and "\n" not in line for line in found)


def test_a_grid_over_the_ball_is_warned_of_only_if_it_is_stopped_early(resolve):
    grid = "title: x\naxes: {attack.eps: [0.1, 0.2]}\n"
    assert warnings_of(resolve(grid)) == []
    (line,) = warnings_of(resolve(grid, scheduler="asha"))
    assert "attack.eps differs" in line


def test_hyperband_on_a_grid_of_several_brackets_is_warned_of(resolve):
    grid = "title: x\nbase: {train: {epochs: 4}}\naxes: {optim.lr: [%s]}\nscheduler: {name: hyperband, eta: 2}\n"
    assert warnings_of(resolve(grid % "0.1, 0.2, 0.3, 0.4")) == []
    (line,) = warnings_of(resolve(grid % "0.1, 0.2, 0.3, 0.4, 0.5"))
    assert "hyperband fills its brackets in the order of the grid" in line
    assert warnings_of(resolve(SEARCH.replace("scheduler: asha", "scheduler: hyperband"), **NO_EPS)) == []
