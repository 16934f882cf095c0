"""Norms of a network's layers as linear maps, for the complexity measures of Fig. 5.

Layers are those of the network in eval mode with each batch norm folded into the convolution before it: a batch norm
undoes any scale of the weights before it, so that without it the product of the norms says nothing about the function.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tune_at.engine.folded import Affine, FoldedView

Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """A layer as a linear map; shifts and biases are left out.

    Attributes:
        weight: float64; of a linear layer (out, in), of a convolution (out, in / groups, rows, columns), of a batch
            norm that no convolution precedes (channels,): what each channel is multiplied by.
        size: rows and columns of what a convolution is given.
        stride, dilation, groups: of a convolution.
    """

    weight: Tensor
    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1

    def spectral_norm(self) -> float:
        """‖W‖₂, the largest singular value (`convolution_norm`); NaN unless all weights are finite."""
        if not bool(self.weight.isfinite().all()):
            return float("nan")
        if self.weight.dim() == 4:
            return convolution_norm(self.weight, self.size, self.stride, self.dilation, self.groups)
        if self.weight.dim() == 2:
            return float(torch.linalg.matrix_norm(self.weight, 2))
        return float(self.weight.abs().max())

    def l1_norm(self) -> float:
        """‖W‖₁ = Σ |w| over the layer's weights: what Yin et al. (2018), whom the paper follows, penalise.

        Not the operator norm that l1 induces; a convolution's weight counts once, however often it is used.
        """
        return float(self.weight.abs().sum())


@torch.no_grad()
def layers(network: nn.Module, x: Tensor) -> list[Layer]:
    """The linear maps of a network, convolutions and linear layers and what is left of batch norms.

    Shortcuts' convolutions are among them: the measure is a product over all weights, as in the paper, and not a bound
    on a residual network's Lipschitz constant.

    Args:
        network: only looked at.
        x: an image (1, channels, height, width), from which the convolutions' input sizes follow.
    """
    view, sizes = FoldedView(network, packed=False), dict[nn.Module, Pair]()
    with ExitStack() as hooks:
        for module in view.modules():
            if isinstance(module, nn.Conv2d):
                hooks.enter_context(module.register_forward_pre_hook(partial(_note_size, sizes)))
        view(x)
    return [layer for module in view.modules() for layer in _layer(module, sizes)]


def _note_size(sizes: dict[nn.Module, Pair], module: nn.Module, inputs: tuple[Any, ...]) -> None:
    sizes[module] = (inputs[0].shape[-2], inputs[0].shape[-1])


def _layer(module: Any, sizes: dict[nn.Module, Pair]) -> Iterator[Layer]:
    if isinstance(module, nn.Conv2d) and module in sizes:
        stride: Any = module.stride
        dilation: Any = module.dilation
        yield Layer(module.weight.detach().double(), sizes[module], stride, dilation, module.groups)
    elif isinstance(module, nn.Linear):
        yield Layer(module.weight.detach().double())
    elif isinstance(module, Affine):
        yield Layer(module.scale.detach().double().flatten())
    elif isinstance(module, nn.BatchNorm2d) and module.running_var is not None:  # of a network that cannot be folded
        scale = torch.rsqrt(module.running_var.double() + module.eps)
        yield Layer(scale if module.weight is None else scale * module.weight.detach().double())


@torch.no_grad()
def convolution_norm(
    weight: Tensor, size: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1
) -> float:
    """‖W‖₂ of a convolution with circular padding, exact (Sedghi et al., *Singular Values of Convolutional Layers*).

    On a torus of H × W a convolution is A(f), out × in, at each frequency f: the transform of its taps. Keeping one
    pixel in s adds up the s frequencies that then look alike, so with strides s and t an output's frequency g sees
    [A(f₁) … A(f_st)] / √(st), f₁ … f_st being those that g stands for; the norm is the largest singular value of all
    these.

    Networks pad with zeros. Theirs is the circular map on images with a border of zeros, cropped: its norm is at most
    the circular one's on images of at least H + padding rows, and close to the one on H rows where H is many kernels
    long. It is not exact where kernels are as large as images: circularly, taps wrap around.

    Args:
        weight: (out, in / groups, rows, columns), real.
        size: H, W. Where the stride does not divide them, they are rounded up until it does.
        stride: s, t.
        dilation: between taps.
        groups: in which channels are convolved apart.
    """
    out, inputs, *kernel = weight.shape
    height, width = (-(-side // step) * step for side, step in zip(size, stride, strict=True))
    rows, columns = (
        _phases(side, taps, gap, weight.device)
        for side, taps, gap in zip((height, width), kernel, dilation, strict=True)
    )
    (s, t), weight = stride, weight.double().view(groups, out // groups, inputs, *kernel).to(torch.complex128)
    above, beside = height // s, width // t
    wide = s * t == 1 and inputs < out // groups
    largest = 0.0
    with _one_thread():
        for u in range(above // 2 + 1):  # A(-f) is A(f)'s conjugate: half of the rows are enough
            gram: Any = 0
            for row in range(u, height, above):
                partly = torch.einsum("goiab,a->goib", weight, rows[row])
                for part in columns.split(beside):
                    block = torch.einsum("goib,vb->gvoi", partly, part)
                    gram = gram + (block.mH @ block if wide else block @ block.mH)
            largest = max(largest, _largest_eigenvalue(gram.flatten(0, 1), largest))
    return (largest / (s * t)) ** 0.5


def _largest_eigenvalue(matrices: Tensor, known: float) -> float:
    """Of all the matrices (n, k, k), Hermitian, if it is above `known`; otherwise 0."""
    # Where known · I - G has a Cholesky factor no eigenvalue is above: five times faster than to ask what they are.
    bound = known * torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    above = matrices[torch.linalg.cholesky_ex(bound - matrices).info != 0]
    return float(torch.linalg.eigvalsh(above)[:, -1].max()) if len(above) else 0.0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Eigenvalues by one thread: a busy machine makes those of small matrices a hundred times slower by several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _phases(side: int, taps: int, gap: int, device: torch.device) -> Tensor:
    """exp(-2πi · frequency · place / side), complex128 (side, taps)."""
    turns = torch.outer(torch.arange(side), gap * torch.arange(taps)) % side
    return torch.exp(-2j * torch.pi * turns.double() / side).to(device)
