"""Self-adaptive training (Huang et al., 2020), as a baseline of Tab. 2."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.attack import AttackSection
from tune_at.config.objective import SAT
from tune_at.objectives.base import Loss, Objective, Step, accuracy, clean_probabilities, places
from tune_at.objectives.trades import trades_terms


class SATObjective(Objective[SAT]):
    """Targets t start one-hot and follow the predictions from epoch `start`: t ← m t + (1 - m) f(x).

    Each sample weighs max_k t_k, normalised to a mean of 1 over the batch. The soft cross-entropy is taken on x'
    (PGD-AT form; f(x) then is the eval-mode prediction on the clean view), or on x beside TRADES' KL term, which keeps
    weight beta for all (TRADES form; f(x) then is the prediction that the loss is taken on).
    """

    def __init__(self, config: SAT, attack: AttackSection, num_samples: int, num_classes: int) -> None:
        super().__init__(config, attack, num_samples, num_classes)
        # A row of zeros is a sample whose target has not moved yet: one-hot.
        self.targets = torch.zeros(num_samples, num_classes)

    def soft_targets(self, step: Step, predicted: Tensor) -> Tensor:
        """The batch's targets (b, C), moved towards the predictions once the time has come."""
        self.targets = self.targets.to(step.x)
        # F.one_hot reads its argument's largest value, and so waits for the device.
        one_hot = torch.zeros_like(predicted, dtype=self.targets.dtype).scatter_(1, step.y[:, None], 1)
        if step.epoch < self.config.start_epoch(step.epochs):
            return one_hot.to(predicted.dtype)
        known = self.targets[places(step)]
        before = torch.where(known.sum(1, keepdim=True) > 0, known, one_hot)
        moved = self.config.momentum * before + (1 - self.config.momentum) * predicted.to(before.dtype)
        self.targets[places(step)] = moved
        return moved.to(predicted.dtype)

    def loss(self, step: Step) -> Loss:
        """Weighted mean over the batch."""
        if self.config.form == "pgd_at":
            target = self.soft_targets(step, clean_probabilities(step.attacked, step.x))
            x_adv = pgd(step.attacked, step.x, step.y, PGD.of(self.attack), step.generator)
            logits = step.model(x_adv)
            return weighted_soft_ce(logits, target), {"robust_accuracy": accuracy(logits, step.y)}
        x_adv = pgd(step.attacked, step.x, step.y, PGD.of(self.attack, "kl"), step.generator)
        natural, robust = step.model(step.x), step.model(x_adv)
        target = self.soft_targets(step, natural.detach().softmax(1))
        _, kl, scalars = trades_terms(natural, robust, step.y)
        return weighted_soft_ce(natural, target) + self.config.beta * kl, scalars

    def state_dict(self) -> dict[str, Any]:
        """The targets."""
        return {"targets": self.targets}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the targets."""
        self.targets = state["targets"].clone()


def weighted_soft_ce(logits: Tensor, target: Tensor) -> Tensor:
    """Σ_i w_i CE(t_i, f_i) / Σ_i w_i with w_i = max_k t_ik."""
    weight = target.amax(1)
    return -(weight * (target * F.log_softmax(logits, 1)).sum(1)).sum() / weight.sum()
