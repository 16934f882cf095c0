"""l2: where attacks begin, and each step of TRADES' attack against a float64 reference written from METHODS."""

import pytest
import torch
from torch import nn

from tune_at.attacks.named import build_attack
from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.attack import AttackSection
from tune_at.config.objective import OBJECTIVES
from tune_at.config.trial import TrialConfig
from tune_at.objectives.base import Step
from tune_at.training import trainer as trainer_module
from tune_at.training.trainer import Trainer

EPS, STEP, STEPS = 0.8, 0.2, 10


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def sure_network():
    """Whose predictions are nearly one-hot on some of the images, and not on others."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)).double()
    with torch.no_grad():
        for layer, gain in ((1, 20), (3, 40)):
            for parameter in model[layer].parameters():
                parameter.mul_(gain)
    return model, torch.rand(40, 1, 8, 8, dtype=torch.float64)


def lengths(delta):
    return delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def trades_reference(model, x, steps, constant=0.0):
    """x' after each step, and the norms of the gradients.

    It begins at x + 0.001 · N(0, 1), clamped, and goes on to x' + step · g / ‖g‖, back to the ball and clamped.
    """
    target = model(x).softmax(1).detach()
    moved = (x + 0.001 * torch.randn(x.shape, generator=seeded(), dtype=x.dtype)).clamp(0, 1)
    points, norms = [moved], []
    for _ in range(steps):
        moved = points[-1].clone().requires_grad_()
        (g,) = torch.autograd.grad((target * (target.log() - model(moved).log_softmax(1))).sum(), moved)
        norms.append(lengths(g))
        delta = moved.detach() + STEP * g / (norms[-1] + constant) - x
        delta = delta * torch.where(lengths(delta) > EPS, EPS / lengths(delta), 1.0)
        points.append((x + delta).clamp(0, 1))
    return points, norms


def test_each_step_of_trades_is_the_references():
    model, x = sure_network()
    points, norms = trades_reference(model, x, STEPS)
    assert norms[0].min() < 1e-9
    assert norms[0].max() > 1
    for steps in range(1, STEPS + 1):
        spec = PGD(EPS, STEP, steps, norm="l2", loss="kl", start="gaussian")
        ours = pgd(model, x, torch.zeros(len(x), dtype=torch.long), spec, seeded())
        assert (ours - points[steps]).abs().max() < 1e-12


def test_the_constant_in_the_public_norm_is_what_shortens_small_steps():
    """Its first step is ‖g‖ / (‖g‖ + 1e-10) of a step: images of small gradients end elsewhere, others do not."""
    model, x = sure_network()
    exact, norms = trades_reference(model, x, STEPS)
    public, _ = trades_reference(model, x, STEPS, constant=1e-10)
    share = (norms[0] / (norms[0] + 1e-10)).expand_as(x)
    assert share.min() < 0.8
    unclamped = (exact[1] > 0) & (exact[1] < 1) & (public[1] > 0) & (public[1] < 1)
    assert torch.allclose((public[1] - exact[0])[unclamped], (share * (exact[1] - exact[0]))[unclamped], atol=1e-12)
    apart = (public[-1] - exact[-1]).abs().flatten(1).amax(1)
    assert apart[norms[0].flatten() < 1e-8].max() > 1e-2
    assert apart[norms[0].flatten() > 1e-4].max() < 1e-6


def test_the_length_of_a_step_does_not_depend_on_the_scale_of_the_loss():
    ball = PGD(EPS, STEP, 1, norm="l2").ball
    gradient = torch.randn(5, 1, 8, 8, dtype=torch.float64, generator=seeded())
    for scale in (1.0, 1e-8, 1e-12, 1e-200):
        assert torch.allclose(ball.ascend(scale * gradient, STEP), ball.ascend(gradient, STEP), rtol=1e-12)
        assert lengths(ball.ascend(scale * gradient, STEP)).flatten().tolist() == pytest.approx([STEP] * 5, rel=1e-12)


@pytest.mark.parametrize(
    ("norm", "start", "expected"),
    [
        ("linf", "auto", "uniform"),
        ("l2", "auto", "gaussian"),
        ("l2", "uniform", "uniform"),
        ("linf", "gaussian", "gaussian"),
        ("linf", "zero", "zero"),
    ],
)
def test_where_attacks_begin(norm, start, expected):
    attack = AttackSection(norm=norm, eps=0.3, start=start)
    assert PGD.of(attack).start == expected
    assert PGD.of(attack, "cw").start == expected
    assert PGD.of(attack, "kl").start == "gaussian"  # TRADES' own, whatever stands there
    assert PGD.of(attack).single_step(0.1, "zero").start == "zero"


def test_a_gaussian_start_is_a_thousandth_of_the_normal_distribution():
    """One step of length 0 shows the start: in training's attack, in evaluation's and in those of the tables."""
    x = torch.full((4, 1, 8, 8), 0.5, dtype=torch.float64)
    model, _ = sure_network()
    noise = torch.randn(x.shape, generator=seeded(), dtype=x.dtype)
    attack = AttackSection(norm="l2", eps=0.5, step=0, steps=1)
    y = torch.zeros(4, dtype=torch.long)
    assert torch.allclose(pgd(model, x, y, PGD.of(attack), seeded()), x + 0.001 * noise, atol=1e-15)
    for name in ("pgd", "pgd-10", "pgd-1000", "cw-1000"):
        found = build_attack(name, attack, keep_attacking=True)(model, x, y, seeded())
        assert torch.allclose(found, x + 0.001 * noise, atol=1e-15)
    seen = []
    network = type("Seen", (nn.Module,), {"forward": lambda self, images: (seen.append(images), model(images))[1]})()
    for name in ("pgd_at", "pgd_at_ls", "pgd_at_te"):
        objective = OBJECTIVES[name].load()(OBJECTIVES[name].config(), attack, 4, 10)
        objective.loss(Step(network, model, x, y, torch.arange(4), 1, 10, seeded()))
        assert torch.allclose(seen[-1], x + 0.001 * noise, atol=1e-15)


def test_evaluation_begins_there_too(monkeypatch):
    specs = []
    real = trainer_module.evaluate

    def recorded(model, batches, spec, *others):
        specs.append(spec)
        return real(model, batches, spec, *others)

    monkeypatch.setattr(trainer_module, "evaluate", recorded)
    small = {"data": {"subset": 60}, "train": {"epochs": 1, "batch_size": 30}, "model": {"width": 4}}
    for attack, start in (
        ({"norm": "l2", "eps": 0.5}, "gaussian"),
        ({"norm": "l2", "eps": 0.5, "start": "zero"}, "zero"),
    ):
        specs.clear()
        Trainer(TrialConfig.parse({**small, "attack": attack, "evaluation": {"test_samples": 20}})).run_epoch()
        assert {spec.start for spec in specs} == {start}
        assert len(specs) == 3


def test_a_wrong_start_is_refused_by_name():
    with pytest.raises(Exception, match=r"attack\.start: 'unifrom' must be 'auto', 'uniform', 'gaussian' or 'zero'"):
        TrialConfig.parse({"attack": {"start": "unifrom"}})


def test_what_was_recorded_before_the_field_began_uniform():
    old = TrialConfig.parse({"attack": {"norm": "l2", "eps": 0.5, "start": "uniform"}})
    without = old.as_json(1)
    assert "start" not in without
    assert TrialConfig.from_json(without) == old
    assert PGD.of(TrialConfig.from_json(without).attack).start == "uniform"
