"""Winograd's minimal filtering: a 3×3 convolution in 4 (F(4×4, 3×3)) or 2.25 (F(2×2, 3×3)) times fewer products.

Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks* (2016): Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A for each tile
d of t = m + 2 rows and columns, of which m × m results come. Over channels the middle is t² products of matrices. A
frozen network pays for the weights' part G g Gᵀ once; what is left is sums, so that many channels gain.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, add, nn, sub

Tensors = Sequence[Tensor]

FILTERS = {
    2: torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64),
    4: torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64)
    / 24,
}
"""G (t, 3) by m."""

TILE = {torch.float32: 4, torch.bfloat16: 2}
"""m by type. With m = 4 the transforms' factors of up to 8 cost float32 a decimal, and leave bf16 two good bits."""

_WORTH = {torch.float32: 64, torch.bfloat16: 128}
"""in · out / (in + out) channels, from which products saved outweigh sums added (measured: docs/performance.md)."""

_TILES = 32
"""With fewer tiles in a batch, reading the weights, four times as many, takes longer than the products."""

_ROWS = 512
"""Tiles at a time: enough for a matrix product at full speed, and few enough for scratch that stays in the cache."""

_PLANS = 64
"""Kept at most: batches that shrink make one for each size."""


def is_worthwhile(convolution: nn.Conv2d, dtype: torch.dtype) -> bool:
    """Whether this convolution of at least `_TILES` tiles gains by it."""
    c = convolution
    shape = (c.kernel_size, c.stride, c.padding, c.dilation, c.groups, c.padding_mode)
    if shape != ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros") or dtype not in TILE:
        return False
    return c.in_channels * c.out_channels >= _WORTH[dtype] * (c.in_channels + c.out_channels)


def fits(size: Sequence[int], dtype: torch.dtype) -> bool:
    """Whether images of the shape `size` (b, channels, h, w) divide into enough tiles."""
    m, (count, _, height, width) = TILE[dtype], size
    return height % m == width % m == 0 and count * (height // m) * (width // m) >= _TILES


def transformed(weight: Tensor, m: int, turned: bool = False, into: Tensor | None = None) -> Tensor:
    """G g Gᵀ of a weight (out, in, 3, 3), as t² matrices (t², out, in).

    Args:
        weight: of the convolution.
        m: side of the tiles of results.
        turned: of the filter turned by 180°, which takes gradients of the results to those of the images.
        into: what an earlier call returned for this shape: its memory is used again.
    """
    g = FILTERS[m].to(weight.dtype)
    # The taps lie outermost then, and each channel's row is copied whole: out and in are not transposed.
    taps = weight.permute(2, 3, 0, 1).reshape(9, -1)
    both = torch.kron(g, g)
    if into is None:
        with torch.inference_mode(False):  # as scratch
            into = torch.empty(len(both), *weight.shape[:2], dtype=weight.dtype)
    torch.mm(both.flip(1) if turned else both, taps, out=into.view(len(both), -1))
    return into


class Workspace:
    """Scratch memory that the convolutions of a network share: new pages cost more than the sums that they are to hold.

    A tensor of any content is taken from it by name, and valid until the next one of this name is taken. One thread at
    a time may use it.
    """

    def __init__(self) -> None:
        self.held: dict[tuple[str, torch.dtype], Tensor] = {}
        self.plans: dict[tuple[object, ...], _Plan] = {}

    def take(self, name: str, dtype: torch.dtype, *shape: int) -> Tensor:
        """Scratch of this name and shape."""
        size = torch.Size(shape).numel()
        if (memory := self.held.get((name, dtype))) is None or memory.numel() < size:
            with torch.inference_mode(False):  # it outlives such a block
                memory = self.held[name, dtype] = torch.empty(size, dtype=dtype)
            self.plans.clear()  # they look at the smaller one
        return memory[:size].view(shape)

    def plan(self, *key: Any) -> "_Plan":
        """What a convolution of these images needs: m, type, b, in, out, h, w."""
        if key not in self.plans:
            plan = _Plan(self, *key)
            if len(self.plans) >= _PLANS:
                self.plans.clear()
            self.plans[key] = plan
        return self.plans[key]


class _Plan:
    """All views of the scratch memory that one shape needs: to make them takes as long as to fill some of them."""

    def __init__(
        self, work: Workspace, m: int, dtype: torch.dtype, count: int, channels: int, out: int, height: int, width: int
    ) -> None:
        t, rows, columns = m + 2, height // m, width // m
        most = t * count * rows * (width + 2) * max(channels, out)
        # All are taken before views are made of any: taking may put another in the place of a smaller one.
        padded = work.take("padded", dtype, count, height + 2, width + 2, channels)
        lines = work.take("lines", dtype, most)
        tiles = work.take("tiles", dtype, t, t, count, rows, columns, channels)
        products = work.take("products", dtype, t * t, count * rows * columns, out)
        half = t * count * rows * columns * max(channels, out)
        even, odd = work.take("even", dtype, half), work.take("odd", dtype, half)

        def part(source: Tensor, *shape: int) -> Tensor:
            return source[: torch.Size(shape).numel()].view(shape)

        def step(sources: Tensors, results: Tensors) -> tuple[Tensors, Tensors, Tensor, Tensor]:
            shape = sources[0].shape
            return sources, results, part(even, *shape), part(odd, *shape)

        self.edges = (padded[:, 0], padded[:, -1], padded[:, :, 0], padded[:, :, -1])
        self.images = padded[:, 1:-1, 1:-1]
        # Rows first, for whole lines of the image; then columns, for all t rows of the tiles at a time.
        there = part(lines, t, count, rows, width + 2, channels)
        self.to_lines = step([padded[:, i : i + height - m + 1 : m] for i in range(t)], there.unbind())
        self.to_tiles = step([there[:, :, :, j : j + width - m + 1 : m] for j in range(t)], tiles.unbind(1))
        self.tiles, self.products = tiles.view(t * t, -1, channels), products
        # A's row 1 is all ones: what is added to this one comes once to each result.
        self.biased = products[t + 1]
        back = part(lines, m, t, count, rows, columns, out)
        self.from_tiles = step(products.view(t, t, count, rows, columns, out).unbind(), back.unbind())
        self.from_lines, _, *self.scratch = step(back.unbind(1), ())
        self.shape = (count, rows, m, columns, m, out)
        self.to_v, self.to_y = (_input2, _output2) if m == 2 else (_input4, _output4)

    def run(self, images: Tensor, matrices: Tensor, bias: Tensor | None, results: Tensor) -> None:
        """From images to results, both (b, h, w, channels)."""
        for edge in self.edges:
            edge.zero_()
        self.images.copy_(images)
        self.to_v(*self.to_lines)
        self.to_v(*self.to_tiles)
        torch.bmm(self.tiles, matrices, out=self.products)
        if bias is not None:
            self.biased += bias
        self.to_y(*self.from_tiles)
        places = results.view(self.shape).permute(2, 4, 0, 1, 3, 5)
        self.to_y(self.from_lines, places.unbind(1), *self.scratch)


def winograd(x: Tensor, matrices: Tensor, m: int, work: Workspace, bias: Tensor | None = None) -> Tensor:
    """The convolution of x (b, in, h, w), padded by 1: (b, out, h, w), channels-last.

    Args:
        x: images, whose height and width are multiples of m.
        matrices: (t², in, out): `transformed` weights, transposed; or, for gradients, the turned ones as they are.
        m: side of the tiles of results.
        work: scratch memory.
        bias: (out,).
    """
    count, channels, height, width = x.shape
    outputs = torch.empty(count, height, width, matrices.shape[-1], dtype=x.dtype)
    at_once = max(1, _ROWS * m * m // (height * width))
    for images, results in zip(x.permute(0, 2, 3, 1).split(at_once), outputs.split(at_once), strict=True):
        plan = work.plan(m, x.dtype, len(images), channels, matrices.shape[-1], height, width)
        plan.run(images, matrices, bias, results)
    return outputs.permute(0, 3, 1, 2)


def _input2(d: Tensors, v: Tensors, even: Tensor, odd: Tensor) -> None:
    """Bᵀ of F(2, 3)."""
    sub(d[0], d[2], out=v[0])
    add(d[1], d[2], out=v[1])
    sub(d[2], d[1], out=v[2])
    sub(d[1], d[3], out=v[3])


def _output2(m: Tensors, y: Tensors, even: Tensor, odd: Tensor) -> None:
    """Aᵀ of F(2, 3)."""
    add(m[0], m[1], out=y[0]).add_(m[2])
    sub(m[1], m[2], out=y[1]).sub_(m[3])


def _input4(d: Tensors, v: Tensors, even: Tensor, odd: Tensor) -> None:
    """Bᵀ of F(4, 3)."""
    add(d[4], d[2], alpha=-4, out=even)
    add(d[3], d[1], alpha=-4, out=odd)
    add(even, odd, out=v[1])
    sub(even, odd, out=v[2])
    sub(d[4], d[2], out=even)
    sub(d[3], d[1], out=odd)
    add(even, odd, alpha=2, out=v[3])
    sub(even, odd, alpha=2, out=v[4])
    sub(d[0], d[2], out=v[0])
    add(even, v[0], alpha=4, out=v[0])
    sub(d[5], d[3], out=v[5]).sub_(odd, alpha=4)


def _output4(m: Tensors, y: Tensors, even: Tensor, odd: Tensor) -> None:
    """Aᵀ of F(4, 3)."""
    add(m[1], m[2], out=even)
    add(m[3], m[4], out=odd)
    add(m[0], even, out=y[0]).add_(odd)
    add(even, odd, alpha=4, out=y[2])
    sub(m[1], m[2], out=even)
    sub(m[3], m[4], out=odd)
    add(even, odd, alpha=2, out=y[1])
    add(even, odd, alpha=8, out=y[3]).add_(m[5])
