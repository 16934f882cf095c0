"""PGD adversarial training."""

from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.objective import PGDAT
from tune_at.objectives.base import Loss, Objective, Step, accuracy


class PGDATObjective(Objective[PGDAT]):
    """CE(x') with x' found by PGD on the cross-entropy (Eq. 1, 2)."""

    def loss(self, step: Step) -> Loss:
        """Mean cross-entropy on the adversarial batch."""
        x_adv = pgd(step.attacked, step.x, step.y, PGD.of(self.attack), step.generator)
        logits = step.model(x_adv)
        return F.cross_entropy(logits, step.y), {"robust_accuracy": accuracy(logits, step.y)}
