"""Which images a probe measures, how they are attacked, and the terms of the loss whose gradients it takes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.probes import ProbeSection, measured_loss
from tune_at.config.trial import TrialConfig
from tune_at.data.batches import Batch
from tune_at.data.splits import stratified_choice
from tune_at.seeding import derive_seed
from tune_at.training.snapshot import NetworkSnapshot

Call = Callable[[Tensor], Tensor]
"""A network as a function of images."""

Term = Callable[[Call, Tensor, Tensor, Tensor], Tensor]
"""(network, x, x', y) → one value a sample (b,)."""


def clean_ce(network: Call, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
    """CE(x)."""
    return F.cross_entropy(network(x), y, reduction="none")


def adversarial_ce(network: Call, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
    """CE(x')."""
    return F.cross_entropy(network(x_adv), y, reduction="none")


def kl(network: Call, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
    """KL(f(x) ‖ f(x')), differentiated through both."""
    natural, robust = F.log_softmax(network(x), 1), F.log_softmax(network(x_adv), 1)
    return F.kl_div(robust, natural, log_target=True, reduction="none").sum(1)


TERMS: Mapping[str, Mapping[str, Term]] = {
    "clean": {"ce": clean_ce},
    "adversarial": {"adversarial_ce": adversarial_ce},
    "trades": {"ce": clean_ce, "kl": kl},
}
"""The terms of the measured loss, by its name and theirs."""


def terms_of(config: TrialConfig) -> Mapping[str, Term]:
    """The terms of a trial's measured loss: apart for TRADES (Fig. 3a)."""
    return TERMS[measured_loss(config.objective)]


def whole_loss(config: TrialConfig) -> Term:
    """J of a trial, by sample: CE(x), CE(x'), or CE(x) + beta · KL. What TE, SAT and others add is left out."""
    if measured_loss(config.objective) != "trades":
        (term,) = terms_of(config).values()
        return term
    beta: float = config.objective.beta  # type: ignore[attr-defined]  # all forms of TRADES have it
    return lambda network, x, x_adv, y: clean_ce(network, x, x_adv, y) + beta * kl(network, x, x_adv, y)


@dataclass(frozen=True)
class Attacked:
    """Images (b, channels, height, width), the same under attack, and the labels that are trained on (b,)."""

    x: Tensor
    x_adv: Tensor
    y: Tensor


def attack_batch(snapshot: NetworkSnapshot, batch: Batch, generator: torch.Generator) -> Attacked:
    """A batch under PGD with the trial's ball, step and number of steps, whatever steps its objective takes (FGSM): on
    KL for TRADES, on CE otherwise; x' is x in standard training.
    """
    kind = measured_loss(snapshot.config.objective)
    if kind == "clean":
        return Attacked(batch.x, batch.x, batch.y)
    spec = PGD.of(snapshot.config.attack, "kl" if kind == "trades" else "ce")
    view = snapshot.engine.view(snapshot.network)
    return Attacked(batch.x, pgd(view, batch.x, batch.y, spec, generator), batch.y)


def measured_places(snapshot: NetworkSnapshot, samples: int | Literal["all"]) -> Tensor:
    """Places in the training set of a class-balanced part: the same for every trial of a data set and its subset.

    `samples` is cut to the number of training images; a study that asks for more is refused before it runs.
    """
    true = snapshot.images.true_labels.cpu().numpy()
    count = len(true) if samples == "all" else min(samples, len(true))
    rng = np.random.default_rng(derive_seed(snapshot.config.data.split_seed, "probes"))
    return torch.from_numpy(stratified_choice(true, count, rng)).to(snapshot.device)


def measured_batches(snapshot: NetworkSnapshot, places: Tensor, size: int = 128) -> Iterator[Batch]:
    """The training images at these places, unaugmented, with the labels that are trained on."""
    return snapshot.split("train").in_order(size, places)


def probed_batches(snapshot: NetworkSnapshot, section: ProbeSection, size: int = 128) -> Iterator[Batch]:
    """The images that a probe measures."""
    return measured_batches(snapshot, measured_places(snapshot, section.samples), size)


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """The parameters by name, detached from whatever else uses them."""
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def call_with(network: nn.Module, parameters: Mapping[str, Tensor]) -> Call:
    """The network as a function of images, with these parameters and its own buffers. It must be in eval mode."""
    buffers = dict(network.named_buffers())
    return lambda images: functional_call(network, {**parameters, **buffers}, (images,))
