"""Networks, one architecture family a file."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from tune_at.config.model import MODELS, ModelSection
from tune_at.engine.folded import Affine


def build_model(
    config: str | ModelSection, num_classes: int = 10, in_channels: int = 3, image_size: int = 32
) -> nn.Module:
    """A freshly initialised network, from torch's global generator, behind a normalisation layer if it has one.

    Args:
        config: a model's name, for its defaults, or its config section.
        num_classes: logits it returns.
        in_channels: channels of its input.
        image_size: height and width of its input, in pixels.
    """
    section = MODELS[config].config(name=config) if isinstance(config, str) else config
    model: nn.Module = MODELS[section.name].load()(section, num_classes, in_channels, image_size)
    return normalised(model, section.mean, section.std) if section.mean else model


def normalised(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """The network after a first layer (x - mean) / std, by channel; it is `network` of the result."""
    layer = Affine(len(mean))
    centre, scale = torch.tensor(mean, dtype=torch.float64), 1 / torch.tensor(std, dtype=torch.float64)
    layer.scale.copy_(scale.view(1, -1, 1, 1))
    layer.shift.copy_((-centre * scale).view(1, -1, 1, 1))
    return nn.Sequential(OrderedDict(normalise=layer, network=network))
