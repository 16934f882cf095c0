"""A recorded trial comes back to its own images, or is refused before it trains on others."""

import shutil

import pictures
import pytest

from tune_at.config.facts import KnownData
from tune_at.config.trial import TrialConfig
from tune_at.data.folder import take_facts
from tune_at.data.identity import settle
from tune_at.errors import UserError
from tune_at.recording.rows import write_failure
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store import read_table
from tune_at.training.checkpoint import load_state


@pytest.fixture
def pets(tmp_path, tiny, monkeypatch):
    """A folder of images, and a function (whether the sweep knows its data) → spec of a trial on it."""
    monkeypatch.setenv("TUNE_AT_CACHE", str(tmp_path / "cache"))
    root = pictures.folder(tmp_path / "pets", 15)
    (tmp_path / "study.yaml").write_text("x")
    known = KnownData(take_facts)
    data = {"name": "image_folder", "path": str(root), "image_size": 8, "noise_rate": 0.4}
    tree = {**tiny("sat").as_tree(), "data": data, "train": {"epochs": 3, "batch_size": 8}}
    config = TrialConfig.parse(tree, data=known)
    settle(known, [config.data])

    def spec(knowing):
        data = known.only([config.data]) if knowing else {}
        return TrialSpec(str(tmp_path), "s", "study", "main", "t", config.as_tree(), {}, data=data)

    return root, spec


@pytest.mark.parametrize("knowing", [True, False])
def test_a_trial_that_comes_back_to_other_images_is_refused(pets, tmp_path, knowing):
    root, spec = pets
    first = RecordedTrial(spec(knowing)).restore()
    first.step()
    first.close()
    (best,) = tmp_path.rglob("best.pt")
    assert load_state(best)["data"] == load_state(next(tmp_path.rglob("epoch-000001.pt")))["data"]
    assert load_state(best)["data"]["train"]["images"] == 27
    stray = pictures.picture(root / "train" / "dog" / "stray.png", 5)
    when = "30 when the sweep began" if knowing else "27 when the checkpoint was written"
    with pytest.raises(UserError, match=rf"data: train has \d+ images by now, {when}"):
        RecordedTrial(spec(knowing)).restore()
    assert len(read_table(tmp_path, "epochs")) == 1
    stray.unlink()
    again = RecordedTrial(spec(knowing)).restore()
    while again.step()["status"] == "running":
        pass
    again.close()
    assert read_table(tmp_path, "epochs")["epoch"].tolist() == [1, 2, 3]


def test_a_failure_is_recorded_when_the_data_is_gone(pets, tmp_path):
    root, spec = pets
    shutil.rmtree(root)
    with pytest.raises(UserError, match="pets is not a folder; restore it, or start a new sweep") as caught:
        RecordedTrial(spec(True)).restore()
    write_failure(spec(True), caught.value)
    assert read_table(tmp_path, "trials")["status"].tolist() == ["failed"]
