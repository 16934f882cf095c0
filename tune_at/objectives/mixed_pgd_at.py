"""Refined PGD-AT."""

from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.objective import MixedPGDAT
from tune_at.objectives.base import Loss, Objective, Step, accuracy


class MixedPGDATObjective(Objective[MixedPGDAT]):
    """(1 - g) CE(x) + g CE(x') with g growing from 0 to 1 (Eq. 6), so that the gradient is stable at first."""

    def loss(self, step: Step) -> Loss:
        """Mean over the batch."""
        gamma = self.config.gamma_at(step.epoch, step.epochs)
        x_adv = pgd(step.attacked, step.x, step.y, PGD.of(self.attack), step.generator) if gamma > 0 else step.x
        loss = step.x.new_zeros(())
        scalars = {"gamma": loss.new_tensor(gamma)}
        # A term without weight is left out: its pass would still move the batch-norm statistics.
        if gamma < 1:
            natural = step.model(step.x)
            loss = loss + (1 - gamma) * F.cross_entropy(natural, step.y)
            scalars["natural_accuracy"] = accuracy(natural, step.y)
        if gamma > 0:
            robust = step.model(x_adv)
            loss = loss + gamma * F.cross_entropy(robust, step.y)
            scalars["robust_accuracy"] = accuracy(robust, step.y)
        return loss, scalars
