"""The shipped studies: each has its presets, the paper's own is the paper's, and what a laptop runs works."""

import functools

import pytest

from tune_at.config.trial import TrialConfig
from tune_at.study.file import SHIPPED, read_study
from tune_at.study.study import Study
from tune_at.training.trainer import Trainer
from tune_at.tuning.preflight import family

NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
OURS = {"asha_search", "methods", "tradeoff"}
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
def trials(name, preset):
    study = Study.resolve(name, preset)
    return study.trials() or study.samples()


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
