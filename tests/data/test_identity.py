"""State by sample meets the samples that it is of, or is refused by a line that names what differs."""

import json
import shutil

import numpy as np
import pictures
import pytest
import yaml

from tune_at.config.data import Digits, ImageFolder
from tune_at.config.facts import KnownData
from tune_at.config.trial import TrialConfig
from tune_at.data import sources
from tune_at.data.arrays import ImageSet, Source, plain_source
from tune_at.data.folder import take_facts
from tune_at.data.identity import settle
from tune_at.data.sources import load_source
from tune_at.data.splits import split
from tune_at.errors import UserError
from tune_at.training.trainer import Trainer


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_AT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pets(tmp_path, tiny):
    """A folder, and a function (objective, **data) → config that trains on it."""
    root = pictures.folder(tmp_path / "pets", 15)

    def tree(objective="pgd_at", **data):
        section = {"name": "image_folder", "path": str(root), "image_size": 8, **data}
        return {**tiny(objective).as_tree(), "data": section, "train": {"epochs": 3, "batch_size": 9}}

    def build(*arguments, **data):
        return TrialConfig.parse(tree(*arguments, **data))

    build.tree = tree
    return root, build


def add(root):
    for i in range(3):
        pictures.picture(root / "train" / "cat" / f"a{i}.png", 500 + i)


def replace(root):
    path = root / "train" / "dog" / "03.png"
    size = path.stat().st_size
    pixels = 0
    while True:  # random pixels hardly compress, so that another image soon has as many bytes
        pixels += 1
        pictures.picture(path, 900 + pixels)
        if path.stat().st_size == size:
            return


def swap(root):
    one, two = (root / "train" / "cat" / f"{i:02d}.png" for i in (1, 2))
    aside = one.with_suffix(".aside")
    one.rename(aside), two.rename(one), aside.rename(two)


def relabel(root):
    (root / "train" / "cat" / "14.png").rename(root / "train" / "dog" / "00a.png")
    (root / "train" / "dog" / "14.png").rename(root / "train" / "cat" / "14.png")


OTHERS = {
    add: r"data: train has 30 images by now, 27 when the checkpoint was written \(data\.path .*pets on .*\)",
    replace: r"data: train has other images or labels, or another order, than when the checkpoint was written \(27",
    swap: "data: train has other images",
    relabel: "data: train has other images",
}


@pytest.mark.parametrize("change", OTHERS)
@pytest.mark.parametrize("how", ["load", "take_over"])
def test_a_checkpoint_is_refused_by_other_data(pets, tmp_path, change, how):
    root, build = pets
    config = build()
    trainer = Trainer(config)
    trainer.run_epoch()
    trainer.save(tmp_path / "one.pt")
    state = trainer.state_dict()
    Trainer(build()).load(tmp_path / "one.pt")  # the same data, read again
    kept = shutil.copytree(root, tmp_path / "kept")
    change(root)
    other = Trainer(config)
    with pytest.raises(UserError, match=OTHERS[change] if how == "load" else "data: train has") as caught:
        other.load(tmp_path / "one.pt") if how == "load" else other.take_over(state, [])
    assert "\n" not in str(caught.value)
    assert other.history == []
    shutil.rmtree(root)  # the remedy
    kept.rename(root)
    restored = Trainer(config)
    restored.load(tmp_path / "one.pt")
    assert len(restored.history) == 1


def test_a_checkpoint_of_version_1_has_no_identity_and_is_not_compared(pets):
    root, build = pets
    trainer = Trainer(build())
    state = {key: value for key, value in trainer.state_dict().items() if key != "data"}
    swap(root)
    other = Trainer(build())
    other.load_state_dict(state)
    assert other.identity != trainer.identity


def test_a_teacher_of_other_data_is_refused(pets, teachers):
    root, build = pets
    config = build("kd_swa")
    paths = teachers(config)
    Trainer(config, paths)
    swap(root)
    with pytest.raises(UserError, match=r"data: train has other images.*when the standard teacher was trained"):
        Trainer(config, paths)


def test_noise_augmentation_and_seed_are_no_part_of_the_identity(tiny):
    plain = Trainer(tiny()).identity
    assert Trainer(tiny(data={"noise_rate": 0.5, "flip": True, "crop": 1}, seed=3)).identity == plain
    for other in ({"split_seed": 1}, {"subset": 65}, {"validation": 0.1}):
        assert Trainer(tiny(data=other)).identity["train"] != plain["train"]
        assert Trainer(tiny(data=other)).identity["test"] == plain["test"]


def test_a_digest_tells_pixels_labels_order_shape_and_scale():
    images = np.random.default_rng(0).integers(0, 255, (6, 3, 4, 2), dtype=np.uint8)
    labels = np.arange(6)
    base = ImageSet(images, labels)
    changed = images.copy()
    changed[3, 1, 2, 0] += 1
    others = [
        ImageSet(changed, labels),
        ImageSet(images, labels[::-1].copy()),
        ImageSet(images[::-1], labels[::-1]),
        ImageSet(images.reshape(6, 3, 2, 4), labels),
        ImageSet(images, labels, scale=16.0),
        base[np.arange(5)],
        base[np.array([0, 1, 2, 3, 5])],
        base[np.array([1, 0, 2, 3, 5])],
    ]
    assert len({images.digest for images in [base, *others]}) == 1 + len(others)
    assert ImageSet(images.copy(order="F"), labels.astype(np.int64)).digest == base.digest
    assert base[np.arange(5)].digest == base[np.arange(5)].digest


def test_the_digest_comes_with_the_cache_and_with_what_is_shipped(pets, monkeypatch):
    _, build = pets
    first = load_source(build().data)
    digest = first.train.digest
    from tune_at.data import arrays, cache

    cache._REMEMBERED.clear()
    hashed = []
    plain_digest = arrays._digest
    monkeypatch.setattr(arrays, "_digest", lambda head, *rest: (hashed.append(head), plain_digest(head, *rest))[1])
    again = load_source(build().data)
    assert isinstance(again.train.images, np.memmap)
    shipped = plain_source(again)
    assert (again.train.digest, shipped.train.digest, shipped.test.digest) == (digest, digest, first.test.digest)
    assert hashed == []
    monkeypatch.undo()
    assert ImageSet(np.array(again.train.images), again.train.labels).digest == digest


def test_what_a_sweep_knew_of_its_data_survives_the_record(pets):
    root, build = pets
    known = KnownData(take_facts)
    configs = [
        TrialConfig.parse({"data": tree, "train": {"batch_size": 9}}, data=known).data
        for tree in (build().data.model_dump(), build(image_size=16).data.model_dump(), {"name": "digits"})
    ]
    settle(known, configs)
    record = yaml.safe_load(yaml.safe_dump(json.loads(json.dumps(known.as_record()))))
    assert len(record["folders"]) == 1  # counted once for both sizes
    assert len(record["identities"]) == 3
    again = KnownData.from_record(record)
    assert again.facts == known.facts
    assert again.identities == known.identities
    shutil.rmtree(root)
    told = TrialConfig.parse({"data": configs[0].model_dump(), "train": {"batch_size": 9}}, data=again).data
    assert (told.num_classes, told.classes(), told.train_size, told.test_size) == (2, ["cat", "dog"], 30, 30)
    only = KnownData.from_record(known.only([configs[2]]))
    assert (len(only.facts), list(only.identities)) == (0, [Digits().source_key])


def test_a_config_is_equal_to_another_whatever_either_was_told(pets):
    root, build = pets
    one, two = ImageFolder(path=str(root)), ImageFolder(path=str(root))
    assert one.num_classes == 2
    assert one == two
    assert hash(one) == hash(two)
    assert one != ImageFolder(path=str(root), image_size=8)
    assert build().hash == build().hash


def test_a_record_that_knows_nothing_of_a_folder_takes_what_is_there(pets):
    """As that of a sweep of version 1, or of a point that was drawn from a space with very many choices."""
    root, build = pets
    config = TrialConfig.parse(build.tree(), data=KnownData.from_record({}))
    trainer = Trainer(config)
    assert trainer.config.data.train_size == 30
    assert trainer.identity == Trainer(build()).identity
    known = KnownData.from_record({})
    settle(known, [config.data])
    add(root)
    with pytest.raises(UserError, match="33 images by now, 30 when the sweep began"):
        Trainer(TrialConfig.parse(build.tree(), data=KnownData.from_record(known.as_record())))


def test_a_trial_of_a_sweep_is_refused_where_a_node_has_other_data(pets):
    root, build = pets
    known = KnownData(take_facts)
    settle(known, [build().data])
    here = KnownData.from_record(known.as_record())
    config = TrialConfig.parse(build().as_tree(), data=here)
    assert Trainer(config).identity == Trainer(build()).identity
    add(root)
    with pytest.raises(UserError, match=r"data: train has 33 images by now, 30 when the sweep began"):
        Trainer(config)


def test_a_folder_that_was_shipped_need_not_be_there(pets, monkeypatch):
    root, build = pets
    config = build().data
    known = KnownData(take_facts)
    settle(known, [config])
    shipped = plain_source(load_source(config))
    expected = Trainer(build()).run_epoch()
    monkeypatch.setattr(sources, "_PROVIDED", {})
    sources.provide({config.source_key: shipped})
    shutil.rmtree(root)
    told = TrialConfig.parse(build.tree(), data=KnownData.from_record(known.only([config])))
    assert Trainer(told).run_epoch().metrics == expected.metrics
    with pytest.raises(UserError, match="pets is not a folder"):  # another size is another source
        load_source(config.model_copy(update={"image_size": 16}))


def test_a_split_of_the_folder_is_that_split(pets, tmp_path):
    root, build = pets
    shutil.copytree(root / "test", root / "val")
    source = load_source(build().data)
    parts = split(source, build().data)
    assert isinstance(source, Source)
    assert parts.validation.digest == parts.test.digest  # a copy
    assert parts.train.digest == source.train.digest
