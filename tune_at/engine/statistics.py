"""Batch-norm statistics of a network whose weights were not trained with them, such as an average of weights."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tune_at.engine.modes import evaluating


@torch.no_grad()
def estimate_statistics(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Replace the running means and variances by those of the images.

    Each batch is normalised by its own statistics, as in training, and counts by the number n of values that it has in
    a channel: mean = Σ n m / Σ n, variance = Σ n (v + m²) / Σ n - mean², with torch's correction N / (N - 1) for the
    number N of all values (Wu and Johnson, 2021, Sec. 3). So the variance between batches is in it, which an average of
    variances loses, and the first batch norm gets the exact statistics however the images are cut. Those of deeper ones
    depend on the batches to the extent that their inputs do: pass them shuffled. Everything but the batch norms is in
    eval mode meanwhile, so that dropout makes no noise in what is estimated.

    Args:
        network: is left in the modes it was in; one without batch norms is not run.
        images: batches (b, channels, height, width). A batch of a single image joins one beside it.
    """
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    sums: dict[nn.Module, _Sums] = {norm: _Sums() for norm in norms}
    momenta = [norm.momentum for norm in norms]
    hooks = [norm.register_forward_hook(sums[norm].add) for norm in norms]
    try:
        with evaluating(network):
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum, norm.training = 1.0, True  # the running statistics are then those of the batch
            for batch in _joined(images) if norms else ():
                network(batch)
            for norm in norms:
                norm.training = False
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    for norm in norms:
        sums[norm].write(norm)


class _Sums:
    """Of one batch norm's inputs: their number in a channel, and by channel their sum and that of their squares."""

    def __init__(self) -> None:
        self.count = 0
        self.first: Any = 0.0
        self.second: Any = 0.0

    def add(self, norm: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Count a batch: a forward hook."""
        count = inputs[0].numel() // inputs[0].shape[1]
        mean, variance = norm.running_mean.double(), norm.running_var.double() * (count - 1) / count
        self.count += count
        self.first = self.first + count * mean
        self.second = self.second + count * (variance + mean.square())

    def write(self, norm: Any) -> None:
        """Set the running statistics, where there was a batch."""
        if self.count > 1:
            mean = self.first / self.count
            variance = (self.second / self.count - mean.square()).clamp_min(0) * self.count / (self.count - 1)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)


def _joined(images: Iterable[Tensor]) -> Iterator[Tensor]:
    """The batches, but that a single image, over which there is no variance, joins a batch beside it."""
    held: Tensor | None = None
    for batch in images:
        if held is not None and 1 in (len(held), len(batch)):
            held = torch.cat([held, batch])
            continue
        if held is not None:
            yield held
        held = batch
    if held is not None:
        yield held
