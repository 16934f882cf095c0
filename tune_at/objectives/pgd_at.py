"""PGD adversarial training and the variants that differ in the attack or in the labels alone."""

from torch import Tensor
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.objective import FGSMAT, PGDAT, PGDATLS, FastAT
from tune_at.objectives.base import Config, Loss, Objective, Step, accuracy


class AdversarialCE(Objective[Config]):
    """CE(x') with x' found by an attack on the cross-entropy (Eq. 1)."""

    def training_attack(self) -> PGD:
        """The attack: by default PGD as configured."""
        return PGD.of(self.attack)

    def outer(self, logits: Tensor, y: Tensor) -> Tensor:
        """The loss on the attacked batch."""
        return F.cross_entropy(logits, y)

    def loss(self, step: Step) -> Loss:
        """Mean loss on the adversarial batch."""
        x_adv = pgd(step.attacked, step.x, step.y, self.training_attack(), step.generator)
        logits = step.model(x_adv)
        return self.outer(logits, step.y), {"robust_accuracy": accuracy(logits, step.y)}


class PGDATObjective(AdversarialCE[PGDAT]):
    """CE(x') with x' found by PGD (Eq. 1, 2)."""


class PGDATLSObjective(AdversarialCE[PGDATLS]):
    """PGD-AT with smoothed labels in the outer loss and hard ones in the attack (Tab. 2)."""

    def outer(self, logits: Tensor, y: Tensor) -> Tensor:
        """CE with the target (1 - s) one-hot + s / C."""
        return F.cross_entropy(logits, y, label_smoothing=self.config.smoothing)


class FGSMATObjective(AdversarialCE[FGSMAT]):
    """One step of length eps from x (App. A.2.1)."""

    def training_attack(self) -> PGD:
        """FGSM."""
        return PGD.of(self.attack).single_step(self.attack.eps, "zero")


class FastATObjective(AdversarialCE[FastAT]):
    """One step of its own length from a uniform start, projected (App. A.2.1)."""

    def training_attack(self) -> PGD:
        """The single step."""
        return PGD.of(self.attack).single_step(self.config.step, "uniform")
