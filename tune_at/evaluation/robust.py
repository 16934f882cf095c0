"""Robust evaluation of a network: fixed batches of a split, each attacked by itself, with the outcome of each example.

What comes of an example is decided by its batch alone: which batch it is in, what else is in it and what is random
there follow from the split's labels and the batch's number. So no outcome depends on how many examples are asked for,
on how batches are spread over tasks, on the trial, or on what was done before. AutoAttack included, whose seed and
whose own batches are then those of this batch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tune_at.attacks.losses import is_right
from tune_at.attacks.named import Attack, check_range
from tune_at.data.batches import Batch
from tune_at.engine.modes import evaluating
from tune_at.seeding import derive_seed, generator

BATCH = 100
"""Examples in a batch; changing it changes what is random, and so every outcome by a little."""


def fixed_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """All places of a split in the order in which it is evaluated: any beginning of it is class-balanced.

    The same for all trials whose split has these labels. Within a class the order is random.

    Args:
        labels: the true ones, int64 (n,).
    """
    rng = np.random.default_rng(derive_seed(0, "evaluated"))
    share = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((labels, share))


def batch_count(examples: int) -> int:
    """The number of batches that hold the first `examples` of the order."""
    return -(-examples // BATCH)


def batch_size(number: int, images: int) -> int:
    """Examples in a batch of a split of `images`: only the split's last one is smaller."""
    return min(BATCH, images - number * BATCH)


def batch_places(order: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """The places of a batch's examples in the split."""
    return order[number * BATCH : (number + 1) * BATCH]


def batch_chance(device: torch.device, attack: str, number: int) -> torch.Generator:
    """What a batch draws from under an attack of that name, whatever its radius and whatever the trial."""
    return generator(device, 0, "evaluate", attack, number)


@dataclass(frozen=True)
class Attacked:
    """Per-example outcomes of a batch, each (b,). A prediction is -1 where a logit is NaN: that one is wrong."""

    natural_prediction: Tensor
    robust_prediction: Tensor
    natural_correct: Tensor
    robust_correct: Tensor
    natural_loss: Tensor
    robust_loss: Tensor


def attack_batch(
    network: nn.Module, batch: Batch, attack: Attack, chance: torch.Generator, attacked: nn.Module | None = None
) -> Attacked:
    """What a network makes of a batch, and of the points that an attack finds around it.

    Args:
        network: judges, in eval mode; logits from images.
        batch: images in [0, 1] and the labels that count.
        attack: from (model, x, y, generator) to x'.
        chance: on the device of the images; see `batch_chance`.
        attacked: the view of the network that the attack gets; by default the network itself.

    Raises:
        UserError: images outside of [0, 1].
    """
    check_range(batch.x)
    with evaluating(network):
        x_adv = attack(attacked or network, batch.x, batch.y, chance)
        with torch.no_grad():
            logits = [network(x) for x in (batch.x, x_adv)]
    natural, robust = [z.argmax(1).masked_fill(z.isnan().any(1), -1) for z in logits]
    right, stands = [is_right(z, batch.y) for z in logits]
    losses = [F.cross_entropy(z, batch.y, reduction="none") for z in logits]
    return Attacked(natural, robust, right, stands, *losses)
