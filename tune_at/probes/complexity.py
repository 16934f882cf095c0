"""Margin and norms of a network: the norm-based complexity measures of Fig. 5.

The paper writes them Π‖Wᵢ‖₂ / margin and Π‖Wᵢ‖₁ / margin; the figure's numbers, and ours, are their logarithms.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from tune_at.attacks import losses
from tune_at.config.probes import L1Norm, Margin, SpectralNorm
from tune_at.data.batches import Batch
from tune_at.engine.modes import evaluating
from tune_at.probes.base import Measurement
from tune_at.probes.losses import measured_places, probed_batches
from tune_at.probes.norms import Layer, layers
from tune_at.training.snapshot import NetworkSnapshot


def margin(snapshot: NetworkSnapshot, section: Margin, generator: torch.Generator) -> Iterator[Measurement]:
    """`margin`: the percentile of the training images' margins. It may be negative, where the network is wrong."""
    found = margins(snapshot.network, probed_batches(snapshot, section))
    yield Measurement("margin", low_margin(found, section.percentile))


def spectral_norm(
    snapshot: NetworkSnapshot, section: SpectralNorm, generator: torch.Generator
) -> Iterator[Measurement]:
    """By ‖Wᵢ‖₂, the layers' largest singular values; see `_norm_measures`."""
    parts = _layers(snapshot, section)
    return _norm_measures(snapshot, section, [part.spectral_norm() for part in parts])


def l1_norm(snapshot: NetworkSnapshot, section: L1Norm, generator: torch.Generator) -> Iterator[Measurement]:
    """By ‖Wᵢ‖₁, the sum of a layer's absolute weights; see `_norm_measures`."""
    return _norm_measures(snapshot, section, [part.l1_norm() for part in _layers(snapshot, section)])


def _layers(snapshot: NetworkSnapshot, section: Margin) -> list[Layer]:
    image = snapshot.split("train").take(measured_places(snapshot, section.samples)[:1]).x
    return layers(snapshot.network, image)


def _norm_measures(snapshot: NetworkSnapshot, section: Margin, norms: Sequence[float]) -> Iterator[Measurement]:
    """`layer_norm` (x: number of the layer from 0), `log_product`, `margin`, `log_product_over_margin`.

    The last is NaN for a margin that is not positive.
    """
    for number, norm in enumerate(norms):
        yield Measurement("layer_norm", norm, number)
    low = low_margin(margins(snapshot.network, probed_batches(snapshot, section)), section.percentile)
    product = log_product(norms)
    yield Measurement("log_product", product)
    yield Measurement("margin", low)
    yield Measurement("log_product_over_margin", log_over_margin(product, low))


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
