"""How gradients change along a direction in weight space (Fig. 4a)."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.probes import GradientStability, measured_loss
from tune_at.data.batches import Batch
from tune_at.engine.modes import evaluating
from tune_at.probes.base import Measurement
from tune_at.probes.directions import filter_normalised_direction
from tune_at.probes.gradients import chunks, sample_gradients
from tune_at.probes.losses import (
    Attacked,
    Term,
    call_with,
    clean_ce,
    measured_batches,
    measured_places,
    parameters_of,
    whole_loss,
)
from tune_at.training.snapshot import NetworkSnapshot


class _At(nn.Module):
    """A network with other parameters, for an attack."""

    def __init__(self, network: nn.Module, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.call = call_with(network, parameters)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.call(images)


def gradient_changes(
    network: nn.Module, term: Term, here: Attacked, there: Attacked, moved: Mapping[str, Tensor]
) -> Tensor:
    """‖∇J(moved) at `there` - ∇J(θ) at `here`‖₂ for each sample (b,), θ being the network's own parameters."""
    own, norms = parameters_of(network), []
    pairs = zip(chunks(network, here, copies=2), chunks(network, there, copies=2), strict=True)
    with evaluating(network):
        for first, second in pairs:
            difference = sample_gradients(network, moved, term, second) - sample_gradients(network, own, term, first)
            norms.append(difference.norm(dim=1))
    return torch.cat(norms)


def gradient_stability(
    snapshot: NetworkSnapshot, section: GradientStability, generator: torch.Generator
) -> Iterator[Measurement]:
    """Mean over samples of ‖∇J(θ + l d) - ∇J(θ)‖₂ for l in [-reach, reach], attacked again at θ + l d.

    J is the trial's loss (`objective`), and, beside it, CE(x) (`ce`). The attack has the same random starts at each l,
    so that no difference is due to chance: at l = 0 it is 0.
    """
    network, own = snapshot.network, parameters_of(snapshot.network)
    direction = filter_normalised_direction(network, generator)
    batches = list(measured_batches(snapshot, measured_places(snapshot, section.samples)))
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    clean = [Attacked(batch.x, batch.x, batch.y) for batch in batches]
    here = _attacked(snapshot, batches, own, seed)
    for length in np.linspace(-section.reach, section.reach, section.points).tolist():
        moved = {name: torch.add(value, direction[name], alpha=length) for name, value in own.items()}
        there = _attacked(snapshot, batches, moved, seed)
        lines: list[tuple[str, Term, list[Attacked], list[Attacked]]] = [("ce", clean_ce, clean, clean)]
        if measured_loss(snapshot.config.objective) != "clean":
            lines.append(("objective", whole_loss(snapshot.config), here, there))
        for name, term, before, after in lines:
            changes = [gradient_changes(network, term, *pair, moved) for pair in zip(before, after, strict=True)]
            yield Measurement(name, float(torch.cat(changes).double().mean()), length)


def _attacked(
    snapshot: NetworkSnapshot, batches: list[Batch], parameters: Mapping[str, Tensor], seed: int
) -> list[Attacked]:
    """The batches under the trial's attack on the network with these parameters."""
    kind = measured_loss(snapshot.config.objective)
    if kind == "clean":
        return [Attacked(batch.x, batch.x, batch.y) for batch in batches]
    spec = PGD.of(snapshot.config.attack, "kl" if kind == "trades" else "ce")
    chance = torch.Generator(snapshot.device).manual_seed(seed)
    with evaluating(snapshot.network):
        network = _At(snapshot.network, parameters)
        return [Attacked(b.x, pgd(network, b.x, b.y, spec, chance), b.y) for b in batches]
