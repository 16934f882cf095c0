"""Fast paths give what the plain float32 path gives, within their precision."""

import shutil

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.objective import OBJECTIVES
from tune_at.config.trial import TrainSection, TrialConfig
from tune_at.engine.engine import Engine
from tune_at.engine.folded import FoldedView
from tune_at.errors import UserError
from tune_at.training.trainer import Trainer

CPU = torch.device("cpu")


class Plain(Engine):
    """The network itself, unfolded, for attacks."""

    def view(self, network, exact=False):
        return network


def losses(config, teachers, engine=None):
    trainer = Trainer(config, teachers)
    if engine is not None:
        trainer.engine = engine(CPU, config.train)
    return [record.scalars["loss"] for record in trainer.epochs()], trainer


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns_alike_by_the_folded_view_and_by_the_plain_network(objective, tiny, teachers):
    config = tiny(objective, train={"epochs": 2})
    taught_by = teachers(config)
    fast, trainer = losses(config, taught_by)
    plain, reference = losses(config, taught_by, Plain)
    assert fast[0] == pytest.approx(plain[0], rel=2e-3)
    assert fast[1] == pytest.approx(plain[1], rel=2e-2)
    if config.objective.attack_steps != 0:
        assert trainer.engine.views and not reference.engine.views


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_bf16_stays_near_float32_and_keeps_its_state_in_float32(objective, tiny, teachers):
    config = tiny(objective, train={"epochs": 2})
    taught_by = teachers(config)
    plain, _ = losses(config, taught_by)
    fast, trainer = losses(tiny(objective, train={"epochs": 2, "precision": "bf16"}), taught_by)
    assert fast[0] == pytest.approx(plain[0], rel=0.03)
    assert fast != plain
    tensors = [*trainer.model.state_dict().values(), *trainer.optimizer.state_dict()["state"].values()]
    flat = [value for item in tensors for value in (item.values() if isinstance(item, dict) else [item])]
    assert {t.dtype for t in flat if torch.is_tensor(t) and t.is_floating_point()} == {torch.float32}


class Waits(TorchDispatchMode):
    """Collects operations whose result the host has to wait for, on a GPU."""

    NAMES = frozenset({"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "bincount"})

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        by_mask = name in ("index", "index_put_") and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in self.NAMES or by_mask:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_nothing_in_an_update_waits_for_the_device(objective, tiny, teachers):
    config = tiny(objective, train={"epochs": 10, "precision": "bf16"})
    trainer = Trainer(config, teachers(config))
    chance = torch.Generator().manual_seed(0)
    with Waits() as waits:
        torch.ones(2).sum().item()
        assert waits.found.pop() == "_local_scalar_dense"
        for batch in trainer.data["train"].shuffled(50, config.data, 0, 1):
            trainer._update(batch, 10, chance)
    assert waits.found == []


def test_bf16_resumes_bit_for_bit(tiny, tmp_path):
    config = tiny("pgd_at_te", train={"precision": "bf16"})
    _, whole = losses(config, None)
    first, second = Trainer(config), Trainer(config)
    first.run_epoch()
    first.save(tmp_path / "state.pt")
    second.load(tmp_path / "state.pt")
    list(second.epochs())
    assert second.history[-1].metrics == whole.history[-1].metrics


def test_perturbations_in_bf16_keep_to_the_ball_and_are_judged_in_float32(tiny):
    trainer = Trainer(tiny(train={"precision": "bf16", "epochs": 1}))
    trainer.run_epoch()
    batch = trainer.data["test"].take(torch.arange(64))
    spec = PGD(8 / 255, 2 / 255, 10)
    x_adv = pgd(trainer.engine.view(trainer.model), batch.x, batch.y, spec, torch.Generator().manual_seed(0))
    assert x_adv.dtype == torch.float32
    assert (x_adv - batch.x).abs().max() <= 8 / 255 + 1e-7
    judged = []
    trainer.model.register_forward_hook(lambda module, images, logits: judged.append(module.features[0].weight.dtype))
    metrics = trainer._evaluate(1)
    assert judged and set(judged) == {torch.float32}
    with torch.no_grad():
        trainer.model.eval()
        exact = F.cross_entropy(
            trainer.model(trainer.data["test"].take(trainer.evaluation_index["test"]).x),
            trainer.data["test"].labels[trainer.evaluation_index["test"]],
        )
    assert metrics["test_natural_loss"] == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_products_on_a_gpu_are_as_exact_as_asked_for_outside_of_training_too(precision, tf32):
    engine = Engine(torch.device("cpu"), TrainSection(precision=precision))
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = not tf32
        engine.set_products()
        assert [backend.allow_tf32 for backend in backends] == 2 * [not tf32]  # on a CPU it is nobody's matter
        engine.device = torch.device("cuda")
        engine.set_products()
        assert [backend.allow_tf32 for backend in backends] == 2 * [tf32]
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


def test_training_accuracy_may_be_measured_less_often(tiny):
    config = tiny(train={"epochs": 5}, evaluation={"every": 1, "train_every": 2})
    trainer = Trainer(config)
    measured = {record.epoch for record in trainer.epochs() if "train_robust_accuracy" in record.metrics}
    assert measured == {2, 4, 5}
    assert all("test_robust_accuracy" in record.metrics for record in trainer.history)


def test_evaluation_that_drops_the_fallen_is_never_kinder(tiny):
    kept, dropped = (Trainer(tiny(evaluation={"keep_attacking": keep})) for keep in (True, False))
    for first, second in zip(kept.epochs(), dropped.epochs(), strict=True):
        assert second.metrics["test_robust_accuracy"] <= first.metrics["test_robust_accuracy"]
        assert second.metrics["test_natural_loss"] == first.metrics["test_natural_loss"]


def test_what_has_fallen_is_decided_in_float32(tiny):
    trainer = Trainer(tiny(train={"precision": "bf16"}, evaluation={"keep_attacking": False}))
    trainer.run_epoch()
    assert {dtype for _, dtype in trainer.engine.views} == {torch.bfloat16, torch.float32}
    exact = trainer.engine.view(trainer.model, exact=True)
    assert next(exact.parameters()).dtype == torch.float32


def test_a_view_is_kept_and_refreshed(tiny):
    trainer = Trainer(tiny())
    view = trainer.engine.view(trainer.model)
    trainer.run_epoch()
    assert trainer.engine.view(trainer.model) is view
    x = torch.rand(3, 1, 8, 8)
    assert torch.allclose(view(x), FoldedView(trainer.model)(x))


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"train\.compile: needs a C\+\+ compiler"):
        Engine(CPU, TrainSection(compile=True))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_compiled_passes_give_the_same_and_their_checkpoints_are_plain(tiny, tmp_path):
    plain, reference = losses(tiny(train={"epochs": 1}), None)
    compiled, trainer = losses(tiny(train={"epochs": 1, "compile": True}), None)
    assert compiled[0] == pytest.approx(plain[0], rel=2e-3)
    assert trainer.engine.view(trainer.model).body._compiled_call_impl and trainer.trained is not trainer.model
    assert trainer.model.state_dict().keys() == reference.model.state_dict().keys()
    trainer.save(tmp_path / "checkpoint.pt")
    again = Trainer(trainer.config)
    again.load(tmp_path / "checkpoint.pt")
    weights = again.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in trainer.model.state_dict().items())


class Width(nn.Linear):
    """One class, and so one code, for networks of any width."""

    def forward(self, x):
        return super().forward(x)


def test_a_trial_is_compiled_whatever_its_process_ran_before(monkeypatch):
    monkeypatch.setattr(Engine, "_options", {"backend": "eager", "dynamic": False})
    with torch._dynamo.config.patch(recompile_limit=1, fail_on_recompile_limit_hit=True):
        for width in (3, 4):
            engine = Engine(CPU, TrainSection(compile=True))
            engine.compiled(Width(width, 2))(torch.ones(1, width))
        with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):
            engine.compiled(Width(5, 2))(torch.ones(1, 5))


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["pgd_at", "trades"])
def test_a_full_training_in_bf16_ends_within_seed_noise(objective):
    def final(precision, seed):
        tree = {
            "objective": objective,
            "seed": seed,
            "data": {"subset": 500, "noise_rate": 0.2},
            "attack": {"eps": 0.06, "step": 0.02, "steps": 5},
            "optim": {"lr": 0.05},
            "train": {"epochs": 15, "batch_size": 50, "precision": precision},
            "evaluation": {"every": 15},
        }
        trainer = Trainer(TrialConfig.parse(tree))
        return torch.tensor([list(list(trainer.epochs())[-1].metrics.values())])

    exact = torch.cat([final("fp32", seed) for seed in range(5)])
    fast = torch.cat([final("bf16", seed) for seed in range(5)])
    # The difference of two means of five runs each.
    noise = (exact.var(0) / 5 + fast.var(0) / 5).sqrt()
    assert ((fast.mean(0) - exact.mean(0)).abs() <= 4 * noise + 1e-3).all()
