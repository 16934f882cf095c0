"""PGD against closed forms and an independent float64 implementation in NumPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tune_at.attacks.balls import L2Ball
from tune_at.attacks.losses import LABEL_LOSSES
from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.model import SmallCNN
from tune_at.engine.modes import evaluating
from tune_at.models import build_model

# Every attack of the package, in both norms; the ball of eps 0.1 a pixel, or of eps 0.8 in l2 over 64 pixels.
SPECS = [
    PGD(eps, 0.3 * eps, 5, norm=norm, **options)
    for norm, eps in (("linf", 0.1), ("l2", 0.8))
    for options in (
        {},
        {"loss": "kl", "start": "gaussian"},
        {"loss": "cw"},
        {"loss": "dlr"},
        {"start": "zero"},
        {"restarts": 3},
    )
]
ids = lambda spec: f"{spec.norm}-{spec.loss}-{spec.start}-{spec.restarts}"
every_attack = pytest.mark.parametrize("spec", SPECS, ids=ids)


def length(delta, norm):
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def cases(n=6):
    torch.manual_seed(0)
    model = build_model(SmallCNN(width=4), 10, 1, 8)
    model(torch.rand(64, 1, 8, 8))  # move the batch-norm statistics away from their start
    return model, torch.rand(n, 1, 8, 8), torch.arange(n) % 10


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@every_attack
def test_stays_in_the_ball_and_in_unit_range(spec):
    model, x, y = cases()
    x_adv = pgd(model, x, y, spec, seeded())
    assert length(x_adv - x, spec.norm).max() <= spec.eps * (1 + 1e-6)
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert not torch.equal(x_adv, x)
    assert not x_adv.requires_grad


@every_attack
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


@every_attack
def test_is_deterministic_for_a_seed(spec):
    model, x, y = cases()
    assert torch.equal(pgd(model, x, y, spec, seeded(1)), pgd(model, x, y, spec, seeded(1)))
    same = torch.equal(pgd(model, x, y, spec, seeded(1)), pgd(model, x, y, spec, seeded(2)))
    assert same == (spec.start == "zero")


@every_attack
def test_eps_zero_returns_x(spec):
    model, x, y = cases()
    assert torch.equal(pgd(model, x, y, replace(spec, eps=0.0, step=0.1), seeded()), x)


@every_attack
def test_zero_gradient_is_survived(spec):
    class Constant(nn.Module):
        def forward(self, x):
            return (0 * x).flatten(1)[:, :10] + torch.arange(10.0)

    x = torch.rand(3, 1, 8, 8)
    x_adv = pgd(Constant(), x, torch.zeros(3, dtype=torch.long), spec, seeded())
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


def test_l2_on_a_two_class_linear_model_reaches_the_closed_form_optimum():
    """Far from 0 and 1 the optimum is x + eps · w / ‖w‖ with w = w_other - w_y, for every loss of the label."""
    torch.manual_seed(0)
    model, x, y = linear(2), 0.4 + 0.2 * torch.rand(8, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1] * 4)
    weight = model[1].weight.detach()
    direction = torch.nn.functional.normalize(weight[1 - y] - weight[y]).reshape(x.shape)
    for loss in ("ce", "cw"):
        x_adv = pgd(model, x, y, PGD(0.5, 0.1, 120, norm="l2", loss=loss), seeded())
        assert torch.allclose(x_adv, x + 0.5 * direction, atol=1e-6)


def test_l2_gradients_that_would_underflow_when_squared_still_give_a_step():
    ball = L2Ball(1.0)
    gradient = torch.full((2, 1, 8, 8), 1e-30)
    gradient[1] = 0
    step = ball.ascend(gradient, 0.5)
    assert step[0].norm() == pytest.approx(0.5, rel=1e-5)
    assert torch.equal(step[1], torch.zeros(1, 8, 8))


def test_l2_start_has_a_uniform_radius_in_a_uniform_direction():
    x = torch.full((20_000, 1, 2, 2), 0.5)
    delta = L2Ball(0.3).uniform(x, seeded()) - x
    radius = length(delta, "l2") / 0.3
    assert radius.max() <= 1 + 1e-5
    assert (radius.mean().item(), radius.std().item()) == pytest.approx((0.5, 12**-0.5), abs=0.01)
    assert delta.mean(0).abs().max() < 0.005


def test_losses_worked_out_by_hand():
    logits = torch.tensor([[3.0, 1.0, 0.5, -1.0], [0.0, 2.0, 5.0, 4.0]])
    y = torch.tensor([0, 1])
    assert LABEL_LOSSES["cw"](y)(logits).tolist() == [-2.0, 3.0]
    assert LABEL_LOSSES["dlr"](y)(logits).tolist() == pytest.approx([-2 / 2.5, 3 / 3])
    assert LABEL_LOSSES["ce"](y)(logits)[0].item() == pytest.approx(
        math.log(sum(math.exp(z) for z in (3, 1, 0.5, -1))) - 3
    )


def test_restarts_keep_the_worst_of_each_example():
    model, x, y = cases(64)
    y = model.eval()(x).argmax(1)
    spec = PGD(0.4, 0.1, 2)
    runs, generator = [], seeded(4)
    for _ in range(4):
        runs.append(pgd(model, x, y, spec, generator))
    best = pgd(model, x, y, replace(spec, restarts=4), seeded(4))
    wrong = torch.stack([model(run).argmax(1) != y for run in runs])
    assert torch.equal(model(best).argmax(1) != y, wrong.any(0))
    assert wrong.any(0).sum() > wrong[0].sum()
    losses = torch.stack([nn.functional.cross_entropy(model(run), y, reduction="none") for run in runs])
    kept = nn.functional.cross_entropy(model(best), y, reduction="none")
    assert torch.allclose(kept[~wrong.any(0)], losses.amax(0)[~wrong.any(0)])


def test_fgsm_is_one_signed_step_from_the_image():
    torch.manual_seed(0)
    model, x, y = linear(2), torch.rand(8, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1] * 4)
    weight = model[1].weight.detach()
    direction = (weight[1 - y] - weight[y]).sign().reshape(x.shape)
    spec = PGD(0.1, 0.02, 10).single_step(0.1, "zero")
    assert torch.allclose(pgd(model, x, y, spec, seeded()), (x + 0.1 * direction).clamp(0, 1))


def test_kl_on_a_two_class_linear_model_reaches_one_of_the_two_extremes():
    torch.manual_seed(0)
    model, x = linear(2), 0.3 + 0.4 * torch.rand(8, 1, 8, 8, dtype=torch.float64)
    weight = model[1].weight.detach()
    direction = (weight[1] - weight[0]).sign().reshape(1, 1, 8, 8)
    x_adv = pgd(model, x, torch.zeros(8, dtype=torch.long), PGD(0.1, 0.02, 30, loss="kl", start="gaussian"), seeded())
    ends = torch.stack([torch.isclose(x_adv, x + s * 0.1 * direction).flatten(1).all(1) for s in (1, -1)])
    assert ends.any(0).all()


@pytest.mark.parametrize("loss", ["ce", "kl"])
def test_equals_an_independent_implementation(loss):
    """Softmax regression, whose input gradients have a closed form: CE is Wᵀ(f - 1_y), KL is Wᵀ(f' - f)."""
    torch.manual_seed(0)
    model, x, y = linear(5), torch.rand(4, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 3, 1, 4])
    spec = PGD(0.08, 0.02, 7, loss=loss)
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
