"""What a folder of images holds: layouts, classes, and what is not used."""

import os
import shutil

import numpy as np
import pictures
import pytest

from tune_at.config.data import ImageFolder
from tune_at.config.trial import TrialConfig
from tune_at.data.folder import list_folder
from tune_at.data.noise import corrupt_labels
from tune_at.data.sources import load_source
from tune_at.data.splits import split
from tune_at.errors import UserError
from tune_at.training.trainer import Trainer


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_AT_CACHE", str(tmp_path / "cache"))


def images(listing):
    return {name: len(files) for name, files in listing.files.items()}


def refused(root, *parts, val="auto"):
    with pytest.raises(UserError) as caught:
        list_folder(root, val)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message
    return message


def test_a_class_is_a_folder_with_an_image(tmp_path):
    root = pictures.folder(tmp_path, 3)
    (root / "train" / "ant").mkdir()
    (root / "train" / "fish").mkdir()
    (root / "train" / "fish" / "notes.txt").write_text("none yet")
    (root / "test" / "fish").mkdir()
    config = ImageFolder(path=str(root), image_size=8)
    assert config.classes() == ["cat", "dog"]
    assert load_source(config).train.labels.tolist() == [0] * 3 + [1] * 3
    noisy = corrupt_labels(np.zeros(1000, dtype=np.int64), 1.0, config.num_classes, seed=0)
    assert set(noisy.tolist()) == {0, 1}
    (line, *_) = config.facts.unused
    assert line == "train: 7 files, 6 used, 1 with the suffix .txt, 2 folders without images (ant, fish)"
    pictures.picture(root / "test" / "fish" / "a.png", 1)
    refused(root, "test has images of the class fish", "train/fish has none", "add some, or remove both folders")
    pictures.picture(root / "train" / "fish" / "a.png", 2)  # the first remedy
    assert list_folder(root).classes == ("cat", "dog", "fish")
    shutil.rmtree(root / "train" / "fish")  # the second
    shutil.rmtree(root / "test" / "fish")
    assert list_folder(root).classes == ("cat", "dog")


def test_what_is_not_used_is_counted_by_its_reason(tmp_path):
    root = pictures.folder(tmp_path, 10)
    for i in range(10):
        pictures.picture(root / "train" / "cat" / "more" / "deep" / f"{i}.png", i)
    assert list_folder(root).unused == ("train: 30 files, 20 used, 10 in subfolders",)
    shutil.rmtree(root / "train" / "cat" / "more")
    assert list_folder(root).unused == ()
    cat = root / "test" / "cat"
    for name in (".DS_Store", "Thumbs.db", "read me.TXT", "LICENSE"):
        (cat / name).write_text("x")
    pictures.picture(root / "test" / "stray.png", 1)
    (cat / "gone.png").symlink_to(root / "nowhere.png")
    assert list_folder(root).unused == (
        "test: 26 files, 20 used, 1 hidden, 1 outside of the classes' folders, 1 with a broken link,"
        " 1 with the suffix .db, 1 with the suffix .txt, 1 without a suffix",
    )


def test_names_suffixes_and_links_are_taken_as_they_are(tmp_path):
    root = pictures.folder(tmp_path / "a folder", 2, classes=("über uns", "猫"))
    for i, suffix in enumerate((".PNG", ".JpEg", ".WebP", ".bmp", ".tiff", ".gif")):
        pictures.picture(root / "train" / "猫" / f"x {i}{suffix}", i)
    elsewhere = pictures.folder(tmp_path / "elsewhere", 2)
    (root / "train" / "linked").symlink_to(elsewhere / "train" / "cat")
    (root / "train" / "猫" / "link.png").symlink_to(elsewhere / "train" / "dog" / "00.png")
    # As an archive made on a Mac spells it.
    (root / "test" / "über uns").rename(root / "test" / "u\u0308ber uns")
    listing = list_folder(root)
    assert listing.classes == ("linked", "über uns", "猫")
    assert images(listing) == {"train": 2 + 2 + 2 + 6 + 1, "validation": 0, "test": 4}
    assert listing.unused == ()
    source = load_source(ImageFolder(path=str(root), image_size=8))
    assert np.bincount(source.train.labels).tolist() == [2, 2, 9]


def test_a_folder_is_listed_once(tmp_path, monkeypatch):
    root = pictures.folder(tmp_path, 3)
    listed = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(os.fspath(path)), scan(path))[1])
    config = TrialConfig.parse({"data": {"name": "image_folder", "path": str(root)}, "train": {"batch_size": 5}})
    for _ in range(3):
        assert (config.data.num_classes, config.data.train_size, config.data.test_size) == (2, 6, 6)
    assert len([path for path in listed if path.endswith("train/cat")]) == 1


def test_train_and_val_are_asked_about(tmp_path):
    root = pictures.folder(tmp_path, splits=("train", "val"))
    message = refused(root, "has train and val, but no test split", "data.val=test", "data.val=validation")
    assert message.startswith("data.val: ")
    as_test = ImageFolder(path=str(root), val="test", image_size=8, validation=0.25)
    parts = split(load_source(as_test), as_test)
    assert [len(part) for part in parts] == [18, 6, 24]
    as_validation = ImageFolder(path=str(root), val="validation", image_size=8)
    parts = split(load_source(as_validation), as_validation)
    assert [len(part) for part in parts] == [24, 24, 0]
    assert np.array_equal(parts.validation.images, load_source(as_test).test.images)
    refused(root, "has no split test", val="unused")


def test_without_a_test_split_a_trial_runs_on_validation_alone(tmp_path, tiny):
    root = pictures.folder(tmp_path, splits=("train", "valid"))
    data = {"name": "image_folder", "path": str(root), "val": "validation", "image_size": 8, "subset": 20}

    def build(**train):
        return TrialConfig.parse({**tiny().as_tree(), "data": data, "train": {"epochs": 2, "batch_size": 10, **train}})

    with pytest.raises(UserError, match=r"train.selection: 'test', but there is no test image"):
        build(selection="test")
    trainer = Trainer(build())
    records = list(trainer.epochs())
    assert {name.partition("_")[0] for name in records[-1].metrics} == {"train", "val"}
    assert trainer.best is not None
    assert trainer.identity["test"]["images"] == 0


def test_a_folder_with_three_splits_has_its_own_validation_split(tmp_path):
    root = pictures.folder(tmp_path, splits=("train", "validation", "test"))
    config = ImageFolder(path=str(root), image_size=8, subset=10)
    assert (config.validation_samples, config.available_samples, config.train_samples) == (24, 24, 10)
    parts = split(load_source(config), config)
    assert [len(part) for part in parts] == [10, 24, 24]
    assert np.bincount(parts.train.labels).tolist() == [5, 5]
    assert np.array_equal(parts.validation.images, load_source(config).validation.images)
    again = load_source(config)  # from the cache
    assert again.validation.digest == parts.validation.digest
    unused = ImageFolder(path=str(root), val="unused", image_size=8)
    assert (unused.validation_samples, unused.train_samples) == (2, 22)
    assert unused.facts.unused == ("validation: not used",)
    refused(root, "'test', but", "has test beside validation", val="test")
    shutil.copytree(root / "validation", root / "val")
    refused(root, "has val and validation", "keep one of them")


def test_tiny_imagenets_layout(tmp_path):
    root, wnids = tmp_path / "tiny", ("n01443537", "n01629819")
    pictures.folder(root, 5, splits=("train",), classes=wnids, below="images")
    for name in wnids:
        (root / "train" / name / f"{name}_boxes.txt").write_text("00.png\t0\t0\t7\t7\n")
    lines = []
    for i in range(6):
        pictures.picture(root / "val" / "images" / f"val_{i}.JPEG", i)
        lines.append(f"val_{i}.JPEG\t{wnids[i % 2]}\t0\t0\t7\t7\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    pictures.picture(root / "test" / "images" / "test_0.JPEG", 0)
    (root / "wnids.txt").write_text("\n".join(wnids))
    refused(root, "has train and val, but no test split", "data.val=test")
    config = ImageFolder(path=str(root), val="test", image_size=8)
    assert (config.train_size, config.test_size, config.num_classes) == (10, 6, 2)
    assert config.facts.unused == (
        "train: 12 files, 10 used, 2 with the suffix .txt",
        "test: not used, its images have no classes",
    )
    files = list_folder(root, "test").files["test"]
    assert [(path.name, label) for path, label in files][:4] == [
        ("val_0.JPEG", 0), ("val_2.JPEG", 0), ("val_4.JPEG", 0), ("val_1.JPEG", 1),
    ]  # fmt: skip
    assert load_source(config).test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    (root / "val" / "images" / "val_5.JPEG").unlink()
    refused(root, "val_annotations.txt, line 6", "there is no val_5.JPEG", "restore the image", val="test")
    (root / "val" / "val_annotations.txt").write_text("".join(lines[:4]))
    assert "val: 5 files, 4 used, 1 not in val_annotations.txt" in list_folder(root, "test").unused
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG n01443537\n")
    refused(root, "line 1", "has no class", val="test")
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn0\n")
    refused(root, "has the class n0, train has not", val="test")


def test_mistakes_say_what_is_there(tmp_path):
    refused(tmp_path / "nowhere", "nowhere is not a folder")
    refused(tmp_path, "train has no folders of classes: there is no such folder")
    pictures.picture(tmp_path / "train" / "a.png", 1)
    refused(tmp_path, "with images (1 file, 0 used, 1 outside of the classes' folders)")
    pictures.folder(tmp_path, 2, splits=("train",))
    refused(tmp_path, "has no split test")
    refused(tmp_path, "has no folder val", val="test")
    pictures.folder(tmp_path, 2, splits=("test",), classes=("cat", "bird"))
    refused(tmp_path, "has the class bird, train has not")
