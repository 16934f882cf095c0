"""A teacher's file that cannot teach is named, with what is wrong with it."""

import pytest
import torch
from torch import nn

from tune_at.errors import UserError
from tune_at.training.checkpoint import save_state
from tune_at.training.teacher import load_teacher


def network(width=3):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width))


def load(path, into=None):
    load_teacher(into or network(), "robust", path, torch.device("cpu"), lambda state, when: None)


def refused(path, pattern):
    with pytest.raises(UserError, match=pattern) as caught:
        load(path)
    assert str(caught.value).startswith("the robust teacher: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_the_weights_of_a_checkpoint_are_taken(tmp_path):
    one, other = network(), network()
    save_state(tmp_path / "a.pt", {"model": one.state_dict(), "epoch": 3})
    load(tmp_path / "a.pt", other)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    "state",
    [{"epoch": 1}, {"model": None}, {"model": [1, 2]}, {"weights": network().state_dict()}],
)
def test_a_file_without_a_network_is_not_of_another_architecture(state, tmp_path):
    path = tmp_path / "a.pt"
    save_state(path, state)
    refused(
        path, r"a\.pt is not a trial's checkpoint: it has no entry 'model'; finish the stage of the teachers first$"
    )


def test_another_architecture_is_told_with_its_first_difference(tmp_path):
    path = tmp_path / "a.pt"
    save_state(path, {"model": network(5).state_dict()})
    refused(path, r"another architecture: size mismatch for 0\.weight: .*; train the teachers with this trial's model$")
    save_state(path, {"model": nn.Linear(2, 2).state_dict()})
    refused(path, r"another architecture: Missing key\(s\) in state_dict: .*; train the teachers with")


def test_an_absent_or_damaged_file_is_named(tmp_path):
    path = tmp_path / "a.pt"
    refused(path, r"a\.pt.*; finish the stage of the teachers first$")
    for strange, kind in (([1], "list"), (torch.zeros(3), "Tensor")):
        save_state(path, strange)
        refused(path, rf"a\.pt: is not a checkpoint, but a {kind}; finish the stage")
    save_state(path, {"model": network().state_dict()})
    path.write_bytes(path.read_bytes()[:-50])
    refused(path, r"a\.pt.*; finish the stage of the teachers first$")
