"""What an objective is given and what it returns."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from tune_at.attacks.losses import is_right
from tune_at.config.attack import AttackSection
from tune_at.config.objective import ObjectiveSection
from tune_at.engine.modes import evaluating
from tune_at.errors import UserError

Config = TypeVar("Config", bound=ObjectiveSection)


@dataclass(frozen=True)
class Step:
    """One batch and the network's state.

    `model` is in train mode and is what the loss is differentiated through. `attacked` is the engine's view of the
    same network for attacks, as it was before the step: attack first, then run `model`, which moves its batch-norm
    statistics. `index` holds the samples' places in the training set; only methods that remember samples need it.
    """

    model: nn.Module
    attacked: nn.Module
    x: Tensor
    y: Tensor
    index: Tensor | None
    epoch: int
    epochs: int
    generator: torch.Generator


def places(step: Step) -> Tensor:
    """The samples' places in the training set. Raises `UserError` for a step without them."""
    if step.index is None:
        raise UserError("step.index", "is missing", "this objective remembers each sample: pass its place in the data")
    return step.index


Loss = tuple[Tensor, dict[str, Tensor]]
"""The scalar to minimise, and detached scalars (means over the batch) to record by name."""


class Objective(ABC, Generic[Config]):
    """A training objective. State that outlives a batch goes through `state_dict`.

    Args:
        config: the objective's own section.
        attack: ball, step size and steps of the training attack.
        num_samples: size of the training set, for state kept by sample.
        num_classes: classes.
    """

    def __init__(self, config: Config, attack: AttackSection, num_samples: int, num_classes: int) -> None:
        self.config, self.attack = config, attack
        self.num_samples, self.num_classes = num_samples, num_classes
        self.teachers: dict[str, nn.Module] = {}
        """Networks of earlier trials, by role, in eval mode."""

    def networks(self, make: Callable[[], nn.Module]) -> nn.Module:
        """What is trained: one network from `make`, unless the method has more."""
        return make()

    def each(self, model: nn.Module, of: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """What `of` makes of each network in `model`, put together as they are there."""
        return of(model)

    def epoch_end(self, model: nn.Module, epoch: int, epochs: int, images: Iterable[Tensor]) -> None:
        """Called after the last update of an epoch. `images`: the clean training images, shuffled, in batches."""

    def updated(self, model: nn.Module) -> nn.Module:
        """The network whose weights the next update changes: the first, where there are several."""
        return model

    def evaluated(self, model: nn.Module) -> nn.Module:
        """The network whose accuracy counts, and that is kept as the best: the one that is trained, for most."""
        return self.updated(model)

    @abstractmethod
    def loss(self, step: Step) -> Loss:
        """The loss of one batch."""

    def state_dict(self) -> dict[str, Any]:
        """State that a checkpoint must hold; tensors and plain values only."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if state:
            raise ValueError(f"{type(self).__name__} keeps no state, but the checkpoint holds {sorted(state)}")


@torch.no_grad()
def clean_probabilities(model: nn.Module, x: Tensor) -> Tensor:
    """f(x) of the network in eval mode, without a graph: what TE and SAT average over epochs."""
    with evaluating(model):
        return model(x).softmax(1)


def accuracy(logits: Tensor, y: Tensor) -> Tensor:
    """Share of right predictions, a detached scalar on the device."""
    return is_right(logits, y).float().mean()
