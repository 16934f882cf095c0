"""Margin and norms of a network: the norm-based complexity measures of Fig. 5.

The paper writes them Π‖Wᵢ‖₂ / margin and Π‖Wᵢ‖₁ / margin; the figure's numbers, and ours, are their logarithms.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tune_at.attacks import losses
from tune_at.data.batches import Batch
from tune_at.engine.modes import evaluating


@torch.no_grad()
def margins(network: nn.Module, batches: Iterable[Batch]) -> Tensor:
    """z_y - max_{j≠y} z_j of each image, float32 (n,), y being the label that is trained on.

    Margins are of the training set (Neyshabur et al., 2017, whom the paper follows), so a network that has learned
    random labels is measured by those.
    """
    with evaluating(network):
        return torch.cat([-losses.margin(batch.y)(network(batch.x)) for batch in batches])


def low_margin(values: Tensor, percentile: float) -> float:
    """The margin that `percentile` percent of images stay below, between two of them by linear interpolation.

    NaN where a margin is.
    """
    return float(torch.quantile(values.double(), percentile / 100))


def log_over_margin(log_product: float, margin: float) -> float:
    """log (Π‖Wᵢ‖ / margin). NaN for a margin that is not positive: the measure is not defined for such a network."""
    return log_product - math.log(margin) if margin > 0 else float("nan")


def log_product(norms: Iterable[float]) -> float:
    """log Π‖Wᵢ‖, as a sum; -inf where a layer is zero."""
    return sum(math.log(norm) if norm else -math.inf for norm in norms)
