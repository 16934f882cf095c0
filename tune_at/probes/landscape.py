"""Curvature of the loss in the input, and flatness of the adversarial loss in the weights (Fig. 5)."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.probes import InputCurvature, WeightFlatness
from tune_at.data.batches import Batch
from tune_at.engine.folded import FoldedView
from tune_at.engine.modes import evaluating
from tune_at.probes.base import Measurement
from tune_at.probes.directions import filter_normalised_direction, move_along
from tune_at.probes.losses import probed_batches
from tune_at.training.snapshot import NetworkSnapshot

CHUNK = 32
"""Images whose Hessians are multiplied at once: what the second derivative needs is kept for each."""


def input_curvature(
    snapshot: NetworkSnapshot, section: InputCurvature, generator: torch.Generator
) -> Iterator[Measurement]:
    """`input_curvature`: the mean over clean training images of `dominant_curvatures`, in float32."""
    found = [
        dominant_curvatures(snapshot.network, batch.x, batch.y, generator, section.iterations, section.tolerance)
        for batch in probed_batches(snapshot, section, CHUNK)
    ]
    yield Measurement("input_curvature", float(torch.cat(found).double().mean()))


def weight_flatness(
    snapshot: NetworkSnapshot, section: WeightFlatness, generator: torch.Generator
) -> Iterator[Measurement]:
    """`loss_change` at x = ±a, the mean over directions of g(w + x d) - g(w), and `weight_flatness` at x = a, of both.

    g is the mean CE under PGD, attacked again at w + x d; batch norms keep their statistics.
    """
    views: dict[nn.Module, FoldedView] = {}

    def view(network: nn.Module) -> nn.Module:  # not the engine's, which would keep the copy's for good
        if network in views:
            views[network].refresh()
        else:
            views[network] = FoldedView(network, snapshot.engine.dtype)
        return views[network]

    attack = replace(PGD.of(snapshot.config.attack), steps=section.steps)
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    loss = AdversarialLoss(list(probed_batches(snapshot, section)), attack, view, seed)
    changes = loss_changes(snapshot.network, loss, section.distances, section.directions, generator)
    for length in section.distances:
        for x in (-length, length):
            yield Measurement("loss_change", changes[x], x)
        yield Measurement("weight_flatness", (changes[-length] + changes[length]) / 2, length)


def dominant_curvatures(
    model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator, iterations: int = 20, tolerance: float = 1e-3
) -> Tensor:
    """Of each sample the Hessian of CE(z(x), y) in x: its eigenvalue of the largest magnitude, with its sign.

    By power iteration on Hessian-vector products, all samples at once: in eval mode no sample's loss depends on
    another's image, so that the product of the sum's Hessian with v is each sample's. "Dominant" is the paper's word.
    For networks of ReLU and max-pooling it is also the largest one algebraically: their logits are piecewise linear,
    and the Hessian is Jᵀ (diag f - f fᵀ) J, which has no negative eigenvalue.

    Args:
        model: logits from images; twice differentiable almost everywhere. Its modes and gradients stay as they are.
        x: (b, channels, height, width) in [0, 1].
        y: labels (b,).
        generator: on x's device, for the first vectors.
        iterations: at most; each is one Hessian-vector product.
        tolerance: an iteration that changes no sample's value by more than this share of it is the last.

    Returns:
        (b,), vᵀHv for the unit vector v of the last iteration: not above the true value in magnitude. 0 where the
        Hessian vanishes to rounding, as it does where a prediction is certain; NaN where the loss is.
    """
    vector = _unit(torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype))
    with evaluating(model), torch.enable_grad():
        image = x.detach().clone().requires_grad_(True)
        loss = F.cross_entropy(model(image), y, reduction="sum")
        (slope,) = torch.autograd.grad(loss, image, create_graph=True)
        value = x.new_full((len(x),), float("inf"))
        for _ in range(iterations):
            (product,) = torch.autograd.grad(slope, image, vector, retain_graph=True)
            before, value = value, (vector * product).flatten(1).sum(1)
            vector = _unit(product)
            if bool(((value - before).abs() <= tolerance * value.abs()).all()):
                break
    return value.detach()


def _unit(vectors: Tensor) -> Tensor:
    """Each sample's vector at length 1; a zero vector stays zero."""
    # By the largest entry first: squares of a small Hessian's products underflow in float32.
    largest = vectors.abs().flatten(1).amax(1).view(-1, 1, 1, 1)
    scaled = vectors / torch.where(largest > 0, largest, torch.ones_like(largest))
    length = scaled.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return scaled / torch.where(length > 0, length, torch.ones_like(length))


@dataclass(frozen=True)
class AdversarialLoss:
    """g(w): the mean CE of samples under an attack on the network with the weights w.

    Attributes:
        batches: the samples.
        attack: what they are attacked by.
        view: from a network to the one that the attack is given.
        seed: of the attack's random starts: the same at all weights, so that no difference is due to chance.
    """

    batches: Sequence[Batch]
    attack: PGD
    view: Callable[[nn.Module], nn.Module]
    seed: int

    def __call__(self, network: nn.Module) -> float:
        """g at the weights of a network, attacked again."""
        device = self.batches[0].x.device
        generator, total = torch.Generator(device).manual_seed(self.seed), 0.0
        attacked = self.view(network)
        with evaluating(network):
            for batch in self.batches:
                x_adv = pgd(attacked, batch.x, batch.y, self.attack, generator)
                with torch.no_grad():
                    total += float(F.cross_entropy(network(x_adv), batch.y, reduction="sum").double())
        return total / sum(len(batch.y) for batch in self.batches)


def loss_changes(
    network: nn.Module,
    loss: Callable[[nn.Module], float],
    distances: Iterable[float],
    directions: int,
    generator: torch.Generator,
) -> dict[float, float]:
    """g(w + a d) - g(w) for a = ± each distance, the mean over random filter-normalised directions d.

    Args:
        network: w; a copy of it is moved.
        loss: g, of a network.
        distances: |a|, in lengths of the weights' filters.
        directions: how many d.
        generator: on the network's device.

    Returns:
        The mean change by a. NaN where g is.
    """
    moved, weights = copy.deepcopy(network), dict(network.named_parameters())
    here, sums = loss(moved), {sign * distance: 0.0 for distance in distances for sign in (-1, 1)}
    for _ in range(directions):
        direction = filter_normalised_direction(network, generator)
        for step in sums:
            move_along(moved, weights, direction, step)
            sums[step] += loss(moved) - here
    return {step: total / directions for step, total in sums.items()}
