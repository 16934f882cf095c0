import pytest

from tune_at.config.objective import OBJECTIVES
from tune_at.config.section import Section
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.errors import UserError
from tune_at.study.study import Study


@pytest.mark.parametrize("bad", [True, "0.1", "1e-2", None, [0.1]])
@pytest.mark.parametrize(
    "path",
    ["attack.eps", "optim.lr", "optim.momentum", "data.noise_rate", "train.epochs", "data.subset", "resources.gpu",
     "evaluation.test_samples", "data.crop", "seed", "model.width"],
)  # fmt: skip
def test_numbers_are_numbers(path, bad):
    section, _, key = path.rpartition(".")
    with pytest.raises(UserError, match=path):
        TrialConfig.parse({section: {key: bad}} if section else {key: bad})


@pytest.mark.parametrize("bad", [1, 0, 1.0, "1", "y", "true", None])
@pytest.mark.parametrize("path", ["data.flip", "optim.nesterov", "train.compile", "evaluation.keep_attacking"])
def test_truth_values_are_no_numbers(path, bad):
    section, key = path.split(".")
    with pytest.raises(UserError, match=path):
        TrialConfig.parse({section: {key: bad}})


def test_whole_floats_fractions_and_yaml_1_1s_truth_values_are_what_they_mean():
    config = TrialConfig.parse(
        {"train": {"epochs": 1e2}, "attack": {"eps": "8 / 255", "step": 0}, "data": {"flip": "yes", "subset": 128.0},
         "optim": {"nesterov": "off", "lr": 1}}
    )  # fmt: skip
    assert (config.train.epochs, config.attack.eps, config.attack.step) == (100, 8 / 255, 0)
    assert (config.data.flip, config.data.subset, config.optim.nesterov, config.optim.lr) == (True, 128, False, 1)
    with pytest.raises(UserError, match=r"train\.epochs: 1\.5"):
        TrialConfig.parse({"train": {"epochs": 1.5}})


@pytest.mark.parametrize(
    "change",
    [
        {"attack.eps": "yes"}, {"attack.eps": True}, {"search.trials": True}, {"search.trials": "5"},
        {"search.seed": True}, {"scheduler.eta": True}, {"scheduler.smooth": "1"}, {"seeds": [True]}, {"seeds": True},
        {"search.space.optim.lr": {"uniform": [False, True]}}, {"search.space.optim.lr": {"choice": [True, 0.1]}},
        {"optim.schedule": {"name": "piecewise", "milestones": [True]}},
    ],
)  # fmt: skip
def test_no_section_of_a_study_takes_truth_values_or_text_for_numbers(tmp_path, change):
    path = tmp_path / "s.yaml"
    path.write_text(
        "title: x\nsearch: {algorithm: random, space: {optim.lr: {uniform: [0.1, 0.2]}}}\nscheduler: asha\n"
    )
    Study.resolve(str(path))
    with pytest.raises(UserError):
        Study.resolve(str(path), overrides=change)


def moments(section: Section) -> list[str]:
    return [name for name, _, _ in section.moments()]


def test_every_moment_is_known_by_its_type():
    assert moments(OBJECTIVES["co_teaching"].config()) == ["warmup"]
    assert moments(OBJECTIVES["mixed_pgd_at"].config()) == ["ramp_end"]
    assert moments(OBJECTIVES["trades_te"].config()) == ["start", "full"]
    assert moments(NAMED_SECTIONS["optim"]["adam"].config()) == ["schedule.milestones"] * 2
    assert moments(TrialConfig().attack) == []


@pytest.mark.parametrize(
    ("tree", "where"),
    [
        ({"objective": {"name": "co_teaching", "warmup": 20}}, "objective.warmup: 20"),
        ({"objective": {"name": "mixed_pgd_at", "ramp_end": 15}}, "objective.ramp_end: 15"),
        ({"objective": {"name": "kd_swa", "swa_start": 12}}, "objective.swa_start: 12"),
        ({"objective": {"name": "sat", "start": 11}}, "objective.start: 11"),
        ({"optim": {"schedule": {"name": "step", "every": 30}}}, "optim.schedule.every: 30"),
        ({"optim": {"schedule": {"milestones": [5, 15]}}}, "optim.schedule.milestones: 15"),
    ],
)
def test_moments_after_the_last_epoch_are_refused(tree, where):
    with pytest.raises(UserError, match=f"{where} is after the last epoch, 10; lower it"):
        TrialConfig.parse({**tree, "train": {"epochs": 10}})
    TrialConfig.parse({**tree, "train": {"epochs": 30}})


def test_a_default_moment_does_not_keep_a_short_run_from_starting():
    TrialConfig.parse({"objective": "co_teaching", "train": {"epochs": 2}})
