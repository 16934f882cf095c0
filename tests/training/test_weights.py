"""Weights from elsewhere: whatever wraps them, they come to their places, or what does not fit is named."""

import pytest
import torch

from tune_at.errors import UserError
from tune_at.models import build_model
from tune_at.training.weights import fit, read_weights


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build_model("small_cnn", 10, 1, 8)
    network(torch.rand(8, 1, 8, 8))
    return network.eval()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model": weights, "optimizer": {"lr": 0.1}},
        lambda weights: {"net": {f"module.{name}": value for name, value in weights.items()}, "acc": 0.5},
        lambda weights: {"model_state_dict": {f"_orig_mod.module.{n}": v for n, v in weights.items()}},
        lambda weights: {f"module.model.{name}": value for name, value in weights.items()},
    ],
    ids=["bare", "state_dict", "model", "net, module.", "_orig_mod.module.", "module.model."],
)
def test_whatever_wraps_them(network, wrap, tmp_path):
    torch.save(wrap(network.state_dict()), tmp_path / "w.pt")
    weights, digest = read_weights(str(tmp_path / "w.pt"))
    fresh = build_model("small_cnn", 10, 1, 8).eval()
    assert fit(fresh, weights, "w.pt", "small_cnn") == ""
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(fresh(x), network(x))
    assert len(digest) == 64


def test_other_names_in_the_same_order_are_taken_and_said(network, tmp_path):
    tensors = network.state_dict().items()
    renamed = {f"layer{number}.{name.rpartition('.')[2]}": value for number, (name, value) in enumerate(tensors)}
    fresh = build_model("small_cnn", 10, 1, 8).eval()
    assert "taken in their order" in fit(fresh, renamed, "w.pt", "small_cnn")
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(fresh(x), network(x))
    # Sorted by name: their order says nothing.
    with pytest.raises(UserError, match=r"its \d+ tensors have other names; rename them, or save them by torch\.save"):
        fit(fresh, renamed, "w.safetensors", "small_cnn")


def test_safetensors_are_read(network, tmp_path):
    from safetensors.torch import save_file

    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, str(tmp_path / "w.safetensors")
    )
    weights, _ = read_weights(str(tmp_path / "w.safetensors"))
    fresh = build_model("small_cnn", 10, 1, 8).eval()
    assert fit(fresh, weights, "w.safetensors", "small_cnn") == ""
    assert torch.equal(fresh.classifier.weight, network.classifier.weight)


@pytest.mark.parametrize(
    ("model", "classes", "line"),
    [
        ("small_cnn", 100, "has 100 classes, the data 10; name its own --data"),
        ("small_cnn", 1, "has 1 class, the data 10; name its own --data"),
        ("wrn-10-1", 10, "does not fit small_cnn: .*instead of"),
    ],
)
def test_what_does_not_fit_is_named(network, model, classes, line):
    other = build_model(model, classes, 1, 8).state_dict()
    before = network.classifier.weight.clone()
    with pytest.raises(UserError, match=line) as caught:
        fit(network, other, "w.pt", "small_cnn")
    assert "\n" not in str(caught.value)
    assert torch.equal(network.classifier.weight, before)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "No such file"),
        (b"no weights", "is not a file of torch.save, or it is damaged"),
        ({"epoch": 3, "args": "x"}, "holds no weights: its keys are epoch, args"),
        ([1, 2], "holds no weights, but a list"),
        ({"bn.num_batches_tracked": torch.tensor(3)}, "holds no weights: its keys are bn.num_batches_tracked"),
    ],
)
def test_no_weights_at_all(content, line, tmp_path):
    path = tmp_path / "w.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=line):
        read_weights(str(path))


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"state_dict": Trap()}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="what is pickled is not loaded"):
        read_weights(str(tmp_path / "w.pt"))
    assert not (tmp_path / "sprung").exists()
