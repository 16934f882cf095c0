"""Winograd's filtering is the convolution."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tune_at.engine.folded import FoldedView
from tune_at.engine.packed import PackedConv2d, WinogradConv2d, freeze
from tune_at.engine.winograd import TILE, Workspace, is_worthwhile, transformed, winograd

needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")


@pytest.mark.parametrize("m", [2, 4])
def test_in_float64_it_is_the_convolution_and_its_input_gradient(m):
    torch.manual_seed(0)
    work = Workspace()
    for count, height, width in (
        (3, 8, 12),
        (2, 4, 4),
        (5, 12, 4),
        (40, 16, 16),
    ):  # scratch grows; the last ones take several turns
        x = torch.randn(count, 6, height, width, dtype=torch.float64, requires_grad=True)
        weight, bias = torch.randn(7, 6, 3, 3, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
        expected = F.conv2d(x, weight, bias, padding=1)
        found = winograd(x.detach(), transformed(weight, m).transpose(1, 2), m, work, bias)
        assert torch.allclose(found, expected, atol=1e-12)
        gradient = torch.randn_like(expected)
        (reference,) = torch.autograd.grad(expected, x, gradient)
        assert torch.allclose(winograd(gradient, transformed(weight, m, turned=True), m, work), reference, atol=1e-12)


def test_transformed_weights_take_the_place_of_older_ones():
    torch.manual_seed(0)
    first, second = torch.randn(2, 5, 4, 3, 3)
    held = transformed(first, 4)
    assert transformed(second, 4, into=held) is held
    assert torch.equal(held, transformed(second, 4))


def test_errors_are_those_of_the_precision():
    torch.manual_seed(0)
    x, weight = torch.randn(4, 128, 16, 16).relu(), torch.randn(128, 128, 3, 3) / 34
    expected = F.conv2d(x.double(), weight.double(), padding=1)
    for dtype, allowed in ((torch.float32, 5e-6), (torch.bfloat16, 1e-2)):
        matrices = transformed(weight.to(dtype), TILE[dtype]).transpose(1, 2)
        found = winograd(x.to(dtype), matrices, TILE[dtype], Workspace())
        assert (found - expected).norm() < allowed * expected.norm()


@pytest.mark.parametrize(
    ("convolution", "worthwhile"),
    [
        (nn.Conv2d(128, 128, 3, padding=1), True),
        (nn.Conv2d(64, 64, 3, padding=1), False),
        (nn.Conv2d(128, 128, 3, padding=0), False),
        (nn.Conv2d(128, 128, 3, 2, 1), False),
        (nn.Conv2d(128, 128, 3, padding=2, dilation=2), False),
        (nn.Conv2d(128, 128, 1), False),
        (nn.Conv2d(128, 128, 3, padding=1, groups=2), False),
        (nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"), False),
    ],
)
def test_which_convolutions_are_worth_it(convolution, worthwhile):
    assert is_worthwhile(convolution, torch.float32) == worthwhile
    assert not is_worthwhile(convolution, torch.float64)


@needs_onednn
@pytest.mark.parametrize("side", [8, 6])  # 6 does not divide into tiles of 4
@pytest.mark.parametrize("relu", [True, False])
def test_a_frozen_convolution_adds_and_cuts_off_as_packed_ones_do(relu, side):
    torch.manual_seed(0)
    convolution = nn.Conv2d(128, 128, 3, padding=1).requires_grad_(False)
    fast, plain = freeze(convolution, relu, Workspace()), PackedConv2d(convolution, relu)
    assert isinstance(fast, WinogradConv2d)
    for _ in range(2):
        x = torch.randn(32, 128, side, side, requires_grad=True)
        other = torch.randn(32, 128, side, side, requires_grad=True)
        for added in (None, other):
            results = [layer(x, added) for layer in (fast, plain)]
            assert torch.allclose(*results, atol=1e-4)
            wanted = [x] if added is None else [x, other]
            gradients = [torch.autograd.grad(result.square().sum(), wanted) for result in results]
            for mine, theirs in zip(*gradients, strict=True):
                # A result at 0 may fall to either side of the ReLU.
                assert (mine - theirs).norm() < 1e-4 * theirs.norm()
        with torch.no_grad():
            convolution.weight.mul_(-0.5)
        fast.changed()
        plain.changed()


@needs_onednn
def test_a_view_uses_it_where_the_channels_are_many():
    body = nn.Sequential(nn.Conv2d(3, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU())
    deeper = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU())
    view = FoldedView(nn.Sequential(body, deeper))
    kinds = [type(module) for module in view.modules() if isinstance(module, PackedConv2d)]
    assert kinds == [PackedConv2d, WinogradConv2d]


@needs_onednn
def test_a_view_that_began_in_inference_mode_gives_gradients():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU()).eval()
    x = torch.randn(8, 128, 8, 8)
    view = FoldedView(network)
    with torch.inference_mode():
        first = view(x)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(view(x).sum(), x)
    (reference,) = torch.autograd.grad(network(x).sum(), x)
    assert torch.allclose(first, network(x), atol=1e-4)
    assert (gradient - reference).norm() < 1e-4 * reference.norm()
