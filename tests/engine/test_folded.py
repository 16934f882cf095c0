"""The folded view gives the network's own logits and input gradients."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tune_at.engine.folded import FoldedView
from tune_at.engine.modes import evaluating
from tune_at.engine.packed import PackedConv2d
from tune_at.models import build_model

MODELS = ["small_cnn", "resnet18", "preact_resnet18", "wrn-10-2", "vgg16", "densenet121", "dla"]


def trained(network):
    """As after some training: batch-norm statistics and coefficients away from 0 and 1, of both signs."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 2)
            module.weight.data.uniform_(-0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return network


def logits_and_gradient(network, x):
    x = x.clone().requires_grad_()
    with evaluating(network):
        logits = network(x)
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, torch.arange(len(x)), reduction="sum"), x)
    return logits.detach(), gradient


@pytest.mark.parametrize("name", MODELS)
def test_in_float64_folding_is_exact_to_rounding(name):
    torch.manual_seed(0)
    network = trained(build_model(name)).double()
    x = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    view = FoldedView(network, torch.float64)
    assert view.folded
    assert not any(isinstance(module, nn.BatchNorm2d) for module in view.modules())
    reference, gradient = logits_and_gradient(network, x)
    logits, found = logits_and_gradient(view.body, x)
    assert torch.allclose(logits, reference, rtol=1e-9, atol=1e-9 * reference.abs().max())
    assert torch.allclose(found, gradient, rtol=1e-7, atol=1e-9 * gradient.abs().max())


@pytest.mark.parametrize("name", MODELS)
def test_packed_convolutions_are_the_plain_ones(name):
    torch.manual_seed(0)
    network = trained(build_model(name))
    view, unpacked = FoldedView(network), FoldedView(network, packed=False)
    assert any(isinstance(module, PackedConv2d) for module in view.modules())
    for size in (4, 3):  # a last batch is smaller
        x = torch.rand(size, 3, 32, 32)
        logits, gradient = logits_and_gradient(view, x)
        expected, reference = logits_and_gradient(unpacked, x)
        assert torch.allclose(logits, expected, rtol=1e-4, atol=1e-5 * expected.abs().max())
        assert torch.allclose(gradient, reference, rtol=1e-3, atol=1e-4 * reference.abs().max())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.9)
    view.refresh()
    unpacked.refresh()
    assert torch.allclose(view(x), unpacked(x), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(view(x), logits, rtol=1e-3, atol=1e-3)


class Sums(nn.Module):
    """Every sum that a packed convolution may and may not take in."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8))
        self.shortcut = nn.Sequential(nn.Conv2d(8, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
        self.third = nn.Sequential(nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.BatchNorm2d(8))
        self.pool, self.relu = nn.AdaptiveAvgPool2d(1), nn.ReLU(inplace=True)
        self.classifier = nn.Linear(8, 10)

    def forward(self, x):
        x = self.first(x)
        x = self.relu(self.second(x) + self.shortcut(x))  # both are convolutions
        x = self.third(x) + self.pool(x)  # broadcast, and without a ReLU
        y = self.third(x)
        return self.classifier((y + y).mean((2, 3)))  # with itself


@pytest.mark.parametrize("size", [8, 7])
def test_sums_that_convolutions_take_in(size):
    torch.manual_seed(0)
    network = trained(Sums())
    x = torch.rand(5, 1, size, size)
    reference, gradient = logits_and_gradient(network, x)
    logits, found = logits_and_gradient(FoldedView(network), x)
    assert torch.allclose(logits, reference, atol=1e-5)
    assert torch.allclose(found, gradient, atol=1e-5)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_precisions(dtype, error):
    torch.manual_seed(0)
    network = trained(build_model("preact_resnet18"))
    x = torch.rand(4, 3, 32, 32)
    reference, _ = logits_and_gradient(network, x)
    logits, gradient = logits_and_gradient(FoldedView(network, dtype), x)
    assert logits.dtype == gradient.dtype == torch.float32
    assert (logits - reference).abs().max() < error * reference.abs().max()


def test_refresh_follows_the_network_and_leaves_it_alone():
    torch.manual_seed(0)
    network = build_model("small_cnn", 10, 1, 8).train()
    x = torch.rand(6, 1, 8, 8)
    view = FoldedView(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    F.cross_entropy(network(x), torch.arange(6)).backward()
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    optimizer.step()
    stale = view(x)
    view.refresh()
    state = copy.deepcopy(network.state_dict())
    logits, _ = logits_and_gradient(view, x)
    reference, _ = logits_and_gradient(network, x)
    assert torch.allclose(logits, reference, atol=1e-5)
    assert not torch.allclose(stale, reference, atol=1e-3)
    assert network.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        assert parameter.requires_grad and torch.equal(parameter.grad, gradient)


class Branching(nn.Module):
    """Cannot be traced."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))

    def forward(self, x):
        return self.body(x) if x.sum() > 0 else self.body(-x)


class Scaled(nn.Module):
    """Has a parameter outside of all layers."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.body = Branching().body

    def forward(self, x):
        return self.scale * self.body(x)


class Odd(nn.Module):
    """A convolution with a bias whose result is used twice, a norm without statistics, and one norm for two layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.batch = nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False, track_running_stats=False)
        self.bare = nn.BatchNorm2d(4, affine=False)
        self.classifier = nn.Linear(256, 10)

    def forward(self, x):
        x = self.first(x)
        x = self.norm(x) + x
        x = self.norm(self.second(x))
        return self.classifier(self.bare(self.batch(x)).flatten(1))


@pytest.mark.parametrize(("network", "folded"), [(Branching, False), (Scaled, False), (Odd, True)])
def test_networks_of_other_makes(network, folded):
    torch.manual_seed(0)
    network = trained_if_affine(network())
    x = torch.rand(5, 1, 8, 8)
    view = FoldedView(network)
    assert view.folded == folded
    reference, gradient = logits_and_gradient(network, x)
    logits, found = logits_and_gradient(view, x)
    assert torch.allclose(logits, reference, atol=1e-5)
    assert torch.allclose(found, gradient, atol=1e-5)


def trained_if_affine(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 2)
            if module.affine:
                module.weight.data.uniform_(-0.5, 1.5)
    return network


def test_hooks_and_parametrised_layers_are_kept():
    def build():
        torch.manual_seed(0)
        return trained(build_model("small_cnn", 10, 1, 8))

    normalised, shifted, spectral = build(), build(), build()
    normalised.register_forward_pre_hook(lambda module, inputs: ((inputs[0] - 0.5) / 0.2,))
    shifted.features[1].register_forward_hook(lambda module, inputs, output: output + 0.3)
    nn.utils.parametrizations.spectral_norm(spectral.features[3])
    x = torch.rand(5, 1, 8, 8)
    for network in (normalised, shifted, spectral):
        view = FoldedView(network)
        assert not view.folded
        reference, gradient = logits_and_gradient(network, x)
        logits, found = logits_and_gradient(view, x)
        assert torch.allclose(logits, reference, atol=1e-5)
        assert torch.allclose(found, gradient, atol=1e-5)


def test_a_second_derivative_is_refused_rather_than_wrong():
    view = FoldedView(build_model("small_cnn", 10, 1, 8))
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(view(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError):
        gradient.square().sum().backward()
