"""Random directions in weight space whose filters are as long as the weights' (Fig. 4a, and the weight loss landscape).

The normalisation is that of Li et al., *Visualizing the Loss Landscape of Neural Nets* (2018).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


@torch.no_grad()
def filter_normalised_direction(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """A normal direction d, each filter of it scaled to the norm of its weight filter; zero for 1-D parameters.

    A filter is `weight[i]`, what makes one channel of a convolution's output or one unit of a linear layer's. So a
    length l of l · d means the same in networks whose weights differ in size.

    Args:
        network: what d is a direction for; only looked at.
        generator: on the parameters' device. As many numbers are drawn as there are weights, whatever they are.

    Returns:
        d by parameter name, each of its parameter's shape and type. Biases and the parameters of batch norms, which
        have one dimension, are zero in it.
    """
    direction = {}
    for name, weight in network.named_parameters():
        if weight.dim() < 2:
            direction[name] = torch.zeros_like(weight)
            continue
        drawn = torch.randn(weight.shape, generator=generator, device=weight.device, dtype=weight.dtype)
        lengths, wanted = (_filter_lengths(values) for values in (drawn, weight))
        direction[name] = drawn.mul_(wanted / lengths)
    return direction


@torch.no_grad()
def move_along(
    network: nn.Module, weights: Mapping[str, Tensor], direction: Mapping[str, Tensor], length: float
) -> None:
    """Set the parameters of a network (a copy of what is measured) to weights + length · direction."""
    for name, parameter in network.named_parameters():
        parameter.copy_(torch.add(weights[name], direction[name], alpha=length))


def _filter_lengths(weight: Tensor) -> Tensor:
    """‖weight[i]‖₂ for each i, of a shape that broadcasts over the weight."""
    return weight.flatten(1).norm(dim=1).view(-1, *(1,) * (weight.dim() - 1))
