"""What each part gives: one pass of an attack through ResNet-18, and single convolutions."""

from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import Plan, Way, count_flops, device, measure
from tune_at.config.trial import TrialConfig
from tune_at.engine import winograd
from tune_at.engine.folded import FoldedView
from tune_at.engine.packed import PackedConv2d, freeze
from tune_at.models import build_model

NEVER = {torch.float32: 10**9, torch.bfloat16: 10**9}


def input_gradient(network: nn.Module, x: Tensor, y: Tensor) -> Callable[[], object]:
    """A forward and a backward pass, as each step of an attack makes them."""

    def run() -> object:
        moved = x.detach().requires_grad_()
        return torch.autograd.grad(F.cross_entropy(network(moved), y), moved)

    return run


def one_pass(quick: bool) -> Plan:
    """The parts of the gain, one upon the other; the first way alone has the C library's memory as by default."""
    batch, place = 16 if quick else 32, device()
    network = build_model(TrialConfig.parse({"model": "resnet18"}).model, 10, 3, 32).to(place).eval()
    x, y = torch.rand(batch, 3, 32, 32, device=place), torch.arange(batch, device=place) % 10
    plain = input_gradient(network, x, y)
    ways = {"textbook": plain, "memory kept": plain, "folded": input_gradient(FoldedView(network, packed=False), x, y)}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with patch.dict(winograd._WORTH, NEVER):
            ways[f"folded, packed, {name}"] = input_gradient(FoldedView(network, dtype), x, y)
        ways[f"with Winograd, {name}"] = input_gradient(FoldedView(network, dtype), x, y)
    precisions = {name: "bf16" if "bf16" in name else "fp32" for name in ways}
    return Plan(ways, batch, "images/s", {}, precisions, count_flops(plain), 3 if quick else 11)


@torch.no_grad()
def convolutions(quick: bool) -> list[Way]:
    """ResNet-18's and WRN-34-10's convolutions with packed weights and by Winograd's filtering, batch 32."""
    found = []
    for dtype, name in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        for channels, side in ((64, 32), (128, 16), (256, 8), (512, 4), (160, 32), (320, 16), (640, 8)):
            layer = nn.Conv2d(channels, channels, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
            x = torch.randn(32, channels, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
            with patch.dict(winograd._WORTH, {dtype: 0}):
                fast = freeze(layer, False, winograd.Workspace())
            plain = PackedConv2d(layer, False)
            called = f"{channels} at {side}×{side}, {name}"
            ways = {called: lambda plain=plain, x=x: plain(x), f"{called}, F": lambda fast=fast, x=x: fast(x)}
            found += measure(Plan(ways, 32, "images/s", rounds=3 if quick else 21, warm=2))
    return found
