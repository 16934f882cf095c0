"""Networks, one architecture family a file."""

from torch import nn

from tune_at.config.model import MODELS, ModelSection


def build_model(
    config: str | ModelSection, num_classes: int = 10, in_channels: int = 3, image_size: int = 32
) -> nn.Module:
    """A freshly initialised network, from torch's global generator.

    Args:
        config: a model's name, for its defaults, or its config section.
        num_classes: logits it returns.
        in_channels: channels of its input.
        image_size: height and width of its input, in pixels.
    """
    section = MODELS[config].config(name=config) if isinstance(config, str) else config
    model: nn.Module = MODELS[section.name].load()(section, num_classes, in_channels, image_size)
    return model
