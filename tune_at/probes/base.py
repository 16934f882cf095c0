"""What a probe is given and what it returns.

A probe is a function `(snapshot, section, generator) → rows` and a line in `config/probes.py`. It leaves the network's
modes, parameters, gradients and buffers, and torch's global generators, as it found them; whatever is random in it is
drawn from the generator that it is given. One that follows a training, batch by batch or epoch by epoch, is a `Watch`.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch

from tune_at.data.batches import Batch
from tune_at.training.snapshot import NetworkSnapshot


class Measurement(NamedTuple):
    """One number: a row of the table `probes`.

    Attributes:
        quantity: what was measured, e.g. `adversarial_ce`.
        value: NaN where the quantity is not defined for this network.
        x: where on the quantity's axis (an iteration, a distance along a direction); None for a single number.
    """

    quantity: str
    value: float
    x: float | None = None


class SampleRow(NamedTuple):
    """What was measured of one training image: a row of the table `samples`.

    Attributes:
        attack: its name and what it does.
        example: its place in the split.
        label, trained_label: the true one and the one that is trained on.
        natural_prediction, robust_prediction: at x and at x'.
        natural_loss, robust_loss: CE with the trained label.
    """

    attack: str
    example: int
    label: int
    trained_label: int
    natural_prediction: int
    robust_prediction: int
    natural_loss: float
    robust_loss: float


Rows = Iterable[Measurement | SampleRow]

Probe = Callable[[NetworkSnapshot, Any, torch.Generator], Rows]
"""(snapshot, the probe's section, generator on the snapshot's device) → rows."""


class Watch:
    """A probe that follows a training. Its state between two epochs goes through `state_dict` into the checkpoint."""

    def __init__(self, section: Any) -> None:
        self.section = section

    def before_update(self, snapshot: NetworkSnapshot, batch: Batch, generator: torch.Generator) -> Rows:
        """Called before each update with the batch that it is of."""
        return ()

    def after_epoch(self, snapshot: NetworkSnapshot, generator: torch.Generator) -> Rows:
        """Called after an epoch in which the probe is due."""
        return ()

    def state_dict(self) -> dict[str, Any]:
        """State that a checkpoint must hold; tensors and plain values only."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
