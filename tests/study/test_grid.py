"""A grid's points: none twice, each section validated once, the count before anything is resolved."""

import pytest

from tune_at.config.trial import TrialConfig
from tune_at.study.study import Study
from tune_at.study.warnings import warnings_of


def resolve(tmp_path, text, **overrides):
    path = tmp_path / "s.yaml"
    path.write_text(f"title: x\nbase: {{train: {{epochs: 4}}}}\n{text}")
    return Study.resolve(str(path), overrides=overrides)


def configs(study):
    return [trial.config.model_copy(update={"seed": 0}).model_dump_json() for trial in study.trials()]


@pytest.mark.parametrize(
    ("text", "size", "said"),
    [
        ("axes: {data.noise_rate: [0, 0.0, 0.4, 0.4]}", 2, "data.noise_rate 0 and 0.0, data.noise_rate 0.4 twice"),
        ("axes: {attack.eps: [8/255, 0.03137254901960784, 16/255]}", 2, "attack.eps 8/255 and 0.03137254901960784"),
        ("axes: {attack.eps: [8/255, 8 / 255]}", 1, "attack.eps 8/255 and 8 / 255"),
        ("axes: {objective: [trades, {name: trades, beta: 6}, {name: trades}]}", 1, 'objective trades and {"name"'),
        ("axes: {attack: [{eps: 0.1}, {eps: 0.1, steps: 10}, {steps: 5}]}", 2, 'attack {"eps": 0.1} and {"eps": 0.1,'),
        ("axes: {data.flip: [yes, true, no]}", 2, "data.flip yes and true"),
        ("axes: {attack: [{eps: 0.1}, {eps: 0.2}], attack.eps: [0.3]}", 1, 'attack {"eps": 0.1} and {"eps": 0.2}'),
        ("stages: {a: {objective: pgd_at}, b: {objective: [pgd_at, trades]}}", 2, ""),
    ],
)
def test_no_two_trials_have_the_same_config(tmp_path, text, size, said):
    study = resolve(tmp_path, f"{text}\nseeds: [0, 1]\n")
    assert study.size == len(study.trials()) == 2 * size
    assert len(set(configs(study))) == size
    assert [t.name[:2] for t in study.trials()] == [f"{n:02d}" for n in range(2 * size)]
    (note,) = warnings_of(study)
    assert note.startswith(f"note: {study.points - study.size} of {study.points} points equal an earlier one")
    assert said in note
    assert Study.from_yaml(study.as_yaml(), "x").trials() == study.trials()


def test_the_grid_equals_what_is_parsed_point_by_point(tmp_path):
    study = resolve(
        tmp_path,
        "axes:\n  objective.beta: [1, 2]\n  objective: [trades, trades_te]\n"
        "  attack: [{eps: 8/255, step: 2/255}, {eps: 0.1}]\n"
        "  optim.lr: [0.1, 1e-3]\n  optim: [sgd, adam]\n  optim.schedule: [cosine, {name: step, every: 2}]\n"
        "seeds: [3, 1]\nstages: {a: {}, b: {attack.steps: 3, optim.lr: [0.5]}}\n",
    )
    trials = study.trials()
    assert len(trials) == study.points == study.size == 2 * (64 + 32)
    for trial in trials:
        assert TrialConfig.parse(trial.config.as_tree()) == trial.config
    assert trials[0].config.model_dump() == TrialConfig.parse(
        {"train": {"epochs": 4}, "seed": 3, "objective": {"name": "trades", "beta": 1},
         "attack": {"eps": "8/255", "step": "2/255"}, "optim": {"name": "sgd", "lr": 0.1, "schedule": "cosine"}}
    ).model_dump()  # fmt: skip
    assert trials[-1].config.model_dump() == TrialConfig.parse(
        {"train": {"epochs": 4}, "seed": 1, "objective": {"name": "trades_te", "beta": 2},
         "attack": {"eps": 0.1, "steps": 3},
         "optim": {"name": "adam", "lr": 0.5, "schedule": {"name": "step", "every": 2}}}
    ).model_dump()  # fmt: skip


def test_a_section_is_validated_once_for_each_combination_of_its_own_axes(tmp_path, monkeypatch):
    parsed = []
    parse = TrialConfig.parse.__func__
    monkeypatch.setattr(
        TrialConfig, "parse", classmethod(lambda cls, *args, **kwargs: parsed.append(1) or parse(cls, *args, **kwargs))
    )
    many = ", ".join(str(n / 100) for n in range(1, 21))
    study = resolve(tmp_path, f"axes: {{optim.lr: [{many}], attack.eps: [{many}], objective: [pgd_at, trades]}}\n")
    for _ in range(3):
        assert len(study.trials()) == len(study.samples()) == study.size == 800
    assert len(parsed) <= 60  # 20 + 20 + 2, the base, and the first point


def test_the_number_of_points_is_known_before_any_is_resolved(tmp_path, monkeypatch):
    study = resolve(tmp_path, "axes: {optim.lr: [0.1, 0.2, 0.3], data.crop: [0, 1]}\nseeds: [0, 1]\n")
    fresh = Study(*(getattr(study, name) for name in study.__dataclass_fields__))
    monkeypatch.setattr(TrialConfig, "parse", None)
    assert fresh.points == 12
