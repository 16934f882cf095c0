"""A network as attacks see it: in eval mode, frozen, with each batch norm folded into the convolution before it."""

import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from tune_at.engine.modes import evaluating
from tune_at.engine.packed import can_pack, freeze
from tune_at.engine.winograd import Workspace

Update = Callable[[], object]


class Affine(nn.Module):
    """scale · x + shift, channel by channel: a batch norm in eval mode that no convolution precedes, or a first layer
    that normalises images.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("scale", "shift"):
            self.register_buffer(name, torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) → the same shape."""
        return torch.addcmul(self.shift, x, self.scale)


class _Tracer(fx.Tracer):
    """Takes our own layer for one, as it does torch's."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Affine) or super().is_leaf_module(m, module_qualified_name)


class FoldedView(nn.Module):
    """A copy of a network for input gradients, which `refresh` brings up to date after the network was changed.

    In eval mode a batch norm is an affine map with constant coefficients: after a convolution it is folded into its
    weights. No parameter asks for a gradient, and memory is laid out channels-last. In float32 the logits equal the
    network's to rounding.

    Args:
        network: what to copy. One that `torch.fx` cannot trace, because it branches on its input, or that has
            hooks, parametrised layers or parameters outside of layers, is copied as it is.
        dtype: of weights and activations. Images and logits are float32 in any case.
        packed: on a CPU, keep weights in oneDNN's layout, take a ReLU in the convolution's pass, and put fewer products
            into convolutions of many channels.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype = torch.float32, packed: bool = True) -> None:
        super().__init__()
        self.packed, self.work = packed, Workspace()
        self.dtype = dtype
        tensors = (*network.parameters(), *network.buffers())
        self.device = tensors[0].device if tensors else torch.device("cpu")
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
            logits: Tensor = self.body(x.to(self.dtype, memory_format=torch.channels_last))
        else:
            with torch.autocast(x.device.type, self.dtype, enabled=self.dtype != torch.float32):
                logits = self.body(x)
        # A copy in any case: a CUDA graph's next replay writes over its result, and TRADES keeps logits for its attack.
        return logits.to(torch.float32, copy=True)

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the network's weights and batch-norm statistics."""
        for update in self.updates:
            update()

    def _fold(self, network: nn.Module) -> nn.Module | None:
        if any(_is_altered(module) for module in network.modules()):
            return None
        try:
            graph = _Tracer().trace(network)
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
                if self.packed and self.device.type == "cpu" and can_pack(module, self.dtype):
                    node, relu = _take_in(node, modules)
                    part = self._pack(part, relu)
            elif _is_affine(module):
                part = self._affine(module)
            else:
                part = self._plain(module, self.dtype)
            node.target = f"folded_part_{len(parts)}"
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

    def _pack(self, part: Any, relu: bool) -> nn.Module:
        packed = freeze(part, relu, self.work)
        self.updates.append(packed.changed)
        return packed

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


def _is_altered(module: nn.Module) -> bool:
    """Whether it does more than its type says: hooks or a `forward` of its own are not traced."""
    hooks = [hook for hook in module._forward_hooks.values() if not getattr(hook, "only_casts", False)]
    return bool(hooks or module._forward_pre_hooks or "forward" in vars(module) or parametrize.is_parametrized(module))


def _is_affine(module: nn.Module | None) -> bool:
    """Whether it is a batch norm with constant coefficients in eval mode."""
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None


def _norm_after(node: fx.Node, modules: dict[str, nn.Module]) -> fx.Node | None:
    """The batch norm that is the only user of a node's result."""
    user = _only_user(node)
    return user if user is not None and _is_affine(modules.get(str(user.target))) else None


def _take_in(node: fx.Node, modules: dict[str, nn.Module]) -> tuple[fx.Node, bool]:
    """Let a convolution's node stand for the sum and the ReLU after it, too; the node, and whether there is a ReLU."""
    graph, users = node.graph, list(node.users)
    if len(users) == 1 and users[0].op == "call_function" and users[0].target is operator.add:
        total = users[0]
        others = [argument for argument in total.args if argument is not node]
        # A module's result is a tensor; what a method returns may be a number.
        if len(others) == 1 and isinstance(others[0], fx.Node) and others[0].op in ("call_module", "placeholder"):
            # What is added may come after the convolution: that moves to where the sum was.
            with graph.inserting_before(total):
                later = graph.call_module(str(node.target), (node.args[0], others[0]))
            total.replace_all_uses_with(later)
            graph.erase_node(total)
            graph.erase_node(node)
            node = later
    after = _only_user(node)
    relu = after is not None and isinstance(modules.get(str(after.target)), nn.ReLU)
    if after is not None and relu:
        after.replace_all_uses_with(node)
        graph.erase_node(after)
    return node, relu


def _only_user(node: fx.Node) -> fx.Node | None:
    """The module that alone uses a node's result."""
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].op == "call_module" else None


def _coefficients(norm: Any) -> tuple[Tensor, Tensor]:
    """Scale and shift (channels,) of a batch norm in eval mode."""
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = norm.weight * scale
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else norm.bias + shift
