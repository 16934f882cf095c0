"""AutoAttack (Croce and Hein, 2020) by the package pyautoattack, made to keep the contract of our attacks."""

import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tune_at.attacks import over_targets, square
from tune_at.attacks.balls import BALLS
from tune_at.config.attack import AttackSection
from tune_at.engine.folded import FoldedView
from tune_at.engine.modes import evaluating
from tune_at.errors import UserError

NORMS = {"linf": "Linf", "l2": "L2"}


@dataclass(frozen=True)
class AutoAttack:
    """The version `standard`: APGD-CE, APGD-T on 9 targets, FAB-T on 9 targets, Square with 5,000 queries.

    With fewer than ten classes the targeted attacks run on all other classes. `eps` in pixels on [0, 1].
    """

    eps: float
    norm: Literal["linf", "l2"] = "linf"
    batch_size: int = 250

    @classmethod
    def of(cls, attack: AttackSection) -> "AutoAttack":
        """AutoAttack in the ball of a config."""
        return cls(attack.eps, attack.norm)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """x'; see `autoattack`."""
        return autoattack(model, x, y, self, generator)


class Judged(nn.Module):
    """A network's logits and those of one class more, which is predicted where a logit is NaN and nowhere else.

    The package takes the place of a NaN for the prediction: an image of class 0 would be right. Gradients that are NaN
    are zero here, so that no point that the package tries is NaN itself.
    """

    NEVER = -1e9
    """The logit of a class that no softmax and no sorting notices."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Images (b, channels, h, w) to logits (b, C + 1)."""
        if x.requires_grad:
            x = x.view_as(x)
            x.register_hook(lambda gradient: gradient.nan_to_num(0))
        logits = self.network(x)
        lost = logits.isnan().any(1, keepdim=True)
        return torch.cat([logits.masked_fill(lost, 0), torch.where(lost, 1, self.NEVER).to(logits)], 1)


def autoattack(model: nn.Module, x: Tensor, y: Tensor, spec: AutoAttack, generator: torch.Generator) -> Tensor:
    """Adversarial examples where one of the four attacks found one, and x itself elsewhere.

    So the prediction on the result is the outcome of each example. The package seeds torch's global generator, from the
    clock unless told otherwise: here it runs on a fork of it, with a seed from `generator`. It takes gradients of all
    parameters, too, and one target class at a time, which leaves batches small: `over_targets` does neither.

    Args:
        model: logits from images; used in eval mode.
        x: float32 (b, channels, height, width) in [0, 1].
        y: labels, int64 (b,).
        spec: the ball.
        generator: of any device; one number is drawn.
    """
    from pyautoattack import AutoAttack as Package

    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
    if spec.eps == 0:
        return x.clone()
    devices = [x.device] if x.device.type == "cuda" else []
    x = x.contiguous()
    try:
        view: nn.Module = FoldedView(model)
    except (RuntimeError, TypeError):  # a network that cannot be copied
        view = model
    with evaluating(model), torch.random.fork_rng(devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's remarks on randomised and gradient-free defences
        with torch.no_grad():
            classes = view(x[:1]).shape[1]
        if classes < 4:
            raise UserError("autoattack", f"the network has {classes} classes", "its DLR loss needs at least four")
        view = Judged(view)
        attack = Package(view, norm=NORMS[spec.norm], eps=spec.eps, seed=seed, version="standard", device=x.device)
        targets = min(9, classes - 1)
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = targets
        attack.apgd_targeted = over_targets.apgd(attack.apgd_targeted, view, spec.batch_size)
        attack.fab = over_targets.fab(attack.fab, view, spec.batch_size)
        attack.square = square.for_any_shape(attack.square)
        x_adv, _ = attack.run_standard_evaluation(x, y, batch_size=spec.batch_size)
    # The package keeps to the ball up to rounding; our attacks keep to it.
    return BALLS[spec.norm](spec.eps).project(x_adv.detach().to(x.dtype), x)
