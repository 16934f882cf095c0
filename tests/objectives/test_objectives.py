"""Each loss against values worked out by hand in float64, and its gradient against finite differences."""

import math

import pytest
import torch
from torch import nn

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.attack import AttackSection
from tune_at.config.objective import OBJECTIVES
from tune_at.objectives.base import Step

ATTACK = AttackSection(eps=0.1, step=0.05, steps=4)


def build(name, attack=ATTACK, **fields):
    entry = OBJECTIVES[name]
    return entry.load()(entry.config(**fields), attack, 6, 3)


def step_of(model, x, y, seed=0, epoch=1):
    return Step(model, model, x, y, torch.arange(len(y)), epoch, 10, torch.Generator().manual_seed(seed))


def softmax_regression(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double()


def batch():
    torch.manual_seed(1)
    return torch.rand(6, 1, 2, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 1, 0])


def by_hand(logits, y):
    """Mean of log Σ exp z - z_y, with plain Python numbers."""
    rows = logits.tolist()
    return sum(math.log(sum(map(math.exp, z))) - z[label] for z, label in zip(rows, y.tolist(), strict=True)) / len(y)


def kl_by_hand(p_logits, q_logits):
    total = 0.0
    for p, q in zip(p_logits.softmax(1).tolist(), q_logits.softmax(1).tolist(), strict=True):
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / len(p_logits)


def test_standard_is_the_clean_cross_entropy():
    model, (x, y) = softmax_regression(), batch()
    loss, scalars = build("standard").loss(step_of(model, x, y))
    assert loss.item() == pytest.approx(by_hand(model(x), y), rel=1e-12)
    assert scalars["natural_accuracy"] == (model(x).argmax(1) == y).float().mean()


def test_pgd_at_is_the_cross_entropy_at_the_attacked_point():
    model, (x, y) = softmax_regression(), batch()
    loss, _ = build("pgd_at").loss(step_of(model, x, y, seed=3))
    x_adv = pgd(model, x, y, PGD.of(ATTACK), torch.Generator().manual_seed(3))
    assert loss.item() == pytest.approx(by_hand(model(x_adv), y), rel=1e-12)
    assert loss.item() > by_hand(model(x), y)


def test_trades_adds_beta_times_kl_from_clean_to_attacked():
    model, (x, y) = softmax_regression(), batch()
    loss, scalars = build("trades", beta=6.0).loss(step_of(model, x, y, seed=3))
    x_adv = pgd(model, x, y, PGD.of(ATTACK, "kl"), torch.Generator().manual_seed(3))
    kl = kl_by_hand(model(x), model(x_adv))
    assert scalars["kl"].item() == pytest.approx(kl, rel=1e-9)
    assert kl > 1e-4
    assert loss.item() == pytest.approx(by_hand(model(x), y) + 6 * kl, rel=1e-9)


def test_trades_with_beta_zero_is_cross_entropy():
    model, (x, y) = softmax_regression(), batch()
    loss, _ = build("trades", beta=0).loss(step_of(model, x, y))
    assert loss.item() == pytest.approx(by_hand(model(x), y), rel=1e-12)


def test_pgd_at_with_eps_zero_is_standard_training():
    model, (x, y) = softmax_regression(), batch()
    at, _ = build("pgd_at", AttackSection(eps=0, step=0.1, steps=2)).loss(step_of(model, x, y))
    assert at.item() == build("standard").loss(step_of(model, x, y))[0].item()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_equals_finite_differences(name):
    """Small moves of the weights leave the sign-gradient attack's corner where it is, so the loss is smooth there.

    TRADES starts at x + 0.001 N(0, 1), where the KL has its minimum and the signs are decided by the start: the
    seed is fixed, so the attack is a fixed function of the weights.
    """
    model, (x, y) = softmax_regression(), batch()
    objective = build(name)
    loss, _ = objective.loss(step_of(model, x, y))
    loss.backward()
    for parameter in model.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(len(flat)):
            values = []
            for sign in (1, -1):
                flat[i] += sign * 1e-6
                values.append(objective.loss(step_of(model, x, y))[0].item())
                flat[i] -= sign * 1e-6
            assert gradient[i].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-7)


def test_the_kl_target_is_not_detached():
    """With x' fixed, d/dθ KL(f(x) ‖ f(x')) through both arguments differs from the one through f(x') alone."""
    model, (x, y) = softmax_regression(), batch()
    full, _ = build("trades", beta=1e6).loss(step_of(model, x, y))
    (ours,) = torch.autograd.grad(full, model[1].weight)
    x_adv = pgd(model, x, y, PGD.of(ATTACK, "kl"), torch.Generator().manual_seed(0))
    log_q, log_p = model(x_adv).log_softmax(1), model(x).log_softmax(1)
    detached = nn.functional.kl_div(log_q, log_p.detach(), log_target=True, reduction="batchmean")
    (other,) = torch.autograd.grad(1e6 * detached, model[1].weight)
    assert (ours - other).norm() > 0.1 * other.norm()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_saturated_logits_give_finite_gradients(name):
    model, (x, y) = softmax_regression(), batch()
    with torch.no_grad():
        model[1].weight.mul_(1e4)
    model.float()
    loss, _ = build(name).loss(step_of(model, x.float(), y))
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
