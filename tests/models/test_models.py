"""Architectures: parameter counts as published, shapes, and the cost that the estimate counts with."""

import pytest
import torch
from torch import nn

from tune_at.config.model import MODELS, WideResNet
from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.models import build_model

# For 10 and, where METHODS.md names it, 100 classes.
COUNTS = {
    "wrn-28-10": (36_479_194, 36_536_884),
    "wrn-34-10": (46_160_474, 46_218_164),
    "wrn-34-20": (184_531_674, 184_646_964),
    "wrn-70-16": (266_796_506, 266_888_756),
    "resnet18": (11_173_962, 11_220_132),
    "preact_resnet18": (11_172_170, None),
    "vgg16": (14_728_266, None),
    "densenet121": (6_956_298, None),
    "dla": (16_291_386, None),
}


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    with torch.device("meta"):
        for classes, count in zip((10, 100), COUNTS[name], strict=True):
            if count is not None:
                assert parameters(build_model(name, num_classes=classes)) == count


SMALL = [name for name in MODELS if name != "wrn-28-10"]  # its smaller sisters stand for it


@pytest.mark.parametrize("name", [*SMALL, "wrn-10-1", "wrn-16-2"])
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 32)])
def test_shapes_and_finite_gradients(name, channels, size):
    torch.manual_seed(0)
    model = build_model(name, num_classes=7, in_channels=channels, image_size=size)
    x = torch.rand(2, channels, size, size, requires_grad=True)
    logits = model(x)
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def multiply_adds(model, shape):
    """Counted from the layers' own shapes in a forward pass."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    for module in model.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.rand(1, *shape))
    return total


@pytest.mark.parametrize("name", [*SMALL, "wrn-16-2", "wrn-22-4"])
def test_the_estimate_counts_what_the_network_does(name):
    shape = (3, 32, 32)
    config = MODELS[name].config(name=name)
    assert config.flops(shape, 10) == pytest.approx(multiply_adds(build_model(config), shape), rel=0.03)


def test_dropout_of_a_wide_resnet_acts_in_training_only():
    torch.manual_seed(0)
    model = build_model(WideResNet(name="wrn-10-1", dropout=0.5), 10, 1, 8)
    x = torch.rand(4, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_names_of_wide_resnets():
    assert TrialConfig.parse({"model": "wrn-70-16"}).model.blocks == 11
    for name, message in [("wrn-27-10", "6 n + 4"), ("wrn-28", "did you mean"), ("wrn-28-0", "width at least 1")]:
        with pytest.raises(UserError) as caught:
            TrialConfig.parse({"model": name})
        assert message in str(caught.value)
        assert "model.name" in str(caught.value)
