"""Frozen convolutions on a CPU: weights as oneDNN or Winograd's filtering wants them, the ReLU in the same pass."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tune_at.engine.winograd import TILE, Workspace, fits, is_worthwhile, transformed, winograd

DTYPES = (torch.float32, torch.bfloat16)


def freeze(convolution: nn.Conv2d, relu: bool, work: Workspace) -> "PackedConv2d":
    """The faster way for a convolution that `can_pack`."""
    if is_worthwhile(convolution, convolution.weight.dtype):
        return WinogradConv2d(convolution, relu, work)
    return PackedConv2d(convolution, relu)


def can_pack(convolution: nn.Conv2d, dtype: torch.dtype) -> bool:
    """Whether this build of torch and this convolution go with `PackedConv2d`."""
    plain = convolution.groups == 1 and convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
    if not plain or dtype not in DTYPES or not torch.backends.mkldnn.is_available():
        return False
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    names = ("_convolution_pointwise", "_convolution_transpose_pointwise", "_reorder_convolution_weight")
    return all(hasattr(torch.ops.mkldnn, name) for name in (*names, "_reorder_convolution_transpose_weight"))


class _Frozen(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, other: Tensor | None, layer: "PackedConv2d") -> Tensor:
        ctx.layer, ctx.size, ctx.added = layer, x.shape, other is not None
        result = layer.results(x, other)
        if layer.relu:
            ctx.save_for_backward(result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (gradient,) = gradients
        if ctx.layer.relu:
            (result,) = ctx.saved_tensors
            gradient = torch.ops.aten.threshold_backward(gradient, result, 0)
        return ctx.layer.input_gradient(gradient, ctx.size), gradient if ctx.added else None, None


class PackedConv2d(nn.Module):
    """A frozen convolution, with the sum and the ReLU after it or without.

    torch brings a convolution's weights into oneDNN's layout in each call; an attack makes twenty calls with the same
    ones. `changed` says that they are others now.
    """

    def __init__(self, convolution: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self.convolution, self.relu = convolution, relu
        self.packed: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """(b, in, h, w) → (b, out, h', w'); `other` is added before the ReLU."""
        if other is not None and other.shape != self._shape(x):  # it is broadcast, which the fused pass cannot
            total = self.convolution(x) + other
            return total.relu() if self.relu else total
        result: Tensor = _Frozen.apply(x, other, self)
        return result

    def changed(self) -> None:
        """The convolution has other weights now."""
        self.packed = None

    def results(self, x: Tensor, other: Tensor | None) -> Tensor:
        """What `forward` returns; `other` has the result's shape."""
        c, (weight, _) = self.convolution, self._pack(x.shape)
        how = (weight, c.bias, c.padding, c.stride, c.dilation, 1)
        run = torch.ops.mkldnn._convolution_pointwise
        result: Tensor
        if other is None:
            result = run(x, *how, "relu" if self.relu else "none", [], "")
        else:
            result = run.binary(x, other, *how, "add", None, "relu" if self.relu else None, [], None)
        return result

    def input_gradient(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """The gradient of images of this shape, from that of the sum before the ReLU."""
        c, (_, weight) = self.convolution, self._pack(shape)
        # A stride forgets up to stride - 1 rows at the end: they are told apart by the size that x had.
        missing = [
            size - ((out - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
            for size, out, stride, padding, dilation, kernel in zip(
                shape[2:], gradient.shape[2:], c.stride, map(int, c.padding), c.dilation, c.kernel_size, strict=True
            )
        ]
        result: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
            gradient, weight, None, c.padding, missing, c.stride, c.dilation, 1, "none", [], ""
        )
        return result

    def _shape(self, x: Tensor) -> tuple[int, ...]:
        c = self.convolution
        sides = (
            (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for size, padding, dilation, kernel, stride in zip(
                x.shape[2:], map(int, c.padding), c.dilation, c.kernel_size, c.stride, strict=True
            )
        )
        return (len(x), c.out_channels, *sides)

    def _pack(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """The weights for results and for gradients, as oneDNN wants them."""
        if self.packed is None:
            c, reorder = self.convolution, torch.ops.mkldnn
            how = (c.padding, c.stride, c.dilation, 1, list(shape))
            back = (c.padding, [0, 0], c.stride, c.dilation, 1, None)
            self.packed = (
                reorder._reorder_convolution_weight(c.weight, *how),
                reorder._reorder_convolution_transpose_weight(c.weight, *back),
            )
        return self.packed


class WinogradConv2d(PackedConv2d):
    """A frozen 3×3 convolution of many channels, by Winograd's filtering where the images' size allows it."""

    def __init__(self, convolution: nn.Conv2d, relu: bool, work: Workspace) -> None:
        super().__init__(convolution, relu)
        self.work = work
        self.matrices: dict[bool, Tensor] = {}
        self.fresh: set[bool] = set()

    def changed(self) -> None:
        """The convolution has other weights now."""
        super().changed()
        self.fresh.clear()

    def results(self, x: Tensor, other: Tensor | None) -> Tensor:
        """What `forward` returns; `other` has the result's shape."""
        if not fits(x.shape, x.dtype):
            return super().results(x, other)
        matrices = self._matrices(x.dtype, turned=False).transpose(1, 2)
        result = winograd(x, matrices, TILE[x.dtype], self.work, self.convolution.bias)
        if other is not None:
            result += other
        return result.relu_() if self.relu else result

    def input_gradient(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """The gradient of images of this shape, from that of the sum before the ReLU."""
        if not fits(shape, gradient.dtype):
            return super().input_gradient(gradient, shape)
        return winograd(gradient, self._matrices(gradient.dtype, turned=True), TILE[gradient.dtype], self.work)

    def _matrices(self, dtype: torch.dtype, turned: bool) -> Tensor:
        if turned not in self.fresh:
            weight, held = self.convolution.weight.detach(), self.matrices.get(turned)
            self.matrices[turned] = transformed(weight, TILE[dtype], turned, held)
            self.fresh.add(turned)
        return self.matrices[turned]
