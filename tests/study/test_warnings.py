"""What is warned of before a sweep."""

import pytest
from search_study import SEARCH

from tune_at.study.warnings import warnings_of

NO_EPS = {"search.space.attack.eps": None}
TEST_METRIC = {"train.selection": "test", "search.space.evaluation.test_samples": {"int": [50, 90]}}


WIDTHS = {"search.space": {"model.width": {"int": [4, 9]}, "attack.eps": {"choice": [0.1, 0.2]}}, "search.trials": 6}


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        ({}, "warning: attack.eps differs from trial to trial, so that robust_accuracy does not compare"),
        ({"scheduler": None}, "robust_accuracy does not compare any two points, and none will be the best"),
        ({"scheduler.metric": "natural_accuracy"}, ""),
        ({"scheduler.metric": "val_robust_loss"}, "robust_loss"),
        (NO_EPS, ""),
        ({**NO_EPS, "scheduler": None}, ""),
        ({"search.space.attack.eps": [0.1]}, ""),
        ({**NO_EPS, "search.space.attack.steps": {"int": [1, 3]}, "search.space.data.flip": [True, False]}, ""),
        ({**NO_EPS, "search.space.attack": [{"norm": "linf"}, {"norm": "l2"}]}, "note: asha judges a trial only"),
        (
            {"search.space.attack.step": {"uniform": [0.01, 0.02]}, "search.space.evaluation.steps": [1, 10]},
            "stops none",
        ),
        (
            {**NO_EPS, "scheduler.metric": "natural_accuracy", "search.space.data.noise_rate": [0, 0.4]},
            "data.noise_rate, on which natural_accuracy is measured: 2 groups",
        ),
        ({**NO_EPS, **TEST_METRIC}, "evaluation.test_samples"),
        ({**NO_EPS, **TEST_METRIC, "train.selection": "validation"}, ""),
    ],
)
def test_a_search_over_what_its_metric_measures_is_warned_of(resolve, overrides, warned):
    lines = warnings_of(resolve(**{"seeds": [0], **overrides}))
    assert len(lines) == bool(warned)
    assert all(warned in line and "\n" not in line for line in lines)


def test_groups_too_small_to_judge_are_warned_of(resolve):
    grid = "title: x\naxes: {attack.eps: [0.1, 0.2, 0.3], optim.lr: [0.1, 0.2]}\nbase: {train: {epochs: 5}}\n"
    assert warnings_of(resolve(grid)) == []  # side by side
    (note,) = warnings_of(resolve(grid, scheduler="asha"))
    assert note.startswith("note: asha judges a trial only against those with the same attack.eps")
    assert note.endswith("3 groups of 2 trials")
    for few in ({"scheduler": {"name": "median", "min_trials": 2}}, {"scheduler": "asha", "optim.lr": [0.1]}):
        (warning,) = warnings_of(resolve(grid, **few))
        assert warning.startswith("warning: attack.eps differs from trial to trial")
        assert "needs 3 of these" in warning if "median" in str(few) else "needs 2 of these" in warning
    assert warnings_of(resolve(grid, scheduler={"name": "median", "min_trials": 1}))[0].startswith("note: median")


def test_a_few_groups_too_small_are_counted(resolve):
    note, warning = warnings_of(resolve(scheduler="asha", seeds=[0], **WIDTHS, **{"search.seed": 1}))
    assert "2 groups of 1 to 5 trials" in note
    assert warning.startswith("warning: 1 of 2 groups of equal attack.eps has fewer than 2 trials, so that asha stops")


def test_seeds_that_are_judged_against_each_other_alone_are_warned_of(resolve):
    note, warning = warnings_of(resolve(seeds=[0, 3]))
    assert "5 groups of 2 trials" in note
    assert "5 groups of equal attack.eps are each a single point, so that asha judges its seeds against each" in warning


def test_hyperband_on_a_grid_of_several_brackets_is_warned_of(resolve):
    grid = "title: x\nbase: {train: {epochs: 4}}\naxes: {optim.lr: [%s]}\nscheduler: {name: hyperband, eta: 2}\n"
    assert warnings_of(resolve(grid % "0.1, 0.2, 0.3, 0.4")) == []
    (line,) = warnings_of(resolve(grid % "0.1, 0.2, 0.3, 0.4, 0.5"))
    assert "hyperband fills its brackets in the order of the grid" in line
    assert warnings_of(resolve(SEARCH.replace("scheduler: asha", "scheduler: hyperband"), **NO_EPS)) == []


def test_hyperband_has_brackets_for_each_ball(resolve):
    grid = "title: x\nbase: {train: {epochs: 4}}\naxes: {attack.eps: [0.1, 0.2], optim.lr: [%s]}\n"
    grid += "scheduler: {name: hyperband, eta: 2}\n"
    (note,) = warnings_of(resolve(grid % "0.1, 0.2, 0.3, 0.4"))  # two brackets, a ball each: no neighbours' bracket
    assert "2 groups of 4 trials" in note
    assert "in the order of the grid" in warnings_of(resolve(grid % "0.1, 0.2, 0.3, 0.4, 0.5"))[1]
