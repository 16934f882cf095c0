"""A network as attacks see it: in eval mode, frozen, with each batch norm folded into the convolution before it."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from tune_at.attacks.modes import evaluating

Update = Callable[[], object]


class Affine(nn.Module):
    """A batch norm in eval mode that no convolution precedes: scale · x + shift, channel by channel."""

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("scale", "shift"):
            self.register_buffer(name, torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) → the same shape."""
        return torch.addcmul(self.shift, x, self.scale)


class FoldedView(nn.Module):
    """A copy of a network for input gradients, which `refresh` brings up to date after the network was changed.

    In eval mode a batch norm is an affine map with constant coefficients: after a convolution it is folded into its
    weights. No parameter asks for a gradient, and memory is laid out channels-last. In float32 the logits equal the
    network's to rounding.

    Args:
        network: what to copy. One that `torch.fx` cannot trace, because it branches on its input, is copied as it is.
        dtype: of weights and activations. Images and logits are float32 in any case.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.dtype, self.device = dtype, next(network.parameters()).device
        self.updates: list[Update] = []
        with evaluating(network):
            folded = self._fold(network)
            # Statistics of a batch norm that is not folded would suffer in low precision: its layers choose their own.
            self.folded = folded is not None
            self.body = self._plain(network, torch.float32) if folded is None else folded
        self.requires_grad_(False).eval()
        self.refresh()

    def forward(self, x: Tensor) -> Tensor:
        """Images (b, channels, h, w) to logits (b, C), both float32."""
        if self.folded:
            return self.body(x.to(self.dtype, memory_format=torch.channels_last)).float()
        with torch.autocast(x.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits: Tensor = self.body(x)
        return logits.float()

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the network's weights and batch-norm statistics."""
        for update in self.updates:
            update()

    def _fold(self, network: nn.Module) -> nn.Module | None:
        try:
            graph = fx.Tracer().trace(network)
        except Exception:  # whatever the network's own code raises when it is traced
            return None
        if any(node.op == "get_attr" for node in graph.nodes):
            return None  # a parameter outside of all layers
        modules = dict(network.named_modules())
        parts: dict[str, Any] = {}
        for node in [node for node in graph.nodes if node.op == "call_module"]:
            if node._erased:
                continue
            module, norm = modules[str(node.target)], _norm_after(node, modules)
            if isinstance(module, nn.Conv2d) and norm is not None:
                part = self._convolution(module, modules[str(norm.target)])
                norm.replace_all_uses_with(node)
                graph.erase_node(norm)
            elif _is_affine(module):
                part = self._affine(module)
            else:
                part = self._plain(module, self.dtype)
            node.target = f"part_{len(parts)}"
            parts[node.target] = part
        return fx.GraphModule(parts, graph)

    def _plain(self, module: nn.Module, dtype: torch.dtype) -> nn.Module:
        part = self._placed(copy.deepcopy(module), dtype)
        pairs = list(zip((*part.parameters(), *part.buffers()), (*module.parameters(), *module.buffers()), strict=True))
        if pairs:
            self.updates.append(lambda: [mine.copy_(theirs) for mine, theirs in pairs])
        return part

    def _convolution(self, module: nn.Conv2d, norm: Any) -> nn.Module:
        part = copy.deepcopy(module)
        part.bias = nn.Parameter(torch.zeros(part.out_channels))
        part = self._placed(part, self.dtype)

        def update() -> None:
            scale, shift = _coefficients(norm)
            part.weight.copy_(module.weight * scale.view(-1, 1, 1, 1))
            part.bias.copy_(shift if module.bias is None else shift + module.bias * scale)

        self.updates.append(update)
        return part

    def _affine(self, norm: Any) -> nn.Module:
        part = self._placed(Affine(norm.num_features), self.dtype)

        def update() -> None:
            scale, shift = _coefficients(norm)
            part.scale.copy_(scale.view(1, -1, 1, 1))
            part.shift.copy_(shift.view(1, -1, 1, 1))

        self.updates.append(update)
        return part

    def _placed(self, part: nn.Module, dtype: torch.dtype) -> Any:
        return part.to(self.device, dtype).to(memory_format=torch.channels_last)


def _is_affine(module: nn.Module | None) -> bool:
    """Whether it is a batch norm with constant coefficients in eval mode."""
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None


def _norm_after(node: fx.Node, modules: dict[str, nn.Module]) -> fx.Node | None:
    """The batch norm that is the only user of a node's result."""
    users = list(node.users)
    if len(users) != 1 or users[0].op != "call_module" or not _is_affine(modules.get(str(users[0].target))):
        return None
    return users[0]


def _coefficients(norm: Any) -> tuple[Tensor, Tensor]:
    """Scale and shift (channels,) of a batch norm in eval mode."""
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = norm.weight * scale
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else norm.bias + shift
