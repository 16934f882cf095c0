"""Convolutions for input gradients on a CPU: weights kept as oneDNN lays them out, and the ReLU in the same pass."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

DTYPES = (torch.float32, torch.bfloat16)


def can_pack(convolution: nn.Conv2d, dtype: torch.dtype) -> bool:
    """Whether this build of torch and this convolution go with `PackedConv2d`."""
    plain = convolution.groups == 1 and convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
    if not plain or dtype not in DTYPES or not torch.backends.mkldnn.is_available():
        return False
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    names = ("_convolution_pointwise", "_convolution_transpose_pointwise", "_reorder_convolution_weight")
    return all(hasattr(torch.ops.mkldnn, name) for name in (*names, "_reorder_convolution_transpose_weight"))


class _Packed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, other: Tensor | None, layer: "PackedConv2d") -> Tensor:
        c, relu = layer.convolution, layer.relu
        ctx.layer, ctx.size, ctx.added = layer, x.shape[2:], other is not None
        how = (layer.forward_weight, c.bias, c.padding, c.stride, c.dilation, 1)
        run = torch.ops.mkldnn._convolution_pointwise
        found: Tensor
        if other is None:
            found = run(x, *how, "relu" if relu else "none", [], "")
        else:
            found = run.binary(x, other, *how, "add", None, "relu" if relu else None, [], None)
        if relu:
            ctx.save_for_backward(found)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (gradient,), c = gradients, ctx.layer.convolution
        if ctx.layer.relu:
            (found,) = ctx.saved_tensors
            gradient = torch.ops.aten.threshold_backward(gradient, found, 0)
        # A stride forgets up to stride - 1 rows at the end: they are told apart by the size that x had.
        missing = [
            size - ((out - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
            for size, out, stride, padding, dilation, kernel in zip(
                ctx.size, gradient.shape[2:], c.stride, c.padding, c.dilation, c.kernel_size, strict=True
            )
        ]
        back = torch.ops.mkldnn._convolution_transpose_pointwise(
            gradient, ctx.layer.backward_weight, None, c.padding, missing, c.stride, c.dilation, 1, "none", [], ""
        )
        return back, gradient if ctx.added else None, None


class PackedConv2d(nn.Module):
    """A frozen convolution, with the sum and the ReLU after it or without.

    torch brings a convolution's weights into oneDNN's layout in each call; an attack makes twenty calls with the same
    ones. `stale` says that they have changed.
    """

    def __init__(self, convolution: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self.convolution, self.relu = convolution, relu
        self.stale = True
        self.forward_weight = self.backward_weight = torch.empty(0)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """(b, in, h, w) → (b, out, h', w'); `other` is added before the ReLU."""
        if self.stale:
            self._pack(x)
        if other is not None and other.shape != self._result(x):  # it is broadcast, which the fused pass cannot
            total = self.convolution(x) + other
            return total.relu() if self.relu else total
        found: Tensor = _Packed.apply(x, other, self)
        return found

    def _result(self, x: Tensor) -> tuple[int, ...]:
        c = self.convolution
        sides = (
            (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for size, padding, dilation, kernel, stride in zip(
                x.shape[2:], map(int, c.padding), c.dilation, c.kernel_size, c.stride, strict=True
            )
        )
        return (len(x), c.out_channels, *sides)

    def _pack(self, x: Tensor) -> None:
        c = self.convolution
        how = (c.padding, c.stride, c.dilation, 1, list(x.shape))
        self.forward_weight = torch.ops.mkldnn._reorder_convolution_weight(c.weight, *how)
        self.backward_weight = torch.ops.mkldnn._reorder_convolution_transpose_weight(
            c.weight, c.padding, [0, 0], c.stride, c.dilation, 1, None
        )
        self.stale = False
