"""How many floating-point operations a second a device does: the best of products and convolutions of several sizes."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from tune_at.engine.engine import DTYPES


@dataclass(frozen=True)
class Product:
    """A product of two square matrices."""

    size: int

    @property
    def operations(self) -> float:
        """Two for each multiply-add."""
        return 2.0 * self.size**3

    def prepare(self, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
        """The operands, made; what is returned multiplies them."""
        a, b = (torch.randn(self.size, self.size, device=device, dtype=dtype) for _ in range(2))
        return lambda: a @ b

    def __str__(self) -> str:
        return f"a product of {self.size:,}² matrices"


@dataclass(frozen=True)
class Convolution:
    """A 3 × 3 convolution of as many channels as it gives, padded, channels-last, as residual networks have them."""

    batch: int
    channels: int
    side: int

    @property
    def operations(self) -> float:
        """Two for each multiply-add, those on the padding counted, as `torch.utils.flop_counter` does."""
        return 2.0 * self.batch * self.side**2 * 9 * self.channels**2

    def prepare(self, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
        """The images and the weights, made; what is returned convolves them."""
        form = torch.channels_last
        x = torch.randn(self.batch, self.channels, self.side, self.side, device=device, dtype=dtype)
        w = torch.randn(self.channels, self.channels, 3, 3, device=device, dtype=dtype)
        x, w = x.contiguous(memory_format=form), w.contiguous(memory_format=form)
        return lambda: F.conv2d(x, w, padding=1)

    def __str__(self) -> str:
        return f"a 3×3 convolution of {self.channels} channels at {self.side}×{self.side}, batch {self.batch}"


Form = Product | Convolution

BRIEF: tuple[Form, ...] = (Product(512), Convolution(16, 64, 16))
"""Milliseconds on a processor: to compare precisions."""


def best_rates(
    forms: Sequence[Form], precisions: Sequence[str], device: torch.device, tries: int = 5
) -> dict[str, tuple[float, Form]]:
    """The highest rate of any of `forms` in any of `tries`, and which form had it, for each of `precisions`.

    The highest, not the mean: whatever else runs on the machine can only slow it down. The precisions take turns, so
    that it slows all of them down. Each form is run once more before, since the first run also pays for what is set up
    once.

    Args:
        forms: what to time.
        precisions: any of `fp32`, `tf32`, `bf16`, as `train.precision` means them.
        device: where; on a CPU with as many threads as torch has now.
        tries: how often each form is timed.

    Returns:
        Floating-point operations a second, and the form, by precision.
    """
    best: dict[str, tuple[float, Form]] = {}
    with torch.inference_mode():
        for form in forms:
            runs = {precision: form.prepare(device, DTYPES[precision]) for precision in precisions}
            for number in range(tries + 1):
                for precision, run in runs.items():
                    taken = _seconds(run, precision, device)
                    rate = form.operations / max(taken, 1e-9)
                    if number and (precision not in best or rate > best[precision][0]):
                        best[precision] = rate, form
    return best


def _seconds(run: Callable[[], object], precision: str, device: torch.device) -> float:
    with _products(precision == "tf32"):
        began = _clock(device)
        run()
        return _clock(device) - began


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def _products(tf32: bool) -> Iterator[None]:
    """Products and convolutions in TF32, or not, for the block."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    try:
        products.allow_tf32 = convolutions.allow_tf32 = tf32
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
