"""Norms of layers against the singular values of the dense matrix, and of those matrices of networks that pad."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tune_at.config.model import MODELS
from tune_at.models import build_model
from tune_at.probes.norms import Layer, convolution_norm, layers


def dense(weight, size, stride=(1, 1), dilation=(1, 1), groups=1, circular=True):
    """The matrix of a convolution, a column an input pixel: each unit vector is put through it.

    Circular: tap (a, b) of output (y, x) looks at input (s y + d a, t x + d b) modulo the sides, index by index.
    """
    out, inputs, rows, columns = weight.shape
    channels, (height, width) = inputs * groups, size
    units = torch.eye(channels * height * width, dtype=torch.float64).view(-1, channels, height, width)
    if not circular:
        padding = (dilation[0] * (rows // 2), dilation[1] * (columns // 2))
        return F.conv2d(units, weight, None, stride, padding, dilation, groups).flatten(1).T
    images = torch.zeros(len(units), out, height // stride[0], width // stride[1], dtype=torch.float64)
    for o in range(out):
        first = o // (out // groups) * inputs
        for c in range(inputs):
            for a in range(rows):
                for b in range(columns):
                    seen = units[:, first + c].roll((-dilation[0] * a, -dilation[1] * b), (1, 2))
                    images[:, o] += weight[o, c, a, b] * seen[:, :: stride[0], :: stride[1]]
    return images.flatten(1).T


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def norm(matrix):
    return float(torch.linalg.svdvals(matrix)[0])


CASES = {
    "3×3": ((4, 3, 3, 3), (6, 6), {}),
    "more inputs than outputs": ((2, 5, 3, 3), (5, 4), {}),
    "1×1": ((4, 3, 1, 1), (5, 5), {}),
    "stride 2": ((4, 3, 3, 3), (6, 6), {"stride": (2, 2)}),
    "stride 2, 1×1": ((4, 3, 1, 1), (4, 6), {"stride": (2, 2)}),
    "stride 3 and 2": ((2, 3, 3, 3), (6, 4), {"stride": (3, 2)}),
    "odd side, stride 1 and 2": ((3, 2, 3, 3), (5, 6), {"stride": (1, 2)}),
    "groups": ((4, 2, 3, 3), (5, 5), {"groups": 2}),
    "dilated": ((3, 2, 3, 3), (7, 6), {"dilation": (2, 1)}),
    "kernel larger than the image": ((3, 2, 3, 3), (2, 2), {}),
    "one pixel": ((3, 2, 3, 3), (1, 1), {}),
    "one output, stride 2": ((3, 2, 3, 3), (2, 2), {"stride": (2, 2)}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_convolutions_norm_is_its_matrixs_largest_singular_value(name):
    shape, size, options = CASES[name]
    weight = random(*shape)
    assert convolution_norm(weight, size, **options) == pytest.approx(norm(dense(weight, size, **options)), rel=1e-12)


def test_sides_that_the_stride_does_not_divide_are_rounded_up():
    weight = random(3, 2, 3, 3)
    expected = norm(dense(weight, (6, 4), (2, 2)))
    assert convolution_norm(weight, (5, 3), (2, 2)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_padding_with_zeros_is_bounded_by_a_larger_torus_and_near_on_a_large_image(stride):
    weight = random(3, 2, 3, 3)
    zeros = norm(dense(weight, (6, 6), stride, circular=False))
    assert zeros <= convolution_norm(weight, (8, 8), stride) * (1 + 1e-12)
    assert zeros == pytest.approx(convolution_norm(weight, (6, 6), stride), rel=0.15)
    large = norm(dense(weight, (14, 14), stride, circular=False))
    assert large == pytest.approx(convolution_norm(weight, (14, 14), stride), rel=0.05)
    assert large != pytest.approx(convolution_norm(weight, (14, 14), stride), rel=1e-6)  # it is another map


def test_linear_layers_and_batch_norms():
    weight = random(4, 7)
    assert Layer(weight).spectral_norm() == pytest.approx(norm(weight), rel=1e-12)
    assert Layer(torch.tensor([1.0, -3.0, 2.0]).double()).spectral_norm() == 3
    assert Layer(torch.tensor([[1.0, -3.0], [2.0, 0.5]]).double()).l1_norm() == 6.5
    for lost in (random(4, 7) / 0, random(2, 2, 3, 3) * float("nan"), torch.tensor([1, float("nan")])):
        assert math.isnan(Layer(lost.double(), (4, 4)).spectral_norm())
    assert Layer(torch.zeros(2, 2, 3, 3).double(), (4, 4)).spectral_norm() == 0
    kernel = torch.full((2, 1, 3, 3), -0.5).double()
    assert Layer(kernel, (8, 8)).l1_norm() == 9  # a sum over weights, whatever the image


def trained(network):
    """With batch-norm statistics and factors of some training."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, -1, 2)
    return network.eval()


def test_batch_norms_are_folded_so_the_scale_of_a_weight_before_one_does_not_count():
    network = trained(nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 5)))
    x = torch.zeros(1, 2, 8, 8)
    first, linear = layers(network, x)
    scale = network[1].weight / (network[1].running_var + network[1].eps).sqrt()
    torch.testing.assert_close(first.weight.float(), network[0].weight * scale.view(-1, 1, 1, 1))
    assert (first.size, first.stride) == ((8, 8), (2, 2))
    assert torch.equal(linear.weight, network[3].weight.double())
    louder = copy.deepcopy(network)
    louder[0].weight.data *= 1000
    louder[0].bias.data *= 1000
    louder[1].running_mean *= 1000
    louder[1].running_var = (louder[1].running_var + louder[1].eps) * 1e6 - louder[1].eps
    torch.testing.assert_close(louder(x + 1), network(x + 1), rtol=1e-4, atol=1e-4)
    assert layers(louder, x)[0].spectral_norm() == pytest.approx(first.spectral_norm(), rel=1e-5)


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "wrn-10-1", "vgg16"])
def test_every_convolution_and_linear_layer_of_a_model_counts_once(name):
    section = MODELS[name].config(name=name)
    network = trained(build_model(section, 10, 3, 8))
    found = layers(network, torch.zeros(1, 3, 8, 8))
    for kind, dimensions in ((nn.Conv2d, 4), (nn.Linear, 2)):
        expected = [module.weight.shape for module in network.modules() if isinstance(module, kind)]
        assert sorted(layer.weight.shape for layer in found if layer.weight.dim() == dimensions) == sorted(expected)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    alone = [layer for layer in found if layer.weight.dim() == 1]
    # Only the second batch norm of each of its three blocks follows a convolution and nothing else.
    assert len(alone) == (len(norms) - 3 if name == "wrn-10-1" else 0)


def test_a_network_that_cannot_be_folded_has_its_batch_norms_as_layers():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)

        def forward(self, x):
            return self.norm(self.convolution(x)).mean((2, 3)) if x.sum() >= 0 else x.mean((2, 3))

    network = trained(Branching())
    convolution, scale = layers(network, torch.zeros(1, 1, 4, 4))
    assert torch.equal(convolution.weight, network.convolution.weight.double())
    torch.testing.assert_close(scale.weight, (network.norm.weight / (network.norm.running_var + 1e-5).sqrt()).double())
