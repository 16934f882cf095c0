"""PGD-AT and TRADES with temporal ensembling, the paper's own method (Sec. 4.2, Eq. 7)."""

from typing import Any

import torch
from torch import Tensor

from tune_at.attacks.losses import SampleLoss, cross_entropy, kl_divergence, log_probabilities
from tune_at.attacks.pgd import PGD, maximise
from tune_at.config.attack import AttackSection, LossName
from tune_at.config.objective import PGDATTE, TRADESTE
from tune_at.engine.modes import evaluating
from tune_at.objectives.base import Config, Loss, Objective, Step, accuracy, clean_probabilities, places
from tune_at.objectives.trades import trades_terms


class Ensembled(Objective[Config]):
    """Keeps p, the moving average of each sample's predictions, by its place in the training set.

    p starts at zero and is first written at epoch `start`; p̂ = p / Σp is then the prediction itself. The update uses
    the eval-mode prediction on the (augmented) clean view and comes before the attack.
    """

    def __init__(self, config: Config, attack: AttackSection, num_samples: int, num_classes: int) -> None:
        super().__init__(config, attack, num_samples, num_classes)
        self.p = torch.zeros(num_samples, num_classes)

    def targets(self, step: Step, momentum: float) -> Tensor:
        """Update p for the batch and return p̂ (b, C)."""
        self.p = self.p.to(step.x)
        predicted = clean_probabilities(step.attacked, step.x).to(step.x.dtype)
        p = momentum * self.p[places(step)] + (1 - momentum) * predicted
        self.p[places(step)] = p
        return p / p.sum(1, keepdim=True)

    def attacked(self, step: Step, loss: SampleLoss, name: LossName) -> Tensor:
        """x' that maximises `loss`, with the start that goes with the named loss."""
        return maximise(step.attacked, step.x, loss, PGD.of(self.attack, name), step.generator)

    def state_dict(self) -> dict[str, Any]:
        """p."""
        return {"p": self.p}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore p."""
        self.p = state["p"].clone()


def squared_distance(logits: Tensor, target: Tensor) -> Tensor:
    """‖f - p̂‖₂² of each sample, summed over classes (b,)."""
    return (logits.softmax(1) - target).square().sum(1)


class PGDATTEObjective(Ensembled[PGDATTE]):
    """CE(x') + w(t) ‖f(x') - p̂‖²; the attack maximises the same sum (Eq. 7)."""

    def loss(self, step: Step) -> Loss:
        """Mean over the batch; before `start` it is PGD-AT."""
        weight = self.config.weight_at(step.epoch, step.epochs)
        ce = cross_entropy(step.y)
        if step.epoch < self.config.start_epoch(step.epochs):
            x_adv = self.attacked(step, ce, "ce")
            logits = step.model(x_adv)
            return ce(logits).mean(), self._scalars(logits, step, 0.0)
        target = self.targets(step, self.config.momentum)

        def both(logits: Tensor) -> Tensor:
            return ce(logits) + weight * squared_distance(logits, target)

        logits = step.model(self.attacked(step, both, "ce"))
        return both(logits).mean(), self._scalars(logits, step, weight)

    def _scalars(self, logits: Tensor, step: Step, weight: float) -> dict[str, Tensor]:
        return {"te_weight": logits.new_tensor(weight), "robust_accuracy": accuracy(logits, step.y)}


class TRADESTEObjective(Ensembled[TRADESTE]):
    """TRADES + w(t) ‖f - p̂‖². From `start` on the attack maximises beta · KL + w(t) ‖f(x') - p̂‖² (Sec. 4.2)."""

    def loss(self, step: Step) -> Loss:
        """Mean over the batch; before `start` it is TRADES."""
        weight = self.config.weight_at(step.epoch, step.epochs)
        ensembling = step.epoch >= self.config.start_epoch(step.epochs)
        target = self.targets(step, self.config.momentum) if ensembling else None
        with evaluating(step.attacked):
            kl = kl_divergence(log_probabilities(step.attacked, step.x))

        def inner(logits: Tensor) -> Tensor:
            if target is None:
                return kl(logits)
            return self.config.beta * kl(logits) + weight * squared_distance(logits, target)

        x_adv = self.attacked(step, inner, "kl")
        natural, robust = step.model(step.x), step.model(x_adv)
        ce, divergence, scalars = trades_terms(natural, robust, step.y)
        loss = ce + self.config.beta * divergence
        if target is not None:
            penalised = natural if self.config.penalise == "clean" else robust
            loss = loss + weight * squared_distance(penalised, target).mean()
        return loss, {**scalars, "te_weight": loss.new_tensor(weight).detach()}
