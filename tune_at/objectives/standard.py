"""Standard training."""

from torch.nn import functional as F

from tune_at.config.objective import Standard
from tune_at.objectives.base import Loss, Objective, Step, accuracy


class StandardObjective(Objective[Standard]):
    """CE(x): no attack (ST in Sec. 3.1)."""

    def loss(self, step: Step) -> Loss:
        """Mean cross-entropy on the clean batch."""
        logits = step.model(step.x)
        return F.cross_entropy(logits, step.y), {"natural_accuracy": accuracy(logits, step.y)}
