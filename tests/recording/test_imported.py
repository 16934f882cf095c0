"""Weights from elsewhere become a sweep that can be evaluated, loaded and read."""

import pytest
import torch

import tune_at
from tune_at.engine.folded import FoldedView
from tune_at.errors import UserError
from tune_at.models import build_model, normalised
from tune_at.recording.imported import import_weights
from tune_at.store import read_table


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    network = build_model("small_cnn", 10, 1, 8)
    network(torch.rand(64, 1, 8, 8))
    torch.save({"net": {f"module.{name}": value for name, value in network.state_dict().items()}}, tmp_path / "w.pt")
    return network.eval(), str(tmp_path / "w.pt")


@pytest.mark.parametrize("normal", [False, True])
def test_they_are_a_sweep_of_one_trial(file, tmp_path, normal):
    network, path = file
    given = {"mean": (0.3,), "std": (0.25,)} if normal else {}
    assert import_weights(path, str(tmp_path / "runs" / "a"), "small_cnn", "digits", **given) == ""
    (row,) = read_table(str(tmp_path / "runs" / "a"), "trials").to_dict("records")
    assert row["status"] == "completed"
    net, test = tune_at.load_trained(str(tmp_path / "runs" / "a"), row["trial"])
    x = (test.images - 0.3) / 0.25 if normal else test.images
    torch.testing.assert_close(net(test.images), network(x), rtol=1e-4, atol=1e-5)
    # Again it is gone on with; other weights, or another reading of them, are another folder.
    import_weights(path, str(tmp_path / "runs" / "a"), "small_cnn", "digits", **given)
    torch.save({name: value + 1 for name, value in network.state_dict().items()}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other weights|another sweep"):
        import_weights(str(tmp_path / "other.pt"), str(tmp_path / "runs" / "a"), "small_cnn", "digits", **given)
    with pytest.raises(UserError, match="is another sweep; name another folder"):
        import_weights(path, str(tmp_path / "runs" / "a"), "small_cnn", "digits", (0.1,), (0.2,))
    (tmp_path / "runs" / "a" / "checkpoints" / row["trial"] / "best.pt").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"has damaged weights: .*best\.pt: .*; name another folder"):
        import_weights(path, str(tmp_path / "runs" / "a"), "small_cnn", "digits", **given)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("small_cnn", "digits", (0.1, 0.2), (1, 1)), r"^model\.mean: .* is not one number for each of the 1 channels"),
        (("small_cn", "digits"), r"^model\.name: 'small_cn' is unknown; did you mean small_cnn"),
        (("resnet18", "digits"), "does not fit resnet18"),
    ],
)
def test_nothing_is_written_before_all_is_good(file, tmp_path, arguments, line):
    with pytest.raises(UserError, match=line):
        import_weights(file[1], str(tmp_path / "runs" / "a"), *arguments)
    assert not (tmp_path / "runs" / "a").exists()


def test_a_folder_that_cannot_be_one_is_named_as_it_was_typed(file, tmp_path):
    (tmp_path / "plain").mkdir()
    for into, problem in (
        (tmp_path / "plain", "exists, and is no sweep"),
        (tmp_path / "w.pt" / "a", "is not a folder"),
    ):
        with pytest.raises(UserError) as caught:
            import_weights(file[1], str(into), "small_cnn", "digits")
        assert (caught.value.where, caught.value.remedy) == (f"--into {into}", "name another folder")
        assert problem in caught.value.problem
    assert not any((tmp_path / "plain").iterdir())


def test_a_normalised_network_is_folded_for_attacks(file):
    network, _ = file
    wrapped = normalised(network, (0.3,), (0.25,)).eval()
    view, x = FoldedView(wrapped), torch.rand(4, 1, 8, 8)
    assert view.folded
    torch.testing.assert_close(view(x), network((x - 0.3) / 0.25), rtol=1e-4, atol=1e-5)
