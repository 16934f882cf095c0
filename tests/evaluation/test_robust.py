"""Batches that are fixed, and outcomes that are right where they can be calculated."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tune_at.attacks.named import find_attack
from tune_at.config.attack import AskedAttack, AttackSection
from tune_at.data.batches import Batch
from tune_at.errors import UserError
from tune_at.evaluation.robust import (
    BATCH,
    attack_batch,
    batch_chance,
    batch_count,
    batch_places,
    batch_size,
    fixed_order,
)


def labels(*counts):
    return np.random.default_rng(3).permutation(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize("counts", [(36,) * 10, (100, 10, 1), (5,)])
def test_any_beginning_of_the_order_is_class_balanced(counts):
    order = fixed_order(given := labels(*counts))
    assert sorted(order) == list(range(len(given)))
    shares = np.array(counts) / len(given)
    for n in range(1, len(given) + 1):
        found = np.bincount(given[order[:n]], minlength=len(counts))
        assert np.abs(found - n * shares).max() <= len(counts) / 2


def test_batches_cut_the_order_into_equal_parts():
    order = fixed_order(labels(123, 127))
    assert batch_count(len(order)) == 3
    assert batch_count(2 * BATCH) == 2
    parts = [batch_places(order, number) for number in range(3)]
    assert [len(part) for part in parts] == [batch_size(number, 250) for number in range(3)] == [100, 100, 50]
    assert np.array_equal(np.concatenate(parts), order)


def test_batches_and_attacks_draw_apart():
    draws = [
        torch.rand(3, generator=batch_chance(torch.device("cpu"), attack, number)).tolist()
        for attack in ("pgd-10", "pgd-20") for number in (0, 1, 0)
    ]  # fmt: skip
    assert draws[0] == draws[2]
    assert len({tuple(draw) for draw in draws}) == 4


class Line(nn.Module):
    """Logits (w·x, 0): a point falls to an attack of radius eps in l-inf if and only if its margin is below eps‖w‖₁."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        z = (x - 0.5).flatten(1) @ self.weight
        return torch.stack([z, torch.zeros_like(z)], 1)


@pytest.mark.parametrize("attack", ["pgd-10", "pgd-20", "cw-1000"])
def test_the_outcome_of_a_linear_network_is_the_calculated_one(attack):
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(16, generator=draw)
    x = 0.5 + 0.2 * (torch.rand((400, 1, 4, 4), generator=draw) - 0.5)  # no ball touches the walls of [0, 1]
    network = Line(weight)
    y = network(x).detach().argmax(1)
    y[:50] = 1 - y[:50]  # wrong from the start
    eps = 0.012
    spec = find_attack(attack, AskedAttack(attack).threat(AttackSection(eps=eps, step=0.004)))
    found = attack_batch(network, Batch(torch.arange(400), x, y), spec, batch_chance(x.device, attack, 0))
    z = (x - 0.5).flatten(1) @ weight
    margin = torch.where(y == 0, z, -z)
    assert torch.equal(found.natural_correct, margin > 0)
    stands = margin > eps * weight.abs().sum()
    assert 50 < stands.sum() < 350
    assert torch.equal(found.robust_correct, stands)
    assert torch.equal(found.robust_prediction == y, stands)
    assert torch.allclose(found.natural_loss, F.softplus(-margin), atol=1e-6)
    worst = F.softplus(-(margin - eps * weight.abs().sum()))
    if attack != "cw-1000":  # which leaves what has fallen alone
        assert torch.allclose(found.robust_loss, worst, atol=1e-5)


def test_a_nan_is_no_prediction():
    network = Line(torch.full((16,), float("nan")))
    x = torch.rand(3, 1, 4, 4)
    spec = find_attack("pgd-10", AttackSection(eps=0.03, step=0.01))
    found = attack_batch(network, Batch(torch.arange(3), x, torch.zeros(3).long()), spec, batch_chance(x.device, "", 0))
    assert found.natural_prediction.tolist() == found.robust_prediction.tolist() == [-1] * 3
    assert not found.natural_correct.any() and not found.robust_correct.any()


def test_images_outside_of_their_range_are_refused():
    batch = Batch(torch.arange(2), torch.full((2, 1, 4, 4), 16.0), torch.zeros(2).long())
    spec = find_attack("pgd-10", AttackSection())
    with pytest.raises(UserError, match="undo normalisation"):
        attack_batch(Line(torch.ones(16)), batch, spec, batch_chance(batch.x.device, "pgd-10", 0))
