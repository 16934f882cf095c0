"""Probes that follow a training: the first iterations' gradients, and gradients from epoch to epoch."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tune_at.config.probes import GradientCosine, GradientRatio, measured_loss
from tune_at.data.batches import Batch
from tune_at.probes.base import Measurement, Watch
from tune_at.probes.gradients import mean_gradient
from tune_at.probes.losses import (
    adversarial_ce,
    attack_batch,
    clean_ce,
    kl,
    measured_batches,
    measured_places,
    whole_loss,
)
from tune_at.training.snapshot import NetworkSnapshot


class RatioWatch(Watch):
    """‖∇CE(x') - ∇CE(x)‖ / ‖∇CE(x)‖ of each batch in the first iterations; of TRADES ‖∇KL‖ / ‖∇CE(x)‖ (Fig. 3b).

    At the weights before the update, on the batch as it is trained on, augmented; attacked with starts of its own.
    """

    section: GradientRatio

    def __init__(self, section: GradientRatio) -> None:
        super().__init__(section)
        self.done = 0

    def before_update(
        self, snapshot: NetworkSnapshot, batch: Batch, generator: torch.Generator
    ) -> Iterator[Measurement]:
        """One number, x being the iteration, from 1."""
        if self.done >= self.section.iterations:
            return
        self.done += 1
        part, network = attack_batch(snapshot, batch, generator), snapshot.network
        clean = mean_gradient(network, clean_ce, [part])
        if measured_loss(snapshot.config.objective) == "trades":
            added = mean_gradient(network, kl, [part])
        else:
            added = mean_gradient(network, adversarial_ce, [part]) - clean
        yield Measurement("ratio", float(added.double().norm() / clean.double().norm()), self.done)

    def state_dict(self) -> dict[str, Any]:
        """The iterations so far."""
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after them."""
        self.done = int(state["done"])


class CosineWatch(Watch):
    """Cosine between ∇J of the same images after this epoch and after the one that was measured before (Fig. 4b)."""

    section: GradientCosine

    def __init__(self, section: GradientCosine) -> None:
        super().__init__(section)
        self.before: Tensor | None = None

    def after_epoch(self, snapshot: NetworkSnapshot, generator: torch.Generator) -> Iterator[Measurement]:
        """One number, from the second time on; NaN where a gradient is zero."""
        batches = measured_batches(snapshot, measured_places(snapshot, self.section.samples))
        parts = (attack_batch(snapshot, batch, generator) for batch in batches)
        now = mean_gradient(snapshot.network, whole_loss(snapshot.config), parts)
        if self.before is not None:
            yield Measurement("cosine", cosine(self.before.to(now.device), now))
        self.before = now

    def state_dict(self) -> dict[str, Any]:
        """The gradient to compare with."""
        return {} if self.before is None else {"before": self.before}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compare with it."""
        self.before = state.get("before")


def cosine(a: Tensor, b: Tensor) -> float:
    """a · b / (‖a‖ ‖b‖), in float64; NaN where one of them is zero."""
    a, b = a.double(), b.double()
    return float(a @ b / (a.norm() * b.norm()))
