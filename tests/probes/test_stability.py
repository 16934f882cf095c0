"""Changes of gradients along a direction: a quadratic, Theorem 1's bound, and the probe itself."""

import copy

import pytest
import torch
from torch import nn

from tune_at.config.probes import GradientStability
from tune_at.probes.losses import Attacked
from tune_at.probes.stability import gradient_changes, gradient_stability
from tune_at.training.trainer import Trainer


class Weights(nn.Module):
    """θ as a network whose output is θ itself, whatever the image."""

    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, images):
        return self.theta.expand(len(images), -1) + 0 * images.flatten(1)[:, :1]


def test_of_a_quadratic_it_is_the_hessian_times_the_step():
    """J_i = ½ θᵀ H_i θ: ∇J_i(θ + l d) - ∇J_i(θ) = l H_i d."""
    torch.manual_seed(0)
    hessians = torch.randn(3, 5, 5, dtype=torch.float64)
    hessians = hessians + hessians.mT
    theta, d = torch.randn(2, 5, dtype=torch.float64)

    # An index into a tensor of labels is not known to a sample by itself: the matrices come as images.
    def term(network, x, x_adv, y):
        out = network(x)
        return 0.5 * torch.einsum("bi,bij,bj->b", out, x[:, 0], out)

    network = Weights(theta)
    images = hessians[:, None]
    part = Attacked(images, images, torch.zeros(3, dtype=torch.long))
    for length in (-0.05, 0.0, 0.3):
        changes = gradient_changes(network, term, part, part, {"theta": theta + length * d})
        torch.testing.assert_close(changes, (length * hessians @ d).norm(dim=1), rtol=1e-12, atol=1e-14)


def test_theorem_1_holds_and_is_tight():
    """‖∇J(θ1) - ∇J(θ2)‖ ≤ ‖∇L(θ1) - ∇L(θ2)‖ + 2 eps K, where ‖∇L(θ, x') - ∇L(θ, x)‖ ≤ K ‖x' - x‖ (Theorem 1).

    Of L = |θ| K x in one dimension ∇L is sign(θ) K x, and the worst x' is x + eps. From θ1 > 0 to θ2 < 0, at x = 0,
    ∇L is 0 on both sides and ∇J is ± K eps: they differ by exactly 2 eps K.
    """
    eps, constant = 0.3, 5.0

    def gradient(theta, x):
        theta = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad(theta.abs() * constant * x, theta)
        return float(found)

    def adversarial(theta, x):
        worst = max((x - eps, x + eps), key=lambda point: abs(theta) * constant * point)
        return gradient(theta, worst)

    def sides(first, second, x):
        left = abs(adversarial(first, x) - adversarial(second, x))
        return left, abs(gradient(first, x) - gradient(second, x)) + 2 * eps * constant

    left, right = sides(0.7, -0.2, 0.0)
    assert left == pytest.approx(right, rel=1e-12)
    assert left == pytest.approx(2 * eps * constant)
    for first, second, x in ((0.7, -0.2, 0.4), (0.7, 0.2, 0.0), (-1.0, 0.5, -0.9), (0.1, -0.1, 0.25)):
        left, right = sides(first, second, x)
        assert left <= right + 1e-12


@pytest.mark.parametrize(("objective", "lines"), [("pgd_at", 2), ("trades", 2), ("standard", 1)])
def test_the_probe_is_zero_at_the_start_and_grows(tiny, objective, lines):
    trainer = Trainer(tiny(objective))
    snapshot, before = trainer.snapshot(), copy.deepcopy(trainer.model.state_dict())
    section = GradientStability(samples=10, points=5)
    rows = list(gradient_stability(snapshot, section, torch.Generator().manual_seed(0)))
    assert rows == list(gradient_stability(snapshot, section, torch.Generator().manual_seed(0)))
    assert len(rows) == 5 * lines
    for name in {row.quantity for row in rows}:
        curve = {round(row.x, 6): row.value for row in rows if row.quantity == name}
        assert list(curve) == [-0.05, -0.025, 0.0, 0.025, 0.05]
        assert curve[0.0] == pytest.approx(0, abs=1e-6)
        assert curve[0.05] > curve[0.025] > 0
        assert curve[-0.05] > curve[-0.025] > 0
    assert all(torch.equal(trainer.model.state_dict()[name], value) for name, value in before.items())
    assert trainer.model.training == snapshot.network.training
