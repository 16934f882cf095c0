"""TRADES."""

from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.objective import TRADES
from tune_at.objectives.base import Loss, Objective, Step, accuracy


class TRADESObjective(Objective[TRADES]):
    """CE(x) + beta · KL(f(x) ‖ f(x')) with x' found by PGD on the KL divergence (Eq. 3).

    The gradient flows through both arguments of the KL term; only the attack holds f(x) fixed.
    """

    def loss(self, step: Step) -> Loss:
        """Mean over the batch of both terms."""
        x_adv = pgd(step.attacked, step.x, step.y, PGD.of(self.attack, "kl"), step.generator)
        natural, robust = step.model(step.x), step.model(x_adv)
        ce = F.cross_entropy(natural, step.y)
        # Log targets: a probability that underflows to 0 would make the gradient of p log p NaN.
        kl = F.kl_div(F.log_softmax(robust, 1), F.log_softmax(natural, 1), log_target=True, reduction="batchmean")
        scalars = {
            "ce": ce.detach(),
            "kl": kl.detach(),
            "natural_accuracy": accuracy(natural, step.y),
            "robust_accuracy": accuracy(robust, step.y),
        }
        return ce + self.config.beta * kl, scalars
