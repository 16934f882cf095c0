"""AutoAttack's targeted attacks on several target classes at once, where the batch leaves room.

The package takes one target class after another, each with the examples that still stand. Few examples make small
batches, whose passes cost little less than full ones: nine passes over 30 examples take longer than one over 270.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tune_at.attacks.losses import is_right

Run = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x, y, target classes) → candidates, and which of them are adversarial, row by row."""


class OverTargets:
    """Stands in for one of the package's targeted attacks: the same steps, with rows for several targets in a batch.

    Args:
        attack: the package's, whose `attack_single_run` does the work.
        model: logits from images.
        run: that attack on given targets.
        batch_size: rows in a batch at most; with as many examples as that, one target is taken after another.
    """

    def __init__(self, attack: Any, model: nn.Module, run: Run, batch_size: int) -> None:
        self.model, self.run, self.batch_size = model, run, batch_size
        self.seed, self.n_target_classes = attack.seed, attack.n_target_classes  # the package sets and reads these

    def perturb(self, x: Tensor, y: Tensor) -> Tensor:
        """The images (b, …), with adversarial examples where it found one."""
        torch.manual_seed(self.seed)
        points = x.clone()
        with torch.no_grad():
            logits = self.model(x)
        # The highest wrong class first; column 0 is the predicted class, which for those that stand is the true one.
        classes = logits.argsort(dim=1, descending=True)
        standing = is_right(logits, y).nonzero().flatten()
        taken = 1
        while taken <= self.n_target_classes and len(standing):
            more = min(max(1, self.batch_size // len(standing)), self.n_target_classes + 1 - taken)
            targets = classes[standing, taken : taken + more].T.flatten()
            rows = standing.repeat(more)
            candidates, fallen = self.run(x[rows], y[rows], targets)
            fallen = fallen.view(more, -1)
            beaten = fallen.any(0)
            # Of several targets the first counts, as when they are taken in turn.
            first = fallen.int().argmax(0) * len(standing) + torch.arange(len(standing), device=x.device)
            points[standing[beaten]] = candidates[first[beaten]]
            standing = standing[~beaten]
            taken += more
        return points


def apgd(attack: Any, model: nn.Module, batch_size: int) -> OverTargets:
    """For the package's `APGDAttack_targeted`."""

    def run(x: Tensor, y: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        attack.init_hyperparam(x)
        attack.y_target = targets
        _, stands, _, candidates = attack.attack_single_run(x, y)
        return candidates, ~stands

    return OverTargets(attack, model, run, batch_size)


def fab(attack: Any, model: nn.Module, batch_size: int) -> OverTargets:
    """For the package's `FABAttack_PT`."""
    current: list[Tensor] = []

    def gradients(x: Tensor, y: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        # The package's own also computes gradients of all parameters, and has one target rank for all rows.
        x = x.clone().requires_grad_()
        rows = torch.arange(len(x), device=x.device)
        with torch.enable_grad():
            logits = model(x)
            difference = logits[rows, current[0]] - logits[rows, y]
            (gradient,) = torch.autograd.grad(difference.sum(), x)
        return difference.detach().unsqueeze(1), gradient.unsqueeze(1)

    def run(x: Tensor, y: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        current[:] = [targets]
        attack.target_class = 2  # asked for, and then not used
        # Without labels it takes the predicted ones, and so all rows: those of examples that stand.
        candidates = attack.attack_single_run(x, None, is_targeted=True)
        with torch.no_grad():
            fallen = ~is_right(model(candidates), y)
        difference = (candidates - x).flatten(1)
        distance = difference.abs().amax(1) if attack.norm == "Linf" else difference.norm(dim=1)
        return candidates, fallen & (distance <= attack.eps)

    attack.get_diff_logits_grads_batch_targeted = gradients
    return OverTargets(attack, model, run, batch_size)
