"""PGD that leaves an example alone once it has fallen, and gives its place in the batch to the next one."""

import torch
from torch import Tensor, nn

from tune_at.attacks.balls import Ball
from tune_at.attacks.losses import LABEL_LOSSES, is_right
from tune_at.config.attack import LossName


def until_beaten(
    model: nn.Module,
    x: Tensor,
    starts: Tensor,
    y: Tensor,
    ball: Ball,
    loss: LossName,
    step: float,
    steps: int,
    size: int,
) -> Tensor:
    """The first iterate of each example that is misclassified, or its last iterate.

    Examples do not influence each other, so that each gets the points that an ordinary run from the same start would
    go through. Most fall within a few steps and the rest take all: at 1,000 steps and a robust accuracy of one half
    this saves half of the passes. The prediction comes from the pass that the next gradient needs anyway.

    Args:
        model: logits from images, in eval mode.
        x: the centres of the balls (n, channels, height, width).
        starts: first iterates, of x's shape.
        y: labels, int64 (n,).
        ball: around each image.
        loss: a loss of the label alone.
        step: length of a step, in pixels on [0, 1].
        steps: of each example.
        size: examples in a pass. As one ends, the next takes its place.
    """
    points = starts.clone()
    waiting = 0  # the first example that has no place yet
    index = torch.empty(0, dtype=torch.int64, device=x.device)
    left, moved, centre = index.clone(), x[:0], x[:0]
    while waiting < len(x) or len(index):
        if len(index) < size and waiting < len(x):
            new = torch.arange(waiting, min(len(x), waiting + size - len(index)), device=x.device)
            waiting += len(new)
            index, left = torch.cat([index, new]), torch.cat([left, torch.full_like(new, steps)])
            moved, centre = torch.cat([moved, starts[new]]), torch.cat([centre, x[new]])
        moved.requires_grad_(True)
        with torch.enable_grad():
            logits = model(moved)
            (gradient,) = torch.autograd.grad(LABEL_LOSSES[loss](y[index])(logits).sum(), moved)
        fallen = ~is_right(logits, y[index])
        with torch.no_grad():
            stepped = ball.project(moved + ball.ascend(gradient, step), centre)
            moved = torch.where(fallen.view(-1, 1, 1, 1), moved.detach(), stepped)
        left = left - 1
        ended = fallen | (left == 0)
        if ended.any():
            points[index[ended]] = moved[ended]
            kept = ~ended
            index, left, moved, centre = index[kept], left[kept], moved[kept], centre[kept]
    return points
