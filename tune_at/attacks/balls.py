"""Balls around images: random points in them, projections onto them, steepest-ascent steps. All meet [0, 1]."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ball(ABC):
    """{x' : ‖x' - x‖ ≤ eps} ∩ [0, 1]. `eps` in pixels on [0, 1]. Images are (b, channels, height, width)."""

    eps: float

    @abstractmethod
    def uniform(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A random point of the ball around each image, clamped to [0, 1]."""

    @abstractmethod
    def project(self, moved: Tensor, x: Tensor) -> Tensor:
        """A point near `moved` that is in the ball around `x` and in [0, 1]."""

    @abstractmethod
    def ascend(self, gradient: Tensor, step: float) -> Tensor:
        """The step of length `step` that raises a linear function most; zero where the gradient is zero or NaN."""

    def mover(self, x: Tensor, step: float) -> Callable[[Tensor, Tensor], Tensor]:
        """The function (point, gradient) → the next point in the ball around `x`: one step of ascent, projected."""
        return lambda moved, gradient: self.project(moved + self.ascend(gradient, step), x)


@dataclass(frozen=True)
class LinfBall(Ball):
    """max |x' - x| ≤ eps."""

    def uniform(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """x + U(-eps, eps) for each pixel, clamped to [0, 1]."""
        noise = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return (x + (2 * noise - 1) * self.eps).clamp_(0, 1)

    def project(self, moved: Tensor, x: Tensor) -> Tensor:
        """The nearest point of the ball, pixel by pixel."""
        return torch.minimum(torch.maximum(moved, x - self.eps), x + self.eps).clamp_(0, 1)

    def ascend(self, gradient: Tensor, step: float) -> Tensor:
        """step · sign(gradient)."""
        return step * gradient.nan_to_num(0).sign()

    def mover(self, x: Tensor, step: float) -> Callable[[Tensor, Tensor], Tensor]:
        """The same points as by `ascend` and `project`, with the bounds taken once: for small images that tells."""
        low, high = (x - self.eps).clamp_(min=0), (x + self.eps).clamp_(max=1)
        return lambda moved, gradient: gradient.nan_to_num(0).sign_().mul_(step).add_(moved).clamp_(low, high)


@dataclass(frozen=True)
class L2Ball(Ball):
    """‖x' - x‖₂ ≤ eps, over all pixels and channels of an image."""

    def uniform(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A normal direction and a radius uniform in [0, eps], as the public code of robust overfitting draws them.

        A point uniform in the volume would lie near the sphere, and ten steps from there find fewer examples.
        """
        direction = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        radius = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype)
        return (x + self.ascend(direction, self.eps) * radius.view(-1, 1, 1, 1)).clamp_(0, 1)

    def project(self, moved: Tensor, x: Tensor) -> Tensor:
        """Scaled back to the sphere, then clamped: clamping moves towards x and cannot leave the ball."""
        delta = moved - x
        length = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return (x + delta * (self.eps / length.clamp_min(self.eps).clamp_min(1e-12))).clamp_(0, 1)

    def ascend(self, gradient: Tensor, step: float) -> Tensor:
        """step · gradient / ‖gradient‖₂, and zero where the gradient is zero or NaN.

        A step's length does not depend on the gradient's. In the public code it does: it divides by ‖gradient‖ + 1e-10,
        of a sum over the batch or of a mean. TRADES begins near the minimum of the KL divergence, where a sure network
        has gradients of norms from 1e-8 down to 1e-11: there its first step is 99% to 10% of a step, and it ends
        somewhere else. With that constant, points are the public code's but for the 1e-7 in torch's `renorm`.
        """
        # Scaled by the largest entry first: squares of small float32 gradients underflow to a norm of zero.
        gradient = gradient.nan_to_num(0)
        largest = gradient.abs().flatten(1).amax(1).view(-1, 1, 1, 1)
        scaled = gradient / torch.where(largest > 0, largest, torch.ones_like(largest))
        length = scaled.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return step * scaled / length.clamp_min(1e-12)


BALLS: dict[str, type[Ball]] = {"linf": LinfBall, "l2": L2Ball}
"""By the name of the norm in a config."""
