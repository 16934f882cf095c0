"""Knowledge distillation with stochastic weight averaging (Chen et al., 2021), as a baseline of Tab. 2."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.objective import KDSWA
from tune_at.engine.statistics import estimate_statistics
from tune_at.objectives.base import Loss, Objective, Step, accuracy


class KDSWAObjective(Objective[KDSWA]):
    """0.3 CE + 0.1 KD(standard teacher) + 0.6 KD(robust teacher), all on x' of PGD.

    What is evaluated is the average of the weights at the ends of epochs from `swa_start` on, each with weight
    1 / (n + 1), with batch-norm statistics estimated on the clean training images, shuffled, each batch weighted by its
    samples.
    """

    def networks(self, make: Callable[[], nn.Module]) -> nn.Module:
        """One network, and a copy that will hold the average."""
        network = make()
        self.average = AveragedModel(network)
        return network

    def loss(self, step: Step) -> Loss:
        """Mean over the batch."""
        x_adv = pgd(step.attacked, step.x, step.y, PGD.of(self.attack), step.generator)
        logits = step.model(x_adv)
        ce = F.cross_entropy(logits, step.y)
        with torch.no_grad():
            taught = {role: teacher(x_adv) for role, teacher in self.teachers.items()}
        standard, robust = (self.distance(logits, taught[role]) for role in ("standard", "robust"))
        config = self.config
        loss = config.ce_weight * ce + config.standard_weight * standard + config.robust_weight * robust
        scalars = {
            "ce": ce.detach(),
            "kd_standard": standard.detach(),
            "kd_robust": robust.detach(),
            "robust_accuracy": accuracy(logits, step.y),
        }
        return loss, scalars

    def distance(self, logits: Tensor, taught: Tensor) -> Tensor:
        """T² times the cross-entropy of the softened predictions, mean over the batch."""
        t = self.config.temperature
        return -t * t * ((taught / t).softmax(1) * F.log_softmax(logits / t, 1)).sum(1).mean()

    def epoch_end(self, model: nn.Module, epoch: int, epochs: int, images: Iterable[Tensor]) -> None:
        """Take the weights into the average and re-estimate its batch-norm statistics."""
        if self.config.averages(epoch, epochs):
            self.average.to(next(model.parameters()).device)
            self.average.update_parameters(model)
            self.average.eval()
            estimate_statistics(self.average, images)

    def evaluated(self, model: nn.Module) -> nn.Module:
        """The average, once there is one."""
        if self.average.n_averaged == 0:
            return model
        network: nn.Module = self.average.to(next(model.parameters()).device).module
        return network

    def state_dict(self) -> dict[str, Any]:
        """The average and its count."""
        return {"average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the average."""
        self.average.load_state_dict(state["average"])
