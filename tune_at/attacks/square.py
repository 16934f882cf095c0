"""Square Attack in l2 (Andriushchenko et al., 2020, Alg. 3) on images of any height and width.

The package lays its first perturbation out in tiles, and cannot add a whole tile where a part of it lies outside the
image: that is the case on most images that are not square, and on squares of 12 to 14, 18, 19 or 24 pixels. Here such a
tile is cut. Everything else, each draw included, is the package's.
"""

from typing import Any

import torch
from torch import Tensor


def for_any_shape(attack: Any) -> Any:
    """The package's `SquareAttack`; in l2, with a run that can take images of any shape."""
    if attack.norm == "L2":
        attack.attack_single_run = lambda x, y: l2_run(attack, x, y)
    return attack


@torch.no_grad()
def l2_run(attack: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Random search over windows of the perturbation; an example is left alone once its margin is not positive.

    Args:
        attack: the package's, for its radius, number of queries, draws and loss.
        x: float32 (b, channels, height, width) in [0, 1].
        y: labels, int64 (b,).

    Returns:
        Queries used (b,), and points of x's shape.
    """
    best = _moved(attack, x, tiles(attack, x))
    margin, loss = attack.margin_and_loss(best, y)
    queries = torch.ones(len(x), device=x.device)
    for query in range(attack.n_queries):
        standing = (margin > 0).nonzero()[:, 0]
        if len(standing) == 0:
            break
        centre, label = x[standing], y[standing]
        candidate = _moved(attack, centre, proposal(attack, best[standing] - centre, query))
        new_margin, new_loss = attack.margin_and_loss(candidate, label)
        lower = new_loss < loss[standing]
        loss[standing] = torch.where(lower, new_loss, loss[standing])
        taken = lower | (new_margin <= 0)
        margin[standing] = torch.where(taken, new_margin, margin[standing])
        best[standing] = torch.where(taken.view(-1, 1, 1, 1), candidate, best[standing])
        queries[standing] += 1
    return queries, best


def tiles(attack: Any, x: Tensor) -> Tensor:
    """The first perturbation, of x's shape: tiles a fifth of the shorter side wide, each with a random sign."""
    channels, height, width = x.shape[1:]
    shorter = min(height, width)
    size = max(1, shorter // 5)
    margin = max(0, (shorter - 5 * size) // 2)
    delta = torch.zeros_like(x)
    for row in range(height // size):
        for column in range(width // size):
            top, left = margin + row * size, margin + column * size
            # Drawn even where nothing of it lies in the image, as in the package.
            tile = attack.eta(size).view(1, 1, size, size) * attack.random_choice([len(x), channels, 1, 1])
            place = delta[:, :, top : top + size, left : left + size]
            place += tile[:, :, : place.shape[2], : place.shape[3]]
    return delta


def proposal(attack: Any, delta: Tensor, query: int) -> Tensor:
    """The perturbation (b, channels, height, width) with one window redrawn and another's norm given to it."""
    channels, height, width = delta.shape[1:]
    size = max(round((attack.p_selection(query) * height * width) ** 0.5), 3)
    size = min(size + (size % 2 == 0), height, width)

    def window() -> tuple[slice, slice, slice, slice]:
        top, left = int(attack.random_int(0, height - size)), int(attack.random_int(0, width - size))
        return slice(None), slice(None), slice(top, top + size), slice(left, left + size)

    here, there = window(), window()
    both = torch.zeros_like(delta)
    both[here] = both[there] = 1
    length = attack.lp_norm(delta)
    unused = (torch.full_like(length, attack.eps) ** 2 - length**2).clamp_min(0)
    drawn = attack.eta(size).view(1, 1, size, size) * attack.random_choice([len(delta), channels, 1, 1])
    drawn = drawn.contiguous()  # half of the package's tiles are transposed: sums are taken in the package's order
    drawn = drawn + delta[here] / (1e-12 + _norms(delta[here]))
    drawn = drawn / (1e-12 + _norms(drawn)) * (unused / channels + _norms(delta * both) ** 2).sqrt()
    delta[there] = 0
    delta[here] = drawn
    return delta


def _moved(attack: Any, x: Tensor, delta: Tensor) -> Tensor:
    """x plus the perturbation scaled to the radius, clamped to [0, 1]."""
    return (x + attack.normalize(delta) * attack.eps).clamp_(0, 1)


def _norms(values: Tensor) -> Tensor:
    """The l2 norm of each channel (b, channels, 1, 1)."""
    return (values**2).sum(dim=(-2, -1), keepdim=True).sqrt()
