"""How hard each training example is for a network: its loss under attack (Fig. 6c, C.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.probes import AdversarialLosses
from tune_at.data.batches import Batch
from tune_at.engine.modes import evaluating
from tune_at.probes.base import SampleRow
from tune_at.probes.losses import probed_batches
from tune_at.training.snapshot import NetworkSnapshot


def adversarial_losses(
    snapshot: NetworkSnapshot, section: AdversarialLosses, generator: torch.Generator
) -> Iterator[SampleRow]:
    """A row an example: its loss and what is predicted, clean and under PGD (see `hardness`)."""
    attack = replace(PGD.of(snapshot.config.attack), steps=section.steps)
    batches, attacked = probed_batches(snapshot, section), snapshot.engine.view(snapshot.network)
    found = hardness(snapshot.network, batches, attack, generator, attacked)
    true = snapshot.images.true_labels[found.example]
    columns = (column.tolist() for column in (found.example, true, *found[1:]))
    for row in zip(*columns, strict=True):
        yield SampleRow(f"pgd-{section.steps}", *row)


class Hardness(NamedTuple):
    """Of each example, in the order of the batches, all of shape (n,).

    Attributes:
        example: its place in the split.
        trained_label: the label that was attacked and that the losses are of.
        natural_prediction, robust_prediction: argmax of the logits at x and at x'.
        natural_loss, robust_loss: CE there, float32.
    """

    example: Tensor
    trained_label: Tensor
    natural_prediction: Tensor
    robust_prediction: Tensor
    natural_loss: Tensor
    robust_loss: Tensor


def hardness(
    network: nn.Module, batches: Iterable[Batch], attack: PGD, generator: torch.Generator, attacked: nn.Module
) -> Hardness:
    """Loss and prediction of each example, clean and under attack. The network's modes are left as they were.

    Args:
        network: judges; logits from images.
        batches: the examples, with the labels that are trained on.
        attack: to its last iterate (`keep_attacking`): the loss of an attack that stops once the prediction is wrong
            would be that of the first wrong point.
        generator: on the images' device, for the random starts.
        attacked: the view of the network that the attack gets.
    """
    return Hardness(*map(torch.cat, zip(*_by_batch(network, batches, attack, generator, attacked), strict=True)))


def _by_batch(
    network: nn.Module, batches: Iterable[Batch], attack: PGD, generator: torch.Generator, attacked: nn.Module
) -> Iterator[tuple[Tensor, ...]]:
    with evaluating(network):
        for batch in batches:
            x_adv = pgd(attacked, batch.x, batch.y, attack, generator)
            with torch.no_grad():
                outcomes = [network(x) for x in (batch.x, x_adv)]
            losses = [F.cross_entropy(logits, batch.y, reduction="none") for logits in outcomes]
            yield batch.index, batch.y, *(logits.argmax(1) for logits in outcomes), *losses
