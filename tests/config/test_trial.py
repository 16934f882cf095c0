import json

import pytest

from tune_at.config.optim import Cosine, Piecewise
from tune_at.config.section import parse_fraction
from tune_at.config.tree import difference, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.config.versions import FIRST, SCHEMA, recorded
from tune_at.errors import UserError


def test_a_section_may_be_given_by_its_name():
    config = TrialConfig(objective="trades", optim={"schedule": "cosine"})
    assert config.objective.name == "trades"
    assert config.optim.schedule == Cosine()


def test_json_round_trip_keeps_value_and_hash():
    config = TrialConfig(objective={"name": "trades", "beta": 3}, attack={"eps": "8/255"})
    again = TrialConfig.model_validate_json(config.as_json())
    assert again == config
    assert again.hash == config.hash
    assert again.hash != TrialConfig(objective="trades", attack={"eps": "8/255"}).hash


def test_fractions():
    assert parse_fraction("8/255") == 8 / 255
    assert TrialConfig(attack={"eps": "16 / 255"}).attack.eps == 16 / 255


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"data": {"noise_rate": 1.5}}, "data.noise_rate: 1.5 must be at most 1"),
        ({"attack": {"eps": -0.1}}, "attack.eps: -0.1 must be at least 0"),
        ({"attack": {"eps": "9/0"}}, "attack.eps: '9/0' is refused"),
        ({"attack": {"steps": 0}}, "attack.steps: 0 must be at least 1"),
        ({"objective": "trade"}, "objective.name: 'trade' is unknown; did you mean trades"),
        ({"model": "resnet"}, "model.name: 'resnet' is unknown"),
        ({"data": {"nose_rate": 0.1}}, "did you mean data.noise_rate"),
        ({"objective": {"name": "pgd_at", "beta": 3}}, "objective.beta: no such key for this objective.name"),
        ({"optim": {"lr": float("nan")}}, "optim.lr: nan is refused"),
        ({"optim": {"schedule": {"milestones": [100, 300]}}}, "300 is after the last epoch, 200"),
        ({"optim": {"momentum": 0, "nesterov": True}}, "optim.nesterov"),
        ({"train": {"batch_size": 2000}}, "train.batch_size: 2000 is more than the 1293 training images"),
        ({"data": {"subset": 5000}}, "data.subset: 5000 is more than the 1293"),
        ({"data": {"validation": 0}}, "set train.selection=test"),
        ({"resources": {"gpu": 1.5}}, "resources.gpu: 1.5 is refused"),
        ({"objective": "fast_at", "attack": {"norm": "l2"}}, "attack.norm: 'l2', but fast_at is for linf only"),
        ({"objective": {"name": "fast_at", "step": "-1/255"}}, "objective.step"),
        ({"objective": {"name": "sat", "start": 300}}, "objective.start: 300 is after the last epoch, 200"),
        ({"objective": {"name": "pgd_at_te", "start": 0.8}}, "objective.start: epoch 160 is after objective.full, 150"),
        ({"data": {"subset": 65}, "train": {"batch_size": 32}}, "leaves a last batch of one image"),
        ({"seed": 2**63}, "seed: 9223372036854775808 must be below"),
        ({"train": {"selection": "train"}}, "train.selection: 'train' must be 'validation' or 'test'"),
    ],
)
def test_mistakes_are_one_line_with_path_value_and_remedy(tree, message):
    with pytest.raises(UserError) as caught:
        TrialConfig.parse(tree)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_piecewise_is_lower_from_the_epoch_after_the_milestone():
    schedule = Piecewise(milestones=(100, 150))
    factors = [schedule.factor_at(epoch, 200) for epoch in (1, 100, 101, 150, 151, 200)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert Piecewise().milestone_epochs(200) == [100, 150]
    assert Piecewise().milestone_epochs(30) == [15, 22]
    assert Piecewise().factor_at(1, 1) == 1


def test_cosine_falls_from_one_by_half_at_the_middle():
    assert [Cosine().factor_at(e, 10) for e in (1, 6)] == pytest.approx([1, 0.5])
    assert Cosine(final=0.1).factor_at(6, 10) == pytest.approx(0.55)


def test_renaming_a_section_keeps_what_the_new_type_has_too():
    tree = {"optim": {"schedule": {"name": "piecewise", "milestones": [3]}}, "objective": {"name": "trades", "beta": 2}}
    set_path(tree, "objective", "pgd_at", NAMED_SECTIONS)
    set_path(tree, "optim.schedule.name", "cosine", NAMED_SECTIONS)
    assert tree == {"optim": {"schedule": {"name": "cosine"}}, "objective": {"name": "pgd_at"}}
    set_path(tree, "objective.beta", 4, NAMED_SECTIONS)
    with pytest.raises(UserError, match=r"objective\.beta"):
        TrialConfig.parse(tree)


def test_difference_names_each_changed_leaf():
    assert difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == ["a.c: 2 → 3", "d: absent → 4"]


def test_a_section_that_trials_share_is_written_once_and_each_as_it_is():
    """Equal sections may be written differently: 0.0 and -0.0 are equal."""
    for schema in (FIRST, SCHEMA):
        for lr in (0.1, 0.2):
            config = TrialConfig.parse({"optim": {"lr": lr}, "objective": "trades", "seed": 3})
            assert config.as_json(schema) == json.dumps(recorded(config, schema), sort_keys=True)
    plus = TrialConfig.parse({"data": {"noise_rate": 0.0}})
    minus = TrialConfig.parse({"data": {"noise_rate": -0.0}})
    assert plus == minus
    assert (plus.as_json() == minus.as_json()) == (json.dumps(plus.as_tree()) == json.dumps(minus.as_tree()))
