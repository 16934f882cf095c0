"""What attacks maximise: (logits) → one value a sample, higher is worse for the network; and when they have won."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tune_at.errors import UserError

SampleLoss = Callable[[Tensor], Tensor]
"""From logits (b, C) to losses (b,)."""


def cross_entropy(y: Tensor) -> SampleLoss:
    """CE with the label y, int64 (b,)."""
    return lambda logits: F.cross_entropy(logits, y, reduction="none")


def kl_divergence(reference: Tensor) -> SampleLoss:
    """KL(f(x) ‖ f(x')) with f(x) fixed (TRADES).

    Args:
        reference: clean log-probabilities (b, C), detached.
    """
    return lambda logits: F.kl_div(F.log_softmax(logits, 1), reference, log_target=True, reduction="none").sum(1)


def margin(y: Tensor) -> SampleLoss:
    """The margin loss of Carlini and Wagner, max_{j≠y} z_j - z_y, not clamped (C&W-1000)."""

    def loss(logits: Tensor) -> Tensor:
        right = logits.gather(1, y[:, None])[:, 0]
        return others(logits, y).amax(1) - right

    return loss


def dlr(y: Tensor) -> SampleLoss:
    """Difference of logits ratio (Croce and Hein, 2020): (max_{j≠y} z_j - z_y) / (z_π1 - z_π3). Needs three classes."""

    def loss(logits: Tensor) -> Tensor:
        if logits.shape[1] < 3:
            raise UserError("attack loss dlr", f"the network has {logits.shape[1]} classes", "it needs three; use cw")
        ordered = logits.sort(1, descending=True).values
        return margin(y)(logits) / (ordered[:, 0] - ordered[:, 2] + 1e-12)

    return loss


def is_right(logits: Tensor, y: Tensor) -> Tensor:
    """Which predictions are right (b,). One from logits with a NaN is not: `argmax` takes a NaN for the largest.

    Args:
        logits: (b, C).
        y: labels, int64 (b,).
    """
    logits = logits.detach()
    return (logits.argmax(1) == y) & ~logits.isnan().any(1)


def others(logits: Tensor, y: Tensor) -> Tensor:
    """Logits with the label's replaced by -inf."""
    return logits.masked_fill(F.one_hot(y, logits.shape[1]).bool(), float("-inf"))


def log_probabilities(model: torch.nn.Module, x: Tensor) -> Tensor:
    """log f(x), without a graph."""
    with torch.no_grad():
        return F.log_softmax(model(x), 1)


LABEL_LOSSES: dict[str, Callable[[Tensor], SampleLoss]] = {"ce": cross_entropy, "cw": margin, "dlr": dlr}
"""Losses that need the label alone, by name."""
