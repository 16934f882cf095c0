"""The shipped studies: each has its presets, the paper's own is the paper's, and what a laptop runs works."""

import functools
import json
import math

import pytest

from tune_at.config.trial import TrialConfig
from tune_at.study.file import SHIPPED, read_study
from tune_at.study.study import Study
from tune_at.training.snapshot import build_objective
from tune_at.training.trainer import Trainer
from tune_at.tuning.preflight import family

NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
OURS = {"asha_search", "early_stopping", "methods", "tradeoff"}
"""Studies that answer no figure of the paper by themselves."""
MEMORISE = {
    "random_labels", "noise_rate", "noise_curves", "eps_random_labels", "architectures", "datasets", "threat_model",
    "regularisers", "convergence", "refined_pgd_at", "gradient_norms", "gradient_stability", "noisy_gradients",
    "complexity",
}  # fmt: skip
OVERFIT = {
    "robust_overfitting", "eps_overfitting", "hard_examples", "mitigation", "comparison", "architectures_and_norms",
    "methods",
}  # fmt: skip


@functools.cache
def resolved(name, preset):
    return Study.resolve(name, preset)


def trials(name, preset):
    return resolved(name, preset).trials() or resolved(name, preset).samples()


@pytest.mark.parametrize("name", NAMES)
def test_a_study_says_what_it_answers_and_has_its_presets(name):
    written = read_study(SHIPPED / f"{name}.yaml")
    assert {"laptop", "paper"} <= set(written.presets)
    assert written.presets["paper"] == {}, "the base is the paper's own setting"
    if name not in OURS:
        assert "gpu" in written.presets
        assert written.paper.startswith(("Fig.", "Tab.", "App.", "Eq."))


def test_every_figure_and_table_of_the_paper_has_a_study():
    answered = " ".join(read_study(SHIPPED / f"{name}.yaml").paper for name in NAMES if name not in OURS)
    asked = "2a 2b 2c 3a 3b 4a 4b 6a 6b 6c A.1 A.2 A.3 A.4 A.5 A.6 A.7 A.8 A.9 C.1 C.2 1a 1b 1c A.2.1"
    words = answered.replace(",", " ").split()
    assert [word for word in asked.split() if word not in words] == []
    for place in ("Fig. 5", "Fig. 7", "Tab. A.1", "Tab. C.1", "Tab. 2"):
        assert place in answered


def training(config):
    """What decides what a trial learns: of an attack only what its objective reads of it."""
    tree = config.as_tree()
    objective, attack = config.objective, tree["attack"]
    kept = ("norm", "eps") if objective.attack_steps else attack if objective.attacks else ()
    return json.dumps({**tree, "attack": {key: attack[key] for key in kept}, "evaluation": None, "resources": None})


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_trained_twice(name):
    for preset in read_study(SHIPPED / f"{name}.yaml").presets:
        known: dict[str, str] = {}
        for trial in trials(name, preset):
            twin = known.setdefault(training(trial.config), trial.name)
            assert twin == trial.name, f"{preset}: {twin} and {trial.name}"
        assert resolved(name, preset).notes == [], "a point that is written twice would be left out"


def of(name, objective):
    """A study's one trial of an objective, with the paper's own setting."""
    (trial,) = (trial for trial in trials(name, "paper") if trial.config.objective.name == objective)
    return trial


def test_the_baselines_of_table_2_are_the_methods_own():
    """Beside PGD-AT, which they share all else with; METHODS.md has the values, counted from epoch 1 of 200."""
    plain = of("comparison", "pgd_at").config
    for objective in ("pgd_at_ls", "sat", "kd_swa", "co_teaching", "pgd_at_te"):
        config = of("comparison", objective).config
        assert config == plain.model_copy(update={"objective": config.objective})
    assert of("comparison", "pgd_at_ls").config.objective.smoothing == 0.2
    sat = of("comparison", "sat").config.objective
    assert (sat.form, sat.start_epoch(200), sat.momentum) == ("pgd_at", 70, 0.9)
    student, distilled = of("comparison", "kd_swa"), of("comparison", "kd_swa").config.objective
    weights = (distilled.ce_weight, distilled.standard_weight, distilled.robust_weight)
    assert (*weights, distilled.temperature) == (0.3, 0.1, 0.6, 2)
    averaged = [epoch for epoch in range(1, 201) if distilled.averages(epoch, 200)]
    assert averaged == list(range(56, 201))
    taught_by = {role: of("comparison", name).name for role, name in (("standard", "standard"), ("robust", "pgd_at"))}
    assert student.teachers == taught_by
    pair = of("comparison", "co_teaching").config.objective
    left_out = [pair.forget_at(epoch, 200) for epoch in range(1, 201)]
    assert left_out == pytest.approx([0.2 * min(1, epoch / 9) for epoch in range(1, 201)])
    ensembling = of("comparison", "pgd_at_te").config.objective
    assert (ensembling.start_epoch(200), ensembling.momentum) == (90, 0.9)
    ramp = [ensembling.weight_at(epoch, 200) for epoch in (89, 90, 120, 150, 200)]
    assert ramp == pytest.approx([0, 30 * math.exp(-5), 30 * math.exp(-1.25), 30, 30])


def test_the_single_steps_of_convergence():
    """FGSM AT starts at x and goes by eps; Fast AT starts in the ball and goes by 10/255 (App. A.2.1)."""
    attacks = {}
    for name in ("fgsm_at", "fast_at"):
        config = of("convergence", name).config
        attack = build_objective(config, 1).training_attack()
        attacks[name] = (attack.start, attack.eps, attack.step, attack.steps)
    assert attacks == {
        "fgsm_at": ("zero", 8 / 255, 8 / 255, 1), "fast_at": ("uniform", 8 / 255, 10 / 255, 1),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(MEMORISE))
def test_memorisation_is_the_papers_recipe(name):
    """WRN-28-10, 300 epochs, 0.1 times 0.1 every 100, batch 128, no regularisers, selected on test data."""
    for trial in trials(name, "paper"):
        config = trial.config
        assert (config.train.epochs, config.train.batch_size, config.train.selection) == (300, 128, "test")
        assert config.attack.steps == 10
        assert config.data.validation_samples == 0
        if name != "convergence":
            assert config.optim.lr == 0.1
            assert [config.optim.lr_at(epoch, 300) for epoch in (100, 101, 201)] == pytest.approx([0.1, 0.01, 0.001])
        if name not in ("noise_curves", "regularisers", "complexity"):
            assert (config.optim.weight_decay, config.data.crop, config.data.flip) == (0, 0, False)
        if name != "architectures":
            assert config.model.name == "wrn-28-10"
        if name not in ("threat_model", "eps_random_labels"):
            assert (config.attack.norm, config.attack.eps, config.attack.step) == ("linf", 8 / 255, 2 / 255)
        assert config.attack.step == pytest.approx(config.attack.eps / 4)


@pytest.mark.parametrize("name", sorted(OVERFIT))
def test_robust_overfitting_is_the_papers_recipe(name):
    """ResNet-18, 200 epochs, weight decay 5e-4, crop and flip, epoch 101 the first at 0.01 (METHODS.md)."""
    for trial in trials(name, "paper"):
        config = trial.config
        assert config.train.selection == "test"
        assert config.optim.weight_decay == 5e-4
        if config.data.name == "svhn":
            assert (config.train.epochs, config.optim.lr, config.optim.schedule.name) == (80, 0.01, "cosine")
            assert (config.data.crop, config.data.flip) == (0, False)
            continue
        assert (config.train.epochs, config.train.batch_size) == (200, 128)
        assert (config.data.crop, config.data.flip) == (4, True)
        assert [config.optim.lr_at(epoch, 200) for epoch in (100, 101, 150, 151)] == pytest.approx(
            [0.1, 0.01, 0.01, 0.001]
        )


def test_the_weights_of_temporal_ensembling():
    """w = 30 for 10 classes; on CIFAR-100 3, which the public code's default amounts to, and 30 beside it."""
    weights = {}
    for trial in trials("mitigation", "paper"):
        if hasattr(trial.config.objective, "weight"):
            key = (trial.config.data.name, trial.config.objective.name)
            weights.setdefault(key, []).append(trial.config.objective.weight)
    assert weights == {
        (data, objective): [3, 30] if data == "cifar100" else [30]
        for data in ("cifar10", "cifar100", "svhn")
        for objective in ("pgd_at_te", "trades_te")
    }


def test_the_regularisers_are_the_rows_of_table_a1():
    rows = {}
    for trial in trials("regularisers", "paper"):
        config = trial.config
        assert config.objective.name == "trades"
        key = (config.data.crop == 4 and config.data.flip, config.optim.weight_decay, config.model.dropout)
        rows.setdefault(config.data.noise_rate, []).append(key)
    table = [(False, 0, 0), (True, 0, 0), (False, 2e-4, 0), (False, 0, 0.2), (True, 2e-4, 0), (False, 2e-4, 0.2)]
    assert {rate: sorted(keys) for rate, keys in rows.items()} == {0.0: sorted(table), 1.0: sorted(table)}


def laptop_families():
    """One trial of each kind that the laptop presets train, by what makes it a kind."""
    kinds = {}
    for name in NAMES:
        for trial in trials(name, "laptop"):
            if not trial.config.objective.teachers():
                kinds.setdefault(family(trial.config), (f"{name}-{trial.name}", trial.config))
    return kinds.values()


@pytest.mark.parametrize(("label", "config"), laptop_families(), ids=lambda value: value if type(value) is str else "")
def test_one_batch_of_each_laptop_trial(label, config: TrialConfig):
    trainer = Trainer(config)
    seconds = trainer.try_batch(min(16, config.train.batch_size))
    assert all(value > 0 for value in seconds)
    assert config.resources.gpu == 0
