import pytest

from tune_at.errors import UserError
from tune_at.study.study import Trial
from tune_at.tuning.preflight import family, preflight, slowdown


def trial(config, name="00"):
    return Trial(name, config, {})


def test_one_batch_of_each_family(tiny):
    configs = [tiny(), tiny(data={"noise_rate": 0.5}), tiny(seed=4), tiny("trades"), tiny(model={"width": 8})]
    assert len({family(config) for config in configs}) == 3
    speeds = preflight(map(trial, configs))
    assert len(speeds) == 3
    for speed in speeds.values():
        assert speed.start > 0
        assert speed.training > 0
        assert speed.evaluation > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"objective": "trades"}, {"objective": {"name": "trades", "beta": 0}}),
        ({"objective": "trades_te"}, {"objective": {"name": "trades_te", "penalise": "adversarial"}}),
        ({"objective": "pgd_at_te"}, {"objective": {"name": "pgd_at_te", "momentum": 0}}),
        ({"objective": "pgd_at_ls"}, {"objective": {"name": "pgd_at_ls", "smoothing": 0}}),
        ({"objective": "co_teaching"}, {"objective": {"name": "co_teaching", "forget_rate": 0, "warmup": 0}}),
        ({}, {"optim": {"lr": 0.05, "nesterov": True}}),
        ({}, {"optim": {"lr": 0.05, "momentum": 0}}),
        ({}, {"attack": {"eps": 0}}),
        ({}, {"attack": {"norm": "l2"}}),
        ({}, {"evaluation": {"keep_attacking": False}}),
        ({}, {"data": {"flip": True}}),
        ({}, {"data": {"crop": 2}}),
        ({}, {"train": {"batch_size": 25}}),
        ({}, {"resources": {"cpu": 2}}),
    ],
)
def test_what_switches_code_is_tried_by_itself(tiny, one, other):
    assert family(tiny(**one)) != family(tiny(**other))


@pytest.mark.parametrize(
    "other",
    [
        {"objective": {"name": "trades", "beta": 3.0}},
        {"optim": {"lr": 0.2, "momentum": 0.5}},
        {"attack": {"eps": 0.2}},
        {"optim": {"schedule": "cosine"}},
        {"train": {"epochs": 9}},
        {"data": {"noise_rate": 0.5, "subset": 60}},
    ],
)
def test_what_changes_numbers_alone_is_not(tiny, other):
    assert family(tiny("trades")) == family(tiny(**{"objective": "trades", **other}))


def test_each_folder_of_images_is_tried(tmp_path):
    from PIL import Image

    from tune_at.config.trial import TrialConfig

    def folder(name, broken=False):
        for split in ("train", "test"):
            for label in ("cat", "dog"):
                place = tmp_path / name / split / label
                place.mkdir(parents=True)
                for number in range(4):
                    Image.new("RGB", (8, 8), (number, 0, 0)).save(place / f"{number}.png")
        if broken:
            (tmp_path / name / "train" / "dog" / "0.png").write_bytes(b"no image")
        tree = {
            "data": {"name": "image_folder", "path": str(tmp_path / name), "image_size": 8, "validation": 0.25},
            "model": {"name": "small_cnn", "width": 4},
            "train": {"epochs": 1, "batch_size": 2},
        }
        return trial(TrialConfig.parse(tree), name)

    with pytest.raises(UserError, match=r"bad/train/dog/0\.png"):
        preflight([folder("good"), folder("bad", broken=True)])


def test_a_trial_that_cannot_work_is_named_before_anything_starts(tiny, monkeypatch):
    from tune_at.objectives.pgd_at import PGDATObjective

    def broken(self, step):
        raise RuntimeError("shapes do not match\nlong story")

    monkeypatch.setattr(PGDATObjective, "loss", broken)
    with pytest.raises(UserError, match="preflight of 00: RuntimeError: shapes do not match; the first batch"):
        preflight([trial(tiny())])
    with pytest.raises(UserError) as caught:
        preflight([trial(tiny(), "00"), trial(tiny("trades"), "01"), trial(tiny(model={"width": 8}), "02")])
    message = str(caught.value)
    assert "2 problems: (1) preflight of 00: RuntimeError" in message
    assert "(2) preflight of 02: RuntimeError" in message
    assert "01" not in message


def test_the_first_epoch_is_tried_as_well_as_the_last(tiny, monkeypatch):
    from tune_at.objectives.mixed_pgd_at import MixedPGDATObjective

    seen = []
    loss = MixedPGDATObjective.loss

    def watched(self, step):
        seen.append(step.epoch)
        return loss(self, step)

    monkeypatch.setattr(MixedPGDATObjective, "loss", watched)
    preflight([trial(tiny("mixed_pgd_at"))])
    assert seen[0] == 1  # CE on x
    assert set(seen[1:]) == {4}  # CE on x'


def test_cores_that_work_together_are_no_faster_than_one_alone():
    assert slowdown(1, 1) == 1
    assert 1 <= slowdown(2, 1) < 100
