import dataclasses
import math

import pytest
import torch

from tune_at.config.objective import OBJECTIVES
from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.training.record import EpochRecord, best_record
from tune_at.training.trainer import Trainer

TIMES = ("train_seconds", "evaluation_seconds")


def rows(trainer):
    return [{k: v for k, v in record.row().items() if k not in TIMES} for record in trainer.history]


def same_tensors(a, b):
    return all(torch.equal(a[key], b[key]) for key in a) and a.keys() == b.keys()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_saved_and_loaded_between_epochs_equals_uninterrupted_bit_for_bit(objective, tiny, teachers, tmp_path):
    config = tiny(objective, data={"noise_rate": 0.4, "crop": 1, "flip": True}, optim={"nesterov": True})
    taught_by = teachers(config)
    whole = Trainer(config, taught_by)
    list(whole.epochs())

    for cut in (1, 3):
        first = Trainer(config, taught_by)
        for _ in range(cut):
            first.run_epoch()
        first.save(tmp_path / "state.pt")
        torch.manual_seed(cut)  # what happens to the global generator in between must not matter
        second = Trainer(config, taught_by)
        second.load(tmp_path / "state.pt")
        list(second.epochs())
        assert rows(second) == rows(whole)
        assert same_tensors(second.model.state_dict(), whole.model.state_dict())
        assert same_tensors(second.evaluated.state_dict(), whole.evaluated.state_dict())
    assert whole.status == "completed"
    assert [record.epoch for record in whole.history] == [1, 2, 3, 4]


def test_dropout_and_adam_resume_bit_for_bit_too(tiny, tmp_path):
    tree = {**tiny().as_tree(), "model": {"name": "wrn-10-1", "dropout": 0.3}, "optim": {"name": "adam"}}
    config = TrialConfig.parse(tree)
    whole, first, second = (Trainer(config) for _ in range(3))
    list(whole.epochs())
    first.run_epoch()
    first.save(tmp_path / "state.pt")
    second.load(tmp_path / "state.pt")
    list(second.epochs())
    assert rows(second) == rows(whole)
    assert same_tensors(second.model.state_dict(), whole.model.state_dict())


def test_training_leaves_the_global_generator_alone(tiny):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(Trainer(tiny()).epochs())
    assert torch.equal(torch.rand(3), expected)


def test_the_seed_decides(tiny):
    a, b, c = (Trainer(tiny(seed=seed)) for seed in (0, 0, 1))
    for trainer in (a, b, c):
        trainer.run_epoch()
    assert rows(a) == rows(b) != rows(c)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_learns_the_digits(objective, tiny, teachers):
    config = tiny(
        objective,
        data={"subset": 500},
        model={"width": 16},
        attack={"eps": 0.05, "step": 0.02, "steps": 3},
        train={"epochs": 12, "batch_size": 32},
    )
    *_, last = Trainer(config, teachers(config)).epochs()
    assert last.metrics["test_natural_accuracy"] > 0.85
    if objective != "standard":
        assert last.metrics["test_robust_accuracy"] > 0.6


def test_a_step_equals_a_plain_textbook_step(tiny):
    """One epoch of one batch against SGD with Nesterov momentum and weight decay written out by hand."""
    config = tiny(
        "standard",
        train={"batch_size": 64},
        optim={"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    )
    trainer = Trainer(config)
    reference = Trainer(config)
    before = [p.detach().clone() for p in reference.model.parameters()]
    (batch,) = reference.data["train"].shuffled(64, config.data, config.seed, 1)
    reference.model.train()
    loss = torch.nn.functional.cross_entropy(reference.model(batch.x), batch.y)
    gradients = torch.autograd.grad(loss, list(reference.model.parameters()))
    trainer.run_epoch()
    for p, old, gradient in zip(trainer.model.parameters(), before, gradients, strict=True):
        g = gradient + 0.01 * old
        assert torch.allclose(p, old - 0.1 * (g + 0.9 * g), atol=1e-6)


def test_the_learning_rate_follows_the_schedule(tiny):
    trainer = Trainer(tiny(train={"epochs": 4}, optim={"lr": 0.1, "schedule": {"milestones": [2]}}))
    assert [record.lr for record in trainer.epochs()] == pytest.approx([0.1, 0.1, 0.01, 0.01])


def test_evaluation_every_k_epochs_and_at_the_last(tiny):
    trainer = Trainer(tiny(train={"epochs": 5}, evaluation={"every": 2, "train_samples": 0}))
    records = list(trainer.epochs())
    assert [bool(record.metrics) for record in records] == [False, True, False, True, True]
    assert not any(name.startswith("train_") for name in records[-1].metrics)


def test_a_diverged_trial_keeps_its_history(tiny):
    trainer = Trainer(tiny("standard", optim={"lr": 1e30}))
    records = list(trainer.epochs())
    assert trainer.status == "diverged"
    assert 1 <= len(records) < 4
    assert not math.isfinite(records[-1].scalars["loss"])
    assert records[-1].metrics == {}


def test_weights_that_the_last_update_of_an_epoch_spoils_are_noticed(tiny):
    """One batch an epoch: its training loss is still finite, what it leaves behind is not."""
    trainer = Trainer(tiny("standard", optim={"lr": 1e30}, train={"epochs": 1, "batch_size": 64}))
    (record,) = trainer.epochs()
    assert math.isfinite(record.scalars["loss"])
    assert trainer.status == "diverged"
    assert trainer.best is None


def test_selection_on_the_test_set_trains_on_everything(tiny):
    config = tiny(data={"subset": "all", "validation": 0}, train={"selection": "test", "epochs": 1})
    trainer = Trainer(config)
    trainer.run_epoch()
    assert len(trainer.data["train"]) == 1437
    assert "val" not in trainer.data
    assert trainer.best.epoch == 1


def test_a_checkpoint_of_another_config_is_refused(tiny):
    with pytest.raises(ValueError, match="another config"):
        Trainer(tiny()).load_state_dict(Trainer(tiny("trades")).state_dict())


def test_noisy_labels_come_from_the_checkpoint(tiny):
    trainer = Trainer(tiny(data={"noise_rate": 1.0}))
    state = trainer.state_dict()
    state["labels"] = (state["labels"] + 1) % 10
    trainer.load_state_dict(state)
    assert torch.equal(trainer.data["train"].labels, state["labels"])


def test_best_is_highest_robust_then_natural_then_first():
    def record(epoch, robust, natural):
        return EpochRecord(epoch, 0.1, {"val_robust_accuracy": robust, "val_natural_accuracy": natural})

    history = [record(1, 0.4, 0.9), record(2, 0.5, 0.6), record(3, 0.5, 0.7), record(4, 0.5, 0.7), EpochRecord(5, 0.1)]
    assert best_record(history, "validation").epoch == 3
    assert best_record(history, "test") is None
    assert dataclasses.replace(history[0]).row()["epoch"] == 1


def test_swa_is_the_mean_of_the_weights_with_its_own_batch_norm_statistics(tiny, teachers):
    config = tiny({"name": "kd_swa", "swa_start": 2})
    trainer = Trainer(config, teachers(config))
    snapshots = []
    for record in trainer.epochs():
        if record.epoch == 1:
            assert trainer.evaluated is trainer.model
        else:
            snapshots.append([p.detach().clone() for p in trainer.model.parameters()])
    assert trainer.evaluated is not trainer.model
    for averaged, *each in zip(trainer.evaluated.parameters(), *snapshots, strict=True):
        assert torch.allclose(averaged, torch.stack(each).mean(0), atol=1e-6)
    # The first batch norm sees the first convolution's output over the whole clean training set.
    x = torch.cat([batch.x for batch in trainer.data["train"].in_order(1000)])
    with torch.no_grad():
        seen = trainer.evaluated.features[0](x)
    norm = trainer.evaluated.features[1]
    assert torch.allclose(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-5)


@pytest.mark.parametrize("objective", [{"name": "kd_swa", "swa_start": 1}, "co_teaching", "pgd_at"])
def test_an_observer_is_shown_the_network_that_the_update_changes(objective, tiny, teachers):
    config = tiny(objective, train={"epochs": 2})
    trainer = Trainer(config, teachers(config))
    trained = {id(parameter) for parameter in trainer.model.parameters()}
    seen = []

    class Observer:
        def before_update(self, snapshot, batch):
            seen.append({id(parameter) for parameter in snapshot.network.parameters()})

    trainer.observer = Observer()
    for _ in range(2):
        trainer.run_epoch()
    assert len(seen) == 6
    assert all(parameters and parameters <= trained for parameters in seen)


def test_a_teacher_that_is_missing_or_of_another_architecture_is_named(tiny, teachers, tmp_path):
    config = tiny("kd_swa")
    with pytest.raises(UserError, match="kd_swa's standard teacher: is missing"):
        Trainer(config)
    paths = teachers(config)
    with pytest.raises(UserError, match=r"the robust teacher: .*finish the stage of the teachers first"):
        Trainer(config, {**paths, "robust": tmp_path / "nowhere.pt"})
    other = teachers(tiny("kd_swa", model={"width": 8}))
    with pytest.raises(UserError, match="is of another architecture"):
        Trainer(config, other)
