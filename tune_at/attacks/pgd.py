"""Projected gradient ascent (Eq. 2): PGD with any loss, step count and restarts; FGSM and C&W are special cases."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from tune_at.attacks.balls import BALLS, Ball
from tune_at.attacks.dropping import until_beaten
from tune_at.attacks.losses import LABEL_LOSSES, SampleLoss, is_right, kl_divergence, log_probabilities
from tune_at.config.attack import AttackSection, LossName, StartName
from tune_at.engine.modes import evaluating
from tune_at.errors import UserError

GAUSSIAN_START = 0.001
"""Standard deviation of the random start in TRADES and in l2, in pixels on [0, 1]."""


@dataclass(frozen=True)
class PGD:
    """What `pgd` does. Lengths in pixels on [0, 1].

    Attributes:
        norm: `linf` or `l2`.
        loss: `ce`, cross-entropy with the label; `kl`, KL(f(x) ‖ f(x')) with f(x) fixed (TRADES); `cw`, the margin
            max_{j≠y} z_j - z_y; `dlr`, the margin divided by z_π1 - z_π3.
        start: `uniform` in the ball; `gaussian`, x + 0.001 · N(0, 1) (TRADES, and l2 in the paper's code); `zero`, x
            itself (FGSM).
        restarts: runs from different starts; of each example the worst is kept.
        keep_attacking: whether an example is attacked further once it has fallen. If not, its result is the first
            point found, x itself if that is misclassified, that fools the network; a network that is beaten at any
            iterate is beaten, and a run costs less. If so, the result is the last iterate.
    """

    eps: float
    step: float
    steps: int
    norm: Literal["linf", "l2"] = "linf"
    loss: LossName = "ce"
    start: StartName = "uniform"
    restarts: int = 1
    keep_attacking: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.restarts < 1:
            raise UserError("attack", f"{self.steps} steps, {self.restarts} restarts", "both are at least 1")
        if self.eps < 0 or self.step < 0:
            raise UserError("attack", f"eps {self.eps:g}, step {self.step:g}", "neither is below 0")
        if not self.keep_attacking and self.loss not in LABEL_LOSSES:
            raise UserError("attack", f"loss {self.loss} does not tell when an example has fallen", "keep attacking")

    @classmethod
    def of(cls, attack: AttackSection, loss: LossName = "ce") -> "PGD":
        """The training attack of a config.

        TRADES' loss has TRADES' start: at x itself its gradient is zero.
        """
        start: StartName = "gaussian" if loss == "kl" else attack.start_in_ball
        return cls(attack.eps, attack.step, attack.steps, attack.norm, loss, start)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """x'; see `pgd`."""
        return pgd(model, x, y, self, generator)

    @property
    def ball(self) -> Ball:
        """The ball around an image."""
        return BALLS[self.norm](self.eps)

    def single_step(self, step: float, start: StartName) -> "PGD":
        """One step from the given start (FGSM, Fast AT)."""
        return replace(self, step=step, steps=1, start=start)


BATCH = 512
"""Examples in a pass of an attack that drops those that have fallen."""


def pgd(
    model: nn.Module, x: Tensor, y: Tensor, spec: PGD, generator: torch.Generator, batch_size: int = BATCH
) -> Tensor:
    """Adversarial examples x' in the ball around x, by `spec.steps` steps of steepest ascent (Eq. 2).

    Works on the model in eval mode and leaves its modes, its gradients and the global generators as they were.

    Args:
        model: logits from images.
        x: float32 (b, channels, height, width) in [0, 1].
        y: labels, int64 (b,).
        spec: ball, loss, steps and restarts.
        generator: on x's device, for the random start.
        batch_size: without `keep_attacking`, examples in a pass; as one falls, the next takes its place.

    Returns:
        x', detached, of x's shape, within eps of x and in [0, 1]. With restarts, of each example a point that is
        misclassified if any run found one, and otherwise the one of the highest loss.
    """
    with evaluating(model):
        if not spec.keep_attacking:
            return _dropping(model, x, y, spec, generator, batch_size)
        if spec.loss == "kl":
            loss = kl_divergence(log_probabilities(model, x))
        else:
            loss = LABEL_LOSSES[spec.loss](y)
        best = maximise(model, x, loss, spec, generator)
        if spec.restarts == 1:
            return best
        worst = _badness(model, best, y, loss)
        for _ in range(spec.restarts - 1):
            other = maximise(model, x, loss, spec, generator)
            badness = _badness(model, other, y, loss)
            best = torch.where((badness > worst).view(-1, 1, 1, 1), other, best)
            worst = torch.maximum(worst, badness)
        return best


def _dropping(model: nn.Module, x: Tensor, y: Tensor, spec: PGD, generator: torch.Generator, batch_size: int) -> Tensor:
    """Runs that stop where an example falls; a restart is for those that are left."""
    points, left = x.clone(), _standing(model, x, y, batch_size)
    for _ in range(spec.restarts):
        # Drawn for all, so that an example's start depends on no other example.
        starts = _start(spec.ball, x, spec.start, generator)
        if len(left) == 0:
            continue  # the generator goes on as it would
        points[left] = until_beaten(
            model, x[left], starts[left], y[left], spec.ball, spec.loss, spec.step, spec.steps, batch_size
        )
        left = left[_standing(model, points[left], y[left], batch_size)] if spec.restarts > 1 else left
    return points


@torch.no_grad()
def _standing(model: nn.Module, x: Tensor, y: Tensor, batch_size: int) -> Tensor:
    """Places of the examples that are classified rightly."""
    parts = zip(x.split(batch_size), y.split(batch_size), strict=True)
    return torch.cat([is_right(model(some), label) for some, label in parts]).nonzero()[:, 0]


def maximise(model: nn.Module, x: Tensor, loss: SampleLoss, spec: PGD, generator: torch.Generator) -> Tensor:
    """One run of `pgd` with any loss of the logits; `spec.loss` and `spec.restarts` are not looked at.

    Args:
        model: logits from images; used in eval mode.
        x: float32 (b, channels, height, width) in [0, 1].
        loss: from logits (b, C) to one value a sample (b,).
        spec: ball, start, step and steps.
        generator: on x's device.
    """
    ball = spec.ball
    moved, move = _start(ball, x, spec.start, generator), ball.mover(x, spec.step)
    with evaluating(model), torch.enable_grad():
        for _ in range(spec.steps):
            moved.requires_grad_(True)
            # Summed, not averaged: a mean over the batch only makes input gradients underflow sooner.
            (gradient,) = torch.autograd.grad(loss(model(moved)).sum(), moved)
            with torch.no_grad():
                moved = move(moved, gradient)
    return moved.detach()


def _start(ball: Ball, x: Tensor, start: StartName, generator: torch.Generator) -> Tensor:
    if start == "zero":
        return x.clone()
    if start == "uniform":
        return ball.uniform(x, generator)
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return ball.project(x + GAUSSIAN_START * noise, x)


@torch.no_grad()
def _badness(model: nn.Module, x_adv: Tensor, y: Tensor, loss: SampleLoss) -> Tensor:
    """The loss, and infinity where the prediction is wrong."""
    logits = model(x_adv)
    return loss(logits).masked_fill(~is_right(logits, y), float("inf"))
