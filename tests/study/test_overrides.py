"""Presets and `--set` of a study that draws its points."""

import pytest
from search_study import ONLY_LR, PBT, SEARCH, SPACE

from tune_at.errors import UserError
from tune_at.study.file import parse_overrides

BETA_1 = {"name": "trades", "beta": 1}


def test_presets_and_overrides_reach_into_search_and_scheduler(resolve):
    study = resolve(**parse_overrides(["search=optuna", "scheduler.eta=2", "search.space={model.width: null}"]))
    assert (study.search.algorithm, study.search.trials, study.scheduler.eta) == ("optuna", 5, 2)
    assert "model.width" not in study.space
    assert resolve(scheduler="median").scheduler.name == "median"
    assert resolve(scheduler={"name": "fifo"}).scheduler.name == "fifo"


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"optim.lr": 0.1}, "--set optim.lr: is drawn by search.space"),
        ({"optim": {"momentum": 0.5, "lr": 0.1}}, "--set optim.lr: is drawn by search.space"),
        ({"objective": "trades"}, "--set objective: is drawn by search.space"),
        ({"objective.name": "trades"}, "--set objective.name: is drawn by search.space"),
        ({"objective.beta": 2, "search.space.objective.beta": {"uniform": [0, 9]}}, "--set objective.beta: is drawn"),
        (
            {
                "objective.beta": 2,
                "search.space": {"objective.beta": None, "objective": [{"name": "trades", "beta": 1}]},
            },
            "--set objective.beta: is drawn",
        ),
    ],
)
def test_an_override_of_a_drawn_key_is_refused(resolve, overrides, where):
    with pytest.raises(UserError) as caught:
        resolve(**overrides)
    assert str(caught.value).startswith(where)
    assert "=null" in caught.value.remedy


def test_an_override_of_a_key_that_is_not_or_not_always_drawn_is_taken(resolve):
    (lr,) = {t.config.optim.lr for t in resolve(**{"optim.lr": 0.2, "search.space.optim.lr": None}).trials()}
    assert lr == 0.2
    text, choice = SEARCH.replace("base: {", "base: {objective: trades, "), [{"name": "trades", "beta": 2}, "trades"]
    space = {"objective.beta": None, "objective": choice}
    betas = {t.config.objective.beta for t in resolve(text, **{"objective.beta": 4, "search.space": space}).trials()}
    assert betas == {2, 4}
    assert resolve(**{"optim.momentum": 0.5}).trials()[0].config.optim.momentum == 0.5


def test_a_preset_of_a_drawn_key_is_refused_unless_it_is_drawn_only_later(resolve):
    later = {"search.space.optim.momentum": {"uniform": [0.1, 0.9]}}
    study = resolve(SEARCH + "presets: {p: {optim.momentum: 0.5}}\n", preset="p", **later)
    assert len({t.config.optim.momentum for t in study.trials()}) == 5
    with pytest.raises(UserError, match=r"s.yaml: presets.p optim.lr: is drawn .* search.space.optim.lr: null"):
        resolve(SEARCH + "presets: {p: {optim.lr: 0.5}}\n", preset="p")


def test_the_start_of_what_pbt_changes_may_be_set(resolve):
    space = dict.fromkeys(SPACE) | {"optim.momentum": {"uniform": [0.1, 0.9]}}
    study = resolve(**{"search.space": space, "scheduler": PBT, "seeds": 0, "optim.lr": 0.3})
    assert {t.config.optim.lr for t in study.trials()} == {0.3}


@pytest.mark.parametrize("override", [{"search.algorithm": "grid"}, {"search": "grid"}])
def test_a_grid_of_a_study_with_a_space_is_refused(resolve, override):
    with pytest.raises(UserError, match=r"search\.algorithm: grid needs axes, but this study has a space"):
        resolve(**override)
    assert resolve(**override, **{"search.space": dict.fromkeys(SPACE)}, scheduler=None).size == 2
    assert resolve(search=None).size == 2
    with pytest.raises(UserError, match="choose random or optuna"):
        resolve(SEARCH.replace("  algorithm: random\n", ""))


def test_a_key_of_a_space_may_be_set_by_its_path(resolve):
    study = resolve(**parse_overrides(["search.space.optim.lr={loguniform: [0.01, 0.02]}"]))
    assert all(0.01 <= t.config.optim.lr <= 0.02 for t in study.trials())
    assert len(study.space) == len(SPACE)
    changed = resolve(
        **{"search.space": ONLY_LR, "scheduler": PBT, "seeds": 0},
        **{"scheduler.mutations.optim.lr": {"uniform": [0.3, 0.4]}},
    )
    assert changed.scheduler.mutations == {"optim.lr": {"uniform": [0.3, 0.4]}}
    for wrong, message in [
        ("optim.lr={loguniform: [0.5, 0.001]}", "search.space.optim.lr: the range [0.5, 0.001] is reversed"),
        ("optim.lr={loguniform: [0, 1]}", "search.space.optim.lr: 0 has no logarithm"),
        ("optim.lr=0.1", "search.space.optim.lr: 0.1 is not a distribution"),
        ("optim.lrr={uniform: [0, 1]}", "search.space.optim.lrr: no such key; did you mean optim.lr"),
    ]:
        with pytest.raises(UserError) as caught:
            resolve(**parse_overrides([f"search.space.{wrong}"]))
        assert message in str(caught.value)
    with pytest.raises(UserError, match=r"scheduler\.mutations: no such key"):
        resolve(**{"scheduler.mutations.optim.lr": {"uniform": [0.3, 0.4]}})
