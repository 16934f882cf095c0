"""Curvature against dense Hessians in float64, and flatness against a loss that is known."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.model import MODELS
from tune_at.data.batches import Batch
from tune_at.models import build_model
from tune_at.probes.directions import filter_normalised_direction
from tune_at.probes.landscape import AdversarialLoss, dominant_curvatures, loss_changes


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def hessians(model, x, y):
    """Each sample's dense Hessian (b, d, d) of CE in x."""

    def of(image, label):
        loss = lambda flat: F.cross_entropy(model(flat.view(1, *image.shape)), label[None])
        return torch.autograd.functional.hessian(loss, image.flatten())

    return torch.stack([of(image, label) for image, label in zip(x, y, strict=True)])


def images(n=6, channels=1, size=6):
    x = torch.rand(n, channels, size, size, dtype=torch.float64, generator=rng(1))
    return x, torch.randint(4, (n,), generator=rng(2))


def convolutional(activation):
    torch.manual_seed(0)
    pool = nn.MaxPool2d(2) if activation is nn.ReLU else nn.AvgPool2d(2)
    layers = (nn.Conv2d(1, 5, 3, padding=1), nn.BatchNorm2d(5), activation(), pool, nn.Conv2d(5, 4, 3), activation())
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 4)).double()
    network[1].running_var.uniform_(0.1, 0.5)
    network[-1].weight.data *= 4
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_the_dominant_curvature_is_the_dense_hessians_eigenvalue_of_largest_magnitude(activation):
    model, (x, y) = convolutional(activation), images()
    eigenvalues = torch.linalg.eigvalsh(hessians(model, x, y))
    expected = eigenvalues.gather(1, eigenvalues.abs().argmax(1, keepdim=True))[:, 0]
    found = dominant_curvatures(model, x, y, rng(), iterations=3000, tolerance=1e-13)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-12)
    if activation is nn.ReLU:
        assert (eigenvalues[:, 0] > -1e-10 * eigenvalues[:, -1]).all()  # the largest is the dominant one
        torch.testing.assert_close(found, eigenvalues[:, -1], rtol=1e-5, atol=1e-12)
    few = dominant_curvatures(model, x, y, rng(), iterations=5)
    assert (few.abs() <= expected.abs() * (1 + 1e-9)).all()


class Quadratic(nn.Module):
    """Logits (q(x), 0) with q = xᵀAx / 2: CE with label 1 is softplus(q), at q = 0 with Hessian A / 2 + ∇q∇qᵀ / 4."""

    def __init__(self, matrix):
        super().__init__()
        self.register_buffer("matrix", matrix)

    def forward(self, x):
        q = (x.flatten(1) @ self.matrix * x.flatten(1)).sum(1) / 2
        return torch.stack([q, torch.zeros_like(q)], 1)


@pytest.mark.parametrize(("eigenvalues", "expected"), [((3.0, 1, -5, 0), -2.5), ((6.0, 1, -5, 0), 3.0)])
def test_an_indefinite_hessian_has_its_dominant_eigenvalue_with_its_sign(eigenvalues, expected):
    basis = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=rng()))[0]
    matrix = basis @ torch.diag(torch.tensor(eigenvalues).double()) @ basis.T
    x, y = torch.zeros(1, 1, 2, 2, dtype=torch.float64), torch.tensor([1])
    found = dominant_curvatures(Quadratic(matrix), x, y, rng(), iterations=500, tolerance=1e-14)
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_small_curvatures_do_not_underflow_and_no_curvature_is_zero():
    x, y = torch.rand(3, 1, 4, 4, generator=rng()), torch.tensor([0, 1, 0])
    weight = torch.randn(16, 1, generator=rng())

    def linear(scale):
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
        net[1].weight.data = torch.cat([weight.T, torch.zeros(1, 16)]) * scale
        return net

    # CE of a linear network of two classes: f (1 - f) w wᵀ.
    found = dominant_curvatures(linear(1e-12), x, y, rng())
    torch.testing.assert_close(found, (0.25e-24 * weight.square().sum()).expand(3), rtol=1e-4, atol=0)
    assert dominant_curvatures(linear(0), x, y, rng()).tolist() == [0, 0, 0]
    assert dominant_curvatures(linear(float("nan")), x, y, rng()).isnan().all()


def test_float32_is_enough_for_a_model_of_the_registry():
    torch.manual_seed(0)
    model = build_model(MODELS["small_cnn"].config(name="small_cnn", width=4), 10, 1, 8).eval()
    x, y = torch.rand(4, 1, 8, 8, generator=rng()), torch.arange(4)
    found = dominant_curvatures(model, x, y, rng(), iterations=100, tolerance=1e-6)
    double = copy.deepcopy(model).double()
    eigenvalues = torch.linalg.eigvalsh(hessians(double, x.double(), y))
    torch.testing.assert_close(found.double(), eigenvalues[:, -1], rtol=1e-3, atol=1e-7)


def test_changes_along_directions_are_those_of_a_loss_that_is_known():
    torch.manual_seed(0)
    network = nn.Linear(6, 3, bias=False).double()
    gradient = torch.randn(3, 6, dtype=torch.float64, generator=rng(5))

    def loss(net):  # linear and quadratic part: the latter is all that is left of the mean of both signs
        return ((gradient * net.weight).sum() + net.weight.square().sum()).item()

    found = loss_changes(network, loss, (0.1, 0.5), 3, rng(7))
    same = rng(7)
    directions = [filter_normalised_direction(network, same)["weight"] for _ in range(3)]
    for a in (-0.5, -0.1, 0.1, 0.5):
        expected = [a * (d * (gradient + 2 * network.weight)).sum() + a * a * d.square().sum() for d in directions]
        assert found[a] == pytest.approx(sum(expected).item() / 3, rel=1e-10)
    assert loss_changes(network, loss, (0.1, 0.5, 0.1), 3, rng(7)) == found
    both = (found[0.5] + found[-0.5]) / 2
    assert both == pytest.approx(0.25 * network.weight.square().sum().item(), rel=1e-10)  # ‖d‖ = ‖w‖


def test_the_adversarial_loss_is_attacked_again_with_the_same_starts():
    torch.manual_seed(0)
    network = build_model(MODELS["small_cnn"].config(name="small_cnn", width=4), 10, 1, 8).eval()
    x, y = torch.rand(10, 1, 8, 8, generator=rng()), torch.arange(10)
    batches = [Batch(torch.arange(6), x[:6], y[:6]), Batch(torch.arange(6, 10), x[6:], y[6:])]
    attack, views = PGD(0.1, 0.05, 3), []
    loss = AdversarialLoss(batches, attack, lambda net: views.append(net) or net, seed=11)
    generator, expected = rng(11), []
    for batch in batches:
        x_adv = pgd(network, batch.x, batch.y, attack, generator)
        expected.append(F.cross_entropy(network(x_adv), batch.y, reduction="none").detach())
    assert loss(network) == loss(network) == pytest.approx(float(torch.cat(expected).mean()), rel=1e-6)
    other = copy.deepcopy(network)
    other.classifier.weight.data *= -1
    assert loss(other) != loss(network) and views[-2:] == [other, network]
    changes = loss_changes(network, loss, (0.2,), 2, rng(3))
    assert set(changes) == {-0.2, 0.2} and all(math.isfinite(change) and change for change in changes.values())
