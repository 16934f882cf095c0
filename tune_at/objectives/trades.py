"""TRADES."""

from torch import Tensor
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.objective import TRADES
from tune_at.objectives.base import Loss, Objective, Step, accuracy


def trades_terms(natural: Tensor, robust: Tensor, y: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """CE(x) and KL(f(x) ‖ f(x')), means over the batch, and the scalars to record, from the logits on x and x'.

    The gradient flows through both arguments of the KL term; only the attack holds f(x) fixed.
    """
    ce = F.cross_entropy(natural, y)
    # Log targets: a probability that underflows to 0 would make the gradient of p log p NaN.
    kl = F.kl_div(F.log_softmax(robust, 1), F.log_softmax(natural, 1), log_target=True, reduction="batchmean")
    scalars = {
        "ce": ce.detach(),
        "kl": kl.detach(),
        "natural_accuracy": accuracy(natural, y),
        "robust_accuracy": accuracy(robust, y),
    }
    return ce, kl, scalars


class TRADESObjective(Objective[TRADES]):
    """CE(x) + beta · KL(f(x) ‖ f(x')) with x' found by PGD on the KL divergence (Eq. 3)."""

    def loss(self, step: Step) -> Loss:
        """Mean over the batch of both terms."""
        x_adv = pgd(step.attacked, step.x, step.y, PGD.of(self.attack, "kl"), step.generator)
        ce, kl, scalars = trades_terms(step.model(step.x), step.model(x_adv), step.y)
        return ce + self.config.beta * kl, scalars
