"""A trained network as a file: safetensors, TorchScript or ONNX."""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch

from tune_at.errors import UserError
from tune_at.recording.rows import versions
from tune_at.recording.trained import Trained
from tune_at.store.files import write_whole


def metadata(trained: Trained, trial: str, checkpoint: str) -> dict[str, str]:
    """What is to be known of a network, as texts: numbers and mappings are JSON."""
    data = trained.config.data
    known: dict[str, Any] = {
        "config": json.loads(trained.config.as_json()), "trial": trial, "checkpoint": checkpoint,
        "epoch": trained.epoch, "accuracies": trained.metrics, "versions": json.loads(versions()), "data": data.name,
        "classes": data.num_classes, "input": {"shape": list(data.shape), "range": [0, 1]},
        "model": trained.config.model.name,
    }  # fmt: skip
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in known.items()}


def write_safetensors(trained: Trained, path: Path, known: dict[str, str]) -> None:
    """The state dict and the metadata."""
    from safetensors.torch import save

    weights = {name: value.contiguous() for name, value in trained.network.state_dict().items()}
    write_whole(path, save(weights, known))


def write_torchscript(trained: Trained, path: Path, known: dict[str, str]) -> None:
    """The traced network, for any batch size; the metadata as extra files of the archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and asked for
        traced = torch.jit.trace(_plain(trained), _images(trained))
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer, _extra_files={key: value.encode() for key, value in known.items()})
    write_whole(path, buffer.getvalue())


def write_onnx(trained: Trained, path: Path, known: dict[str, str]) -> None:
    """The network from `images` (batch, channels, height, width) to `logits`; the metadata as the model's properties.

    Raises `UserError` where what it needs is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError("--onnx", f"needs the package {error.name}", "pip install onnx onnxscript") from None
    images = _images(trained)
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _plain(trained), (images,), dynamo=True, input_names=["images"], output_names=["logits"],
            dynamic_shapes=({0: batch},), verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    for key, value in known.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    write_whole(path, model.SerializeToString())


WRITERS = {"safetensors": write_safetensors, "torchscript": write_torchscript, "onnx": write_onnx}
"""By format."""


def write_network(trained: Trained, path: Path, form: str, trial: str, checkpoint: str, force: bool) -> None:
    """Write a network to a file, whole or not at all.

    Raises `UserError` if the file is there and `force` is not, or if its folder is not.
    """
    if path.exists() and not force:
        raise UserError("--to", f"{path} exists", "name another file, or replace it with --force")
    if path.is_dir() or not path.parent.is_dir():
        raise UserError("--to", f"{path} is no file in a folder that exists", "make the folder, or name another")
    WRITERS[form](trained, path, metadata(trained, trial, checkpoint))


def _images(trained: Trained) -> torch.Tensor:
    return torch.rand(2, *trained.config.data.shape, generator=torch.Generator().manual_seed(0))


def _plain(trained: Trained) -> torch.nn.Module:
    return trained.network.to(memory_format=torch.contiguous_format)
