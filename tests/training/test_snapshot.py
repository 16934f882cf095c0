"""A network and its data from a checkpoint are what its trainer had, for every objective."""

import pytest
import torch

from tune_at.config.objective import OBJECTIVES
from tune_at.errors import UserError
from tune_at.store.layout import SweepFolder
from tune_at.training.checkpoint import checkpoint_path, save_state
from tune_at.training.snapshot import load_snapshot
from tune_at.training.trainer import Trainer


def recorded(folder, config, paths):
    """A trial `t` in a sweep's folder: its trainer before training and after, and `best.pt` of the last epoch."""
    before, trainer = Trainer(config, paths), Trainer(config, paths)
    list(trainer.epochs())
    trainer.save(checkpoint_path(folder.checkpoints("t"), 4))
    state = {"epoch": 4, "config": config.as_json(), "data": trainer.identity}
    save_state(folder.best("t"), {**state, "model": trainer.evaluated.state_dict()})
    return before, trainer


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_snapshot_is_what_the_trainer_had(objective, tiny, teachers, tmp_path):
    config, folder = tiny(objective, data={"noise_rate": 0.4}), SweepFolder.of(tmp_path)
    before, trainer = recorded(folder, config, teachers(config))
    for name, whose, epoch in (("initial", before, 0), ("final", trainer, 4), ("4", trainer, 4), ("best", trainer, 4)):
        snapshot = load_snapshot(folder, "t", name, config)
        assert snapshot.epoch == epoch
        weights, expected = snapshot.network.state_dict(), whose.evaluated.state_dict()
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[key], expected[key]) for key in weights)
        assert not snapshot.network.training
        assert torch.equal(snapshot.split("train").labels, whose.data["train"].labels)
        assert not torch.equal(snapshot.split("train").labels, snapshot.images.true_labels)
        x = snapshot.split("test").take(torch.arange(8)).x
        assert torch.equal(snapshot.network(x), whose.evaluated.eval()(x))


def test_a_checkpoint_that_is_not_there_names_those_that_are(tiny, tmp_path):
    config, folder = tiny(), SweepFolder.of(tmp_path)
    with pytest.raises(UserError, match="there are none: run it first"):
        load_snapshot(folder, "t", "final", config)
    recorded(folder, config, {})
    for wrong in ("3", "last", "-1"):
        with pytest.raises(UserError, match=f"has no checkpoint '{wrong}'; of this trial there are best, final, 4"):
            load_snapshot(folder, "t", wrong, config)
    folder.best("t").write_bytes(b"PK torn")
    with pytest.raises(UserError, match=r"best\.pt: .*name another checkpoint"):
        load_snapshot(folder, "t", "best", config)


def test_a_snapshot_of_other_data_is_refused(tiny, tmp_path):
    config, folder = tiny(), SweepFolder.of(tmp_path)
    recorded(folder, config, {})
    with pytest.raises(UserError, match=r"train has .* when the checkpoint was written"):
        path = checkpoint_path(folder.checkpoints("t"), 4)
        other = tiny(data={"subset": 60})
        state = Trainer(config).state_dict() | {"config": other.as_json()}
        save_state(path, state)
        load_snapshot(folder, "t", "final", config)


def test_a_split_without_images_is_named(tiny, tmp_path):
    config = tiny(data={"validation": 0}, train={"selection": "test"})
    with pytest.raises(UserError, match="'val' has no images here; choose one of train, test"):
        Trainer(config).snapshot().split("val")
