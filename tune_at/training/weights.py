"""Weights that somebody else has trained: reading their file, and finding out which tensor is which."""

import hashlib
import importlib
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tune_at.errors import UserError

WHERE = "--weights"
HOLDERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts keep a network's weights."""
PREFIXES = ("module.", "model.", "_orig_mod.")
"""What wrappers put before each name: DataParallel, a class around the network, torch.compile."""
SHOWN = 3
"""Names that a message lists of each kind."""
SORTED = ".safetensors"
"""Files whose tensors are sorted by name: their order says nothing."""
COUNTER = "num_batches_tracked"
"""A batch norm's counter, which no result depends on."""


def read_weights(path: str) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file by name, without wrappers' prefixes, and the file's SHA-256. Nothing in it is run.

    Raises:
        UserError: no such file, not readable without unpickling, or no weights in it.
    """
    file = Path(path).expanduser()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{WHERE} {path}", error.strerror or str(error), "name a file of weights") from None
    if file.suffix == SORTED:
        held: Any = _safetensors(data, path)
    else:
        try:
            with warnings.catch_warnings(action="ignore"):  # what torch makes of other programs' files
                held = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a file that is none makes torch raise
            remedy = "save it again by torch.save(network.state_dict(), FILE); what is pickled is not loaded"
            raise UserError(f"{WHERE} {path}", _unreadable(str(error)), remedy) from None
    weights = _tensors(held, path)
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in weights)), ""):
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights, hashlib.sha256(data).hexdigest()


def _unreadable(reason: str) -> str:
    """What is wrong with a file, of which torch says in many lines how it could be unpickled nevertheless."""
    if pickled := re.search(r"GLOBAL ([\w.]+)", reason):
        return f"is not a file of tensors alone: it holds {pickled[1]}"
    if "TorchScript" in reason:
        return "is not a file of tensors alone, but a program of TorchScript"
    return "is not a file of torch.save, or it is damaged"


def _safetensors(data: bytes, path: str) -> Any:
    try:
        library = importlib.import_module("safetensors.torch")
    except ImportError:
        raise UserError(
            f"{WHERE} {path}", "needs the package safetensors", "install it: pip install safetensors"
        ) from None
    try:
        return library.load(data)
    except Exception:
        raise UserError(f"{WHERE} {path}", "is not a safetensors file, or it is damaged", "name another file") from None


def _tensors(held: Any, path: str) -> dict[str, Tensor]:
    """The innermost mapping of names to tensors."""
    seen = ""
    while isinstance(held, Mapping):
        inner = next((key for key in HOLDERS if isinstance(held.get(key), Mapping)), None)
        if inner is None:
            tensors = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
            if any(not name.endswith(COUNTER) for name in tensors):
                return tensors
            names = ", ".join(map(str, list(held)[: 2 * SHOWN]))
            seen = f"holds no weights{f': its keys are {names}' if names else ''}"
            break
        held = held[inner]
    problem = seen or f"holds no weights, but a {type(held).__name__}"
    raise UserError(f"{WHERE} {path}", problem, f"weights are expected under one of {', '.join(HOLDERS)}, or bare")


def fit(network: nn.Module, weights: Mapping[str, Tensor], path: str, model: str) -> str:
    """Load weights into a network of ours: by name, or else by their order.

    Programs name the same layers differently, but write them in the order in which a network is built. So where the
    names differ and all shapes agree one by one, in order, the order is taken.

    Args:
        network: is changed.
        weights: tensors by name.
        path: their file, for messages.
        model: the network's name, for messages.

    Returns:
        A note if the order was taken; empty if the names agree.

    Raises:
        UserError: names and shapes that do not fit, another number of classes, or values that are not finite.
    """
    own = {name: value for name, value in network.state_dict().items() if not name.endswith(COUNTER)}
    theirs = {name: value for name, value in weights.items() if not name.endswith(COUNTER)}
    if diverged := [name for name, value in theirs.items() if not value.float().isfinite().all()]:
        problem = f"has values that are not finite: {_some(diverged)}"
        raise UserError(f"{WHERE} {path}", problem, "name a checkpoint from before its training diverged")
    if own.keys() == theirs.keys() and all(own[name].shape == theirs[name].shape for name in own):
        _copy(own, {name: theirs[name] for name in own})
        return ""
    if _forms(own) == _forms(theirs) and not path.endswith(SORTED):
        _copy(own, dict(zip(own, theirs.values(), strict=True)))
        return (
            f"the names in {path} are not ours: its {len(theirs)} tensors were taken in their order, in which all"
            " shapes agree; see whether the natural accuracy is what it should be"
        )
    _refuse(own, theirs, path, model)
    return ""


def _copy(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(weights[name])


def _forms(tensors: Mapping[str, Tensor]) -> list[tuple[str, tuple[int, ...]]]:
    """The last part of each name, which says what it is of its layer, and its shape."""
    return [(name.rpartition(".")[2], tuple(value.shape)) for name, value in tensors.items()]


def _refuse(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], path: str, model: str) -> None:
    """Raise the `UserError` that says what does not fit."""
    ours, found = _forms(own), _forms(theirs)
    where = f"{WHERE} {path}"
    last, other = own[list(own)[-1]], theirs[list(theirs)[-1]]
    if ours[:-2] == found[:-2] and last.dim() == other.dim() == 1 and len(last) != len(other):
        classes = f"{len(other)} class{'es' * (len(other) != 1)}"
        raise UserError(where, f"has {classes}, the data {len(last)}", "name its own --data")
    parts = []
    if own.keys() & theirs.keys():
        listed = {
            "missing": [name for name in own if name not in theirs],
            "unknown": [name for name in theirs if name not in own],
            "of another shape": [
                f"{name} {_shape(theirs[name])} instead of {_shape(own[name])}"
                for name in own
                if name in theirs and own[name].shape != theirs[name].shape
            ],
        }
        parts = [f"{kind}: {_some(names)}" for kind, names in listed.items() if names]
    else:
        parts.append(f"{len(theirs)} tensors instead of {len(own)}, by other names")
        if sorted(ours) == sorted(found):
            remedy = "rename them, or save them by torch.save in the order in which the network is built"
            raise UserError(where, f"does not fit {model}: its {len(theirs)} tensors have other names", remedy)
        pairs = zip(own.items(), theirs.items(), ours, found, strict=False)
        if odd := next((pair for pair in pairs if pair[2] != pair[3]), None):
            (name, value), (another, given) = odd[:2]
            parts.append(f"in order {another} {_shape(given)} is the first that differs from {name} {_shape(value)}")
    raise UserError(where, f"does not fit {model}: {'; '.join(parts)}", "name the --model that it is of")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"
