"""Gradients in the weights: of each sample by itself, and of all together. BN in eval mode; float32 throughout."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from tune_at.config.probes import GradientNorms, GroupGradientNorms
from tune_at.engine.modes import evaluating
from tune_at.errors import UserError
from tune_at.probes.base import Measurement
from tune_at.probes.losses import (
    Attacked,
    Term,
    attack_batch,
    call_with,
    measured_batches,
    measured_places,
    parameters_of,
    terms_of,
)
from tune_at.training.snapshot import NetworkSnapshot

NUMBERS = 2**26
"""Numbers of samples' gradients held at a time, 256 MiB in float32: 6 samples of ResNet-18, 6,000 of a small CNN."""


def sample_gradients(network: nn.Module, parameters: Mapping[str, Tensor], term: Term, part: Attacked) -> Tensor:
    """∇θ of a term for each sample, (b, parameters): by vectorised reverse mode, as one pass over the batch.

    The network is in eval mode: in train mode a sample has no gradient of its own.
    """

    def one(weights: dict[str, Tensor], x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
        return term(call_with(network, weights), x[None], x_adv[None], y[None])[0]

    found = vmap(grad(one), in_dims=(None, 0, 0, 0))(dict(parameters), part.x, part.x_adv, part.y)
    return torch.cat([found[name].flatten(1) for name in parameters], 1)


def chunks(network: nn.Module, part: Attacked, copies: int = 1) -> Iterator[Attacked]:
    """A batch in parts of which `copies` times the samples' gradients fit into memory."""
    weights = sum(parameter.numel() for parameter in network.parameters())
    size = max(1, NUMBERS // (weights * copies))
    parts = (values.split(size) for values in (part.x, part.x_adv, part.y))
    return (Attacked(*some) for some in zip(*parts, strict=True))


def sample_gradient_norms(network: nn.Module, term: Term, part: Attacked) -> Tensor:
    """‖∇θ of a term‖₂ for each sample, (b,)."""
    parameters = parameters_of(network)
    with evaluating(network):
        return torch.cat(
            [sample_gradients(network, parameters, term, some).norm(dim=1) for some in chunks(network, part)]
        )


def mean_gradient(network: nn.Module, term: Term, parts: Iterable[Attacked]) -> Tensor:
    """∇θ of a term's mean over all samples of the parts, (parameters,)."""
    parameters = {name: value.requires_grad_() for name, value in parameters_of(network).items()}
    total, samples = None, 0
    with evaluating(network), torch.enable_grad():
        for part in parts:
            loss = term(call_with(network, parameters), part.x, part.x_adv, part.y).sum()
            found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True, materialize_grads=True)
            flat = torch.cat([gradient.flatten() for gradient in found])
            total = flat if total is None else total + flat
            samples += len(part.y)
    assert total is not None
    return total / samples


def gradient_norms(
    snapshot: NetworkSnapshot, section: GradientNorms, generator: torch.Generator
) -> Iterator[Measurement]:
    """Mean over samples of ‖∇θ‖₂ of each term of the loss (Fig. 3a)."""
    yield from _mean_norms(snapshot, measured_places(snapshot, section.samples), generator)


def group_gradient_norms(
    snapshot: NetworkSnapshot, section: GroupGradientNorms, generator: torch.Generator
) -> Iterator[Measurement]:
    """The same of the images with a wrong label and of those with the right one apart (Fig. A.9)."""
    trained, true = snapshot.split("train").labels, snapshot.images.true_labels
    everything = measured_places(snapshot, len(true))
    # In an order of its own, so that the first images of either group are of all classes.
    order = torch.randperm(len(true), generator=torch.Generator().manual_seed(snapshot.config.data.split_seed))
    everything = everything[order.to(everything.device)]
    wrong = trained[everything] != true[everything]
    for group, members in (("mislabelled", everything[wrong]), ("clean", everything[~wrong])):
        if len(members) < section.samples:
            raise UserError(
                "probes.group_gradient_norms.samples",
                f"{section.samples}, but {len(members)} training images are {group}",
                f"set it to at most {len(members)}",
            )
        yield from _mean_norms(snapshot, members[: section.samples], generator, f"{group}_")


def _mean_norms(
    snapshot: NetworkSnapshot, places: Tensor, generator: torch.Generator, prefix: str = ""
) -> Iterator[Measurement]:
    parts = [attack_batch(snapshot, batch, generator) for batch in measured_batches(snapshot, places)]
    for name, term in terms_of(snapshot.config).items():
        norms = torch.cat([sample_gradient_norms(snapshot.network, term, part) for part in parts])
        yield Measurement(prefix + name, float(norms.double().mean()))
