"""PGD against closed forms and an independent float64 implementation in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from tune_at.attacks.modes import evaluating
from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.model import SmallCNN
from tune_at.models import build_model

SPECS = [PGD(0.1, 0.03, 5, loss, start) for loss, start in (("ce", "uniform"), ("kl", "gaussian"), ("kl", "uniform"))]


def cases(n=6):
    torch.manual_seed(0)
    model = build_model(SmallCNN(width=4), 10, 1, 8)
    model(torch.rand(64, 1, 8, 8))  # move the batch-norm statistics away from their start
    return model, torch.rand(n, 1, 8, 8), torch.arange(n) % 10


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("spec", SPECS)
def test_stays_in_the_ball_and_in_unit_range(spec):
    model, x, y = cases()
    x_adv = pgd(model, x, y, spec, seeded())
    assert (x_adv - x).abs().max() <= spec.eps + 1e-6
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert not torch.equal(x_adv, x)
    assert not x_adv.requires_grad


@pytest.mark.parametrize("spec", SPECS)
def test_leaves_modes_gradients_statistics_and_global_generator_alone(spec):
    model, x, y = cases()
    model.train()
    model.features[1].eval()  # frozen on purpose
    modes = [module.training for module in model.modules()]
    buffers = [buffer.clone() for buffer in model.buffers()]
    state = torch.get_rng_state()
    pgd(model, x, y, spec, seeded())
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(buffers, model.buffers(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("spec", SPECS)
def test_is_deterministic_for_a_seed(spec):
    model, x, y = cases()
    assert torch.equal(pgd(model, x, y, spec, seeded(1)), pgd(model, x, y, spec, seeded(1)))
    assert not torch.equal(pgd(model, x, y, spec, seeded(1)), pgd(model, x, y, spec, seeded(2)))


@pytest.mark.parametrize("loss", ["ce", "kl"])
def test_eps_zero_returns_x(loss):
    model, x, y = cases()
    assert torch.equal(pgd(model, x, y, PGD(0.0, 0.1, 3, loss), seeded()), x)


def test_zero_gradient_is_survived():
    class Constant(nn.Module):
        def forward(self, x):
            return (0 * x).flatten(1)[:, :10] + torch.arange(10.0)

    x = torch.rand(3, 1, 8, 8)
    x_adv = pgd(Constant(), x, torch.zeros(3, dtype=torch.long), PGD(0.1, 0.05, 3), seeded())
    assert torch.isfinite(x_adv).all()


def linear(rows):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, rows)).double()


def test_ce_on_a_two_class_linear_model_reaches_the_closed_form_optimum():
    torch.manual_seed(0)
    model, x, y = linear(2), torch.rand(8, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1] * 4)
    weight = model[1].weight.detach()
    # CE grows with z_other - z_y, linear in x with slope w_other - w_y: the optimum is the ball's corner, clipped.
    direction = (weight[1 - y] - weight[y]).sign().reshape(x.shape)
    optimum = (x + 0.1 * direction).clamp(0, 1)
    assert torch.allclose(pgd(model, x, y, PGD(0.1, 0.02, 15), seeded()), optimum)


def test_kl_on_a_two_class_linear_model_reaches_one_of_the_two_extremes():
    torch.manual_seed(0)
    model, x = linear(2), 0.3 + 0.4 * torch.rand(8, 1, 8, 8, dtype=torch.float64)
    weight = model[1].weight.detach()
    direction = (weight[1] - weight[0]).sign().reshape(1, 1, 8, 8)
    x_adv = pgd(model, x, torch.zeros(8, dtype=torch.long), PGD(0.1, 0.02, 30, "kl", "gaussian"), seeded())
    ends = torch.stack([torch.isclose(x_adv, x + s * 0.1 * direction).flatten(1).all(1) for s in (1, -1)])
    assert ends.any(0).all()


@pytest.mark.parametrize("loss", ["ce", "kl"])
def test_equals_an_independent_implementation(loss):
    """Softmax regression, whose input gradients have a closed form: CE is Wᵀ(f - 1_y), KL is Wᵀ(f' - f)."""
    torch.manual_seed(0)
    model, x, y = linear(5), torch.rand(4, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 3, 1, 4])
    spec = PGD(0.08, 0.02, 7, loss, "uniform")
    ours = pgd(model, x, y, spec, seeded(5)).flatten(1).numpy()

    weight, bias = (p.detach().numpy() for p in model[1].parameters())
    flat = x.flatten(1).numpy()

    def softmax(images):
        logits = images @ weight.T + bias
        e = np.exp(logits - logits.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    noise = torch.rand(x.shape, generator=seeded(5), dtype=torch.float64).flatten(1).numpy()
    moved = np.clip(flat + (2 * noise - 1) * 0.08, 0, 1)
    target = np.eye(5)[y.numpy()] if loss == "ce" else softmax(flat)
    for _ in range(7):
        gradient = (softmax(moved) - target) @ weight
        moved = np.clip(np.clip(moved + 0.02 * np.sign(gradient), flat - 0.08, flat + 0.08), 0, 1)
    assert np.allclose(ours, moved, atol=1e-12)


def test_more_steps_raise_the_loss():
    model, x, y = cases(32)
    losses = []
    with evaluating(model):
        for steps in (1, 5, 20):
            x_adv = pgd(model, x, y, PGD(0.1, 0.02, steps), seeded())
            losses.append(nn.functional.cross_entropy(model(x_adv), y).item())
    assert losses == sorted(losses)
