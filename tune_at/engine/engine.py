"""How a network is run: threads, device, precision, and the view of the network that attacks get."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tune_at.config.trial import ResourcesSection, TrainSection
from tune_at.engine.folded import FoldedView
from tune_at.engine.memory import keep_memory
from tune_at.errors import UserError

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
"""Type of weights and activations in convolutions and products, by `train.precision`."""


def has_compiler() -> bool:
    """Whether there is a C++ compiler, which `torch.compile` needs on a CPU."""
    return any(map(shutil.which, ("c++", "g++", "clang++")))


def prepare_device(resources: ResourcesSection) -> torch.device:
    """The device of a trial, with as many threads as it has cores.

    The number of threads decides in which order a sum is taken, and so the last bits of every result: it follows
    from the config, not from where the trial runs.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(resources.cpu)
    if resources.gpu == 0:
        keep_memory()
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("resources.gpu", f"{resources.gpu}, but torch finds no GPU here", "set resources.gpu=0")
    return torch.device("cuda")


class Engine:
    """Runs the networks of a trial.

    `precision` is that of convolutions and products in training and in attacks. Weights, their updates, images,
    perturbations, logits and losses are float32 in any case, and so is the pass that judges an adversarial example
    (with `tf32`, whose products are TF32 everywhere).
    """

    def __init__(self, device: torch.device, train: TrainSection) -> None:
        """Raises `UserError` where `train` asks for what the machine does not have."""
        self.device, self.dtype, self.compile = device, DTYPES[train.precision], train.compile
        self.tf32 = train.precision == "tf32"
        if self.compile and device.type == "cpu" and not has_compiler():
            raise UserError("train.compile", "needs a C++ compiler, and there is none", "install g++, or leave it off")
        if self.compile:
            # A process runs one trial after another, and torch compiles only so many versions of a class's code.
            torch.compiler.reset()
        self.views: dict[tuple[nn.Module, torch.dtype], FoldedView] = {}

    @property
    def cuda_devices(self) -> list[int]:
        """The devices whose generators `torch.random.fork_rng` has to keep."""
        return [torch.cuda.current_device()] if self.device.type == "cuda" else []

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, laid out channels-last."""
        network.to(self.device).to(memory_format=torch.channels_last)
        if self.dtype != torch.float32:
            network.register_forward_hook(_as_float)
        return network

    def compiled(self, network: nn.Module) -> nn.Module:
        """The network for updates: with `train.compile` its passes are compiled. It has the same parameters."""
        return torch.compile(network, **self._options) if self.compile else network  # type: ignore[return-value]

    def view(self, network: nn.Module, exact: bool = False) -> nn.Module:
        """The network for attacks, as it is now: in eval mode, folded, in the engine's precision.

        `exact`: in float32, for an attack that decides by itself whether an example has fallen.
        """
        key = (network, torch.float32 if exact else self.dtype)
        if key in self.views:
            self.views[key].refresh()
        else:
            view = self.views[key] = FoldedView(*key, packed=not self.compile)
            if self.compile and not exact:  # such an attack's batch shrinks: each size would be compiled
                view.body.compile(**self._options)
        return self.views[key]

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Within the block networks that were placed run in the engine's precision."""
        self.set_products()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            yield

    def set_products(self) -> None:
        """Make products on a GPU float32 from now on, or TF32 with `tf32`, also outside of `precision`.

        Before whatever measures: one process may hold several trainers, and torch's default for convolutions is TF32.
        """
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.tf32

    @property
    def _options(self) -> dict[str, Any]:
        # On a GPU the kernels of a small batch end sooner than Python starts the next ones: graphs replay them.
        return {"mode": "reduce-overhead", "dynamic": False} if self.device.type == "cuda" else {"dynamic": False}


def _as_float(module: nn.Module, images: tuple[Tensor, ...], logits: Tensor) -> Tensor:
    """Losses are taken in float32."""
    return logits.float()


_as_float.only_casts = True  # type: ignore[attr-defined]
"""A view returns float32 by itself, so that this hook does not keep it from folding."""
