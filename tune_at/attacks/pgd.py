"""Projected gradient ascent (Eq. 2)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tune_at.attacks.balls import LinfBall
from tune_at.attacks.modes import evaluating
from tune_at.config.attack import AttackSection

GAUSSIAN_START = 0.001
"""Standard deviation of TRADES' random start, in pixels on [0, 1]."""


@dataclass(frozen=True)
class PGD:
    """What `pgd` does. Lengths in pixels on [0, 1].

    `loss`: `ce`, the cross-entropy with the label, or `kl`, KL(f(x) ‖ f(x')) with f(x) fixed (TRADES).
    `start`: `uniform` in the ball, or `gaussian`, x + 0.001 · N(0, 1) (TRADES).
    """

    eps: float
    step: float
    steps: int
    loss: Literal["ce", "kl"] = "ce"
    start: Literal["uniform", "gaussian"] = "uniform"

    @classmethod
    def of(cls, attack: AttackSection, loss: Literal["ce", "kl"] = "ce", steps: int | None = None) -> "PGD":
        """The training attack of a config; TRADES' start goes with TRADES' loss."""
        start: Literal["uniform", "gaussian"] = "gaussian" if loss == "kl" else "uniform"
        return cls(attack.eps, attack.step, attack.steps if steps is None else steps, loss, start)


def pgd(model: nn.Module, x: Tensor, y: Tensor, spec: PGD, generator: torch.Generator) -> Tensor:
    """Adversarial examples x' in the ball around x, by `spec.steps` steps of signed gradient ascent (Eq. 2).

    Works on the model in eval mode and leaves its modes, its gradients and the global generators as they were.

    Args:
        model: logits from images.
        x: float32 (b, channels, height, width) in [0, 1].
        y: labels, int64 (b,).
        spec: ball, steps and loss.
        generator: on x's device, for the random start.

    Returns:
        x', detached, of x's shape, within eps of x and in [0, 1].
    """
    ball = LinfBall(spec.eps)
    if spec.start == "uniform":
        moved = ball.uniform(x, generator)
    else:
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        moved = ball.project(x + GAUSSIAN_START * noise, x)
    with evaluating(model), torch.enable_grad():
        target = _log_probabilities(model, x) if spec.loss == "kl" else y
        for _ in range(spec.steps):
            moved.requires_grad_(True)
            logits = model(moved)
            # Summed, not averaged: a mean over the batch only makes input gradients underflow sooner.
            if spec.loss == "kl":
                loss = F.kl_div(F.log_softmax(logits, 1), target, log_target=True, reduction="sum")
            else:
                loss = F.cross_entropy(logits, target, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, moved)
            with torch.no_grad():
                moved = ball.project(moved + ball.ascend(gradient, spec.step), x)
    return moved.detach()


def _log_probabilities(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return F.log_softmax(model(x), 1)
