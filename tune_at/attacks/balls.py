"""Balls around images: random points in them, projections onto them, steepest-ascent steps. All meet [0, 1]."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LinfBall:
    """{x' : max |x' - x| ≤ eps} ∩ [0, 1]. `eps` in pixels on [0, 1]."""

    eps: float

    def uniform(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """X + U(-eps, eps) for each pixel, clamped to [0, 1]."""
        noise = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return (x + (2 * noise - 1) * self.eps).clamp_(0, 1)

    def project(self, moved: Tensor, x: Tensor) -> Tensor:
        """The nearest point to `moved` that is in the ball around `x` and in [0, 1]."""
        return torch.minimum(torch.maximum(moved, x - self.eps), x + self.eps).clamp_(0, 1)

    def ascend(self, gradient: Tensor, step: float) -> Tensor:
        """The step of length `step` that raises a linear function most; zero where the gradient is zero."""
        return step * gradient.sign()
