import pytest
import torch

from tune_at.training.checkpoint import (
    DamagedCheckpoint,
    checkpoint_path,
    checkpoints,
    load_state,
    prune,
    save_state,
)

STATE = {"model": {"w": torch.arange(1000.0)}, "epoch": 3, "text": "x"}


def test_round_trip_and_plain_torch_load(tmp_path):
    save_state(tmp_path / "a.pt", STATE)
    assert torch.equal(load_state(tmp_path / "a.pt")["model"]["w"], STATE["model"]["w"])
    assert torch.load(tmp_path / "a.pt", weights_only=True)["epoch"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_named(tmp_path, keep):
    path = tmp_path / "a.pt"
    save_state(path, STATE)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(DamagedCheckpoint, match=r"a\.pt"):
        load_state(path)


def test_one_flipped_bit_in_the_weights_is_noticed(tmp_path):
    path = tmp_path / "a.pt"
    save_state(path, STATE)
    data = bytearray(path.read_bytes())
    place = bytes(data).index(torch.tensor([500.0, 501.0]).numpy().tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedCheckpoint, match="checksum"):
        load_state(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"a": Evil()}, tmp_path / "a.pt")
    with pytest.raises(DamagedCheckpoint):
        load_state(tmp_path / "a.pt")
    assert not (tmp_path / "owned").exists()


def test_prune_keeps_the_newest_two_and_never_newer_ones(tmp_path):
    for epoch in (1, 2, 3, 9):
        save_state(checkpoint_path(tmp_path, epoch), {"epoch": epoch})
    prune(tmp_path, 3)
    assert [path.name for path in checkpoints(tmp_path)] == ["epoch-000009.pt", "epoch-000003.pt", "epoch-000002.pt"]
