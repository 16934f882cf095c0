"""Which trials stand beside each other: those that are measured on the same."""

import numpy as np
import pytest

from tune_at.config.tree import leaves
from tune_at.config.trial import TrialConfig
from tune_at.study.comparison import compare, is_measured_on, plain


def configs(*trees):
    return [dict(leaves(TrialConfig.parse(tree).as_tree())) for tree in trees]


def test_trials_that_differ_in_training_alone_are_one_group():
    found = compare(
        configs(
            {"objective": "trades", "seed": 1},
            {"optim": {"lr": 0.2}, "data": {"name": "digits", "flip": True}},
            {"attack": {"steps": 3}, "evaluation": {"train_samples": 5, "batch_size": 7, "every": 2}},
        )
    )
    assert (found.keys, found.groups, found.values, found.count) == ((), (0, 0, 0), ((),), 1)


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        ({"attack": {"eps": "16/255"}}, {}, "attack.eps"),
        ({"attack": {"step": 0.01}}, {}, "attack.step"),
        ({"attack": {"norm": "l2", "eps": 0.5}}, {}, "attack.norm"),
        ({"evaluation": {"steps": 3}}, {}, "evaluation.steps"),
        ({"evaluation": {"keep_attacking": False}}, {}, "evaluation.keep_attacking"),
        ({"data": {"name": "digits", "noise_rate": 0.4}}, {}, "data.noise_rate"),
        ({"data": "cifar10"}, {}, "data.name"),
        ({"train": {"selection": "test"}}, {}, "train.selection"),
    ],
)
def test_what_a_metric_is_measured_on_tells_groups_apart(one, other, key):
    found = compare(configs(one, other, one))
    assert (found.keys, found.groups, found.count) == ((key,), (0, 1, 0), 2)


def test_natural_accuracy_is_compared_over_balls_and_not_over_data():
    trees = configs({"attack": {"eps": 0.1}}, {}, {"data": {"name": "digits", "noise_rate": 0.4}})
    assert compare(trees, "natural_accuracy").groups == (0, 0, 1)
    assert compare(trees, "robust_loss").groups == (0, 1, 2)


def test_the_part_of_the_test_set_matters_where_it_is_selected_on():
    assert is_measured_on("evaluation.test_samples", "robust_accuracy", "test")
    assert not is_measured_on("evaluation.test_samples", "robust_accuracy", "validation")


def test_as_few_keys_are_named_as_tell_the_groups_apart():
    small, large = {"eps": "8/255", "step": "2/255"}, {"eps": "16/255", "step": "4/255"}
    found = compare(configs({"attack": small}, {"attack": large}))
    assert found.keys == ("attack.eps",)
    assert [found.label(group) for group in (0, 1)] == ["attack.eps=8/255", "attack.eps=16/255"]
    found = compare(configs({"attack": small}, {"attack": large}, {"attack": {**large, "norm": "l2"}}))
    assert set(found.keys) == {"attack.norm", "attack.eps"}


def test_a_key_that_older_records_lack_tells_nothing_apart():
    old, new = configs({}, {})
    del old["evaluation.keep_attacking"]
    assert compare([old, new]).count == 1
    assert compare([{**old, "attack.eps": None}, {**new, "attack.eps": float("nan")}]).count == 1


def test_a_key_of_one_kind_of_data_tells_its_own_trials_apart():
    folders = [{"data.name": "image_folder", "data.path": path} for path in ("a", "b", "a")]
    found = compare([{"data.name": "digits"}, *folders])
    assert found.groups == (0, 1, 2, 1)
    assert [found.label(group) for group in (0, 2)] == ["data.name=digits", "data.name=image_folder, data.path=b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (16 / 255, "16/255"),
        (0.2, "0.2"),
        (0.0, "0"),
        (1.0, "1"),
        (0.123456789, "0.1235"),
        (8, "8"),
        ("l2", "l2"),
        (np.float64(0.2), "0.2"),
        (np.float64(2 / 255), "2/255"),
        ({"eps": 2 / 255, "at": [0.5, 16 / 255]}, "{eps: 2/255, at: [0.5, 16/255]}"),
    ],
)
def test_pixels_are_shown_as_they_are_written(value, text):
    assert plain(value) == text
