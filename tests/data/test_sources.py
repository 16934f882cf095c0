"""Data sets from files: made here, small, in the layouts of the public hub, torchvision and plain folders."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tune_at.config.data import CIFAR10, ImageFolder
from tune_at.config.trial import TrialConfig
from tune_at.data import vision
from tune_at.data.arrays import check_source
from tune_at.data.cache import cached, content_key
from tune_at.data.parquet import decode_shards, find_shards
from tune_at.data.sources import load_source
from tune_at.data.splits import split
from tune_at.errors import UserError

REAL = os.environ.get("TUNE_AT_DATA")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_AT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TUNE_AT_DATA", raising=False)


def encoded(image, form):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **({"lossless": True} if form == "WEBP" else {}))
    return buffer.getvalue()


def write_shard(path, images, labels, form="PNG", image="img", label="label"):
    cells = [{"bytes": encoded(i, form), "path": None} if isinstance(i, np.ndarray) else i for i in images]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({image: cells, label: labels}), path)


def random_images(n, size=32, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP"])
def test_shards_decode_in_order_whatever_the_format(tmp_path, form):
    images = random_images(10)
    for number, part in ((0, slice(0, 6)), (1, slice(6, 10))):
        write_shard(tmp_path / f"train-0000{number}-of-00002.parquet", images[part], list(range(10))[part], form)
    write_shard(tmp_path / "test-00000-of-00001.parquet", images[:2], [1, 0], form)
    source = decode_shards(find_shards(tmp_path, "cifar10"), "label")
    assert np.array_equal(source.train.images, np.stack(images).transpose(0, 3, 1, 2))
    assert source.train.labels.tolist() == list(range(10))
    assert len(source.test) == 2


def test_the_shards_of_another_data_set_are_not_taken(tmp_path):
    for folder in ("cifar10", "svhn/cropped_digits", "svhn/full_numbers"):
        for name in ("train", "test"):
            write_shard(tmp_path / folder / f"{name}-00000-of-00001.parquet", random_images(1), [0])
    assert find_shards(tmp_path, "cifar100") == {}
    assert find_shards(tmp_path / "cifar10", "cifar100") == {}
    assert len(find_shards(tmp_path / "cifar10", "cifar10")["train"]) == 1
    assert [path.parent.name for path in find_shards(tmp_path, "svhn")["train"]] == ["cropped_digits"]


def test_shards_are_found_in_a_folder_of_the_data_sets_name_first(tmp_path):
    for folder in ("svhn/cropped_digits", "cifar100"):
        for name in ("train", "test"):
            write_shard(tmp_path / folder / f"{name}-00000-of-00001.parquet", random_images(1), [0])
    assert find_shards(tmp_path, "svhn")["train"][0].parent.name == "cropped_digits"
    assert find_shards(tmp_path / "cifar100", "cifar100")["test"][0].parent.name == "cifar100"
    assert find_shards(tmp_path / "nowhere", "svhn") == {}


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn"])
@pytest.mark.parametrize("below", ["", "data", "plain_text", "default"])
@pytest.mark.parametrize("form", ["{}-00000-of-00001.parquet", "{}/0000.parquet"])
def test_a_layout_of_the_hub_is_known_for_every_data_set(tmp_path, name, below, form):
    """In a folder of the data set's name, in a clone that is called otherwise, and in one that bears its name."""
    places = ((tmp_path / "a" / name, "a"), (tmp_path / "clone", "clone"), (tmp_path / "b" / name, f"b/{name}"))
    for folder, asked in places:
        for part in ("train", "test"):
            write_shard(folder / below / form.format(part), random_images(1), [0])
        shards = find_shards(tmp_path / asked, name)
        assert [path.relative_to(folder / below) for path in shards["test"]] == [Path(form.format("test"))]
    assert find_shards(tmp_path / "b" / name, "svhn" if name != "svhn" else "cifar10") == {}


def test_shards_that_are_missing_or_there_twice_are_named(tmp_path, monkeypatch):
    def fails(*parts):
        with pytest.raises(UserError) as caught:
            find_shards(tmp_path, "cifar10")
        assert all(part in str(caught.value) for part in parts), str(caught.value)

    own = tmp_path / "cifar10"
    write_shard(own / "plain_text" / "test-00000-of-00001.parquet", random_images(1), [0])
    for number in (0, 2):
        write_shard(own / "plain_text" / f"train-{number:05d}-of-00003.parquet", random_images(1), [0])
    fails(str(own), "has no train-00001-of-00003.parquet", "fetch that file")
    monkeypatch.setenv("TUNE_AT_DATA", str(tmp_path))
    assert vision.whereabouts("cifar10").startswith(f"{own / 'plain_text'}: has no train-00001-of-00003.parquet")
    write_shard(own / "plain_text" / "train-00001-of-00003.parquet", random_images(1), [0])
    assert len(find_shards(tmp_path, "cifar10")["train"]) == 3
    write_shard(own / "plain_text" / "train-00000-of-00001.parquet", random_images(3), [0, 1, 2])
    fails("train-00000-of-00001.parquet and train-00002-of-00003.parquet", "of two copies", "keep the files of one")
    (own / "plain_text" / "train-00000-of-00001.parquet").unlink()
    write_shard(own / "copy" / "test-00000-of-00001.parquet", random_images(1), [0])
    fails("has the split test in copy and in plain_text", "keep one of the folders")


def test_mistakes_in_files_are_named(tmp_path):
    def fails(*parts):
        with pytest.raises(UserError) as caught:
            decode_shards(find_shards(tmp_path, "x"), "label")
        assert all(part in str(caught.value) for part in parts), str(caught.value)
        assert "\n" not in str(caught.value)

    train, test = (tmp_path / f"{name}-00000-of-00001.parquet" for name in ("train", "test"))
    write_shard(train, random_images(3), [0, 1, 2])
    fails("has no test-*.parquet")
    write_shard(test, [*random_images(1), {"bytes": b"no image", "path": None}], [0, 1])
    fails(f"{test}, row 1", "is not an image")
    write_shard(test, [*random_images(1), {"bytes": encoded(random_images(1)[0], "PNG")[:-80], "path": None}], [0, 1])
    fails(f"{test}, row 1", "is not an image")
    write_shard(test, [*random_images(2), *random_images(1, size=16)], [0, 1, 2])
    fails(f"{test}, row 2", "(16, 16, 3)", "(32, 32, 3)")
    write_shard(test, random_images(2), [0, None])
    fails(f"{test}, row 1", "has no label")
    write_shard(test, random_images(2), [0, 1], label="digit")
    fails(str(test), "has the columns img, digit")
    write_shard(test, random_images(2), ["cat", "dog"])
    fails(str(test), "has the label 'cat'")
    pq.write_table(pq.read_table(test).slice(0, 0), test)
    fails(str(test), "has no rows")
    write_shard(test, random_images(2), [0, 1])
    test.write_bytes(test.read_bytes()[:-30])
    fails(str(test), "cannot be read")


def test_sizes_shapes_and_labels_are_checked(tmp_path):
    for name in ("train", "test"):
        write_shard(tmp_path / f"{name}-00000-of-00001.parquet", random_images(4), [0, 1, 2, 9])
    source = decode_shards(find_shards(tmp_path, "x"), "label")
    check_source(source, "x", (3, 32, 32), (4, 4), 10)
    for arguments, message in [
        (((3, 32, 32), (5, 4), 10), "has 4 images instead of 5"),
        (((3, 28, 28), (4, 4), 10), "3×32×32 instead of 3×28×28"),
        (((3, 32, 32), (4, 4), 9), "has the label 9, outside of 0 to 8"),
    ]:
        with pytest.raises(UserError, match=message):
            check_source(source, "x", *arguments)


def test_the_cache_is_keyed_by_content_whole_and_shared(tmp_path):
    for name in ("train", "test"):
        write_shard(tmp_path / f"{name}-00000-of-00001.parquet", random_images(3), [0, 1, 2])
    shards = find_shards(tmp_path, "x")
    files = [path for paths in shards.values() for path in paths]
    decodes = []

    def decode():
        decodes.append(1)
        return decode_shards(shards, "label")

    first = decode_shards(shards, "label").train.images
    for _ in range(2):
        source = cached("x", files, decode)
        assert isinstance(source.train.images, np.memmap)
        assert np.array_equal(source.train.images, first)
    assert len(decodes) == 1
    (entry,) = (tmp_path / "cache").iterdir()
    assert entry.name == content_key("x", files)

    del source  # a file that is mapped must not be cut short
    for damage in (b"torn", b""):  # a damaged entry is made again
        (entry / "train_images.npy").unlink()
        (entry / "train_images.npy").write_bytes(damage)
        assert np.array_equal(cached("x", files, decode).train.images, first)
    assert len(decodes) == 3

    write_shard(files[0], random_images(3, seed=1), [0, 1, 2])  # other content, other entry
    assert not np.array_equal(cached("x", files, decode).train.images, first)
    assert len(list((tmp_path / "cache").iterdir())) == 2

    def fails():
        raise UserError("x", "is damaged")

    write_shard(files[0], random_images(3, seed=2), [0, 1, 2])
    with pytest.raises(UserError):
        cached("x", files, fails)
    assert len(list((tmp_path / "cache").iterdir())) == 2  # nothing half-written stays


def test_an_absent_data_set_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_AT_DATA", str(tmp_path))
    command = f"data fetch cifar10 --data-dir {tmp_path}` downloads it; or set TUNE_AT_DATA or --data-dir"
    with pytest.raises(UserError, match=command):
        vision.load_vision(CIFAR10())


def test_torchvisions_files_of_cifar10_are_read(tmp_path, monkeypatch):
    """Batches as the original archive has them, three images each, with torchvision's list of checksums adjusted."""
    from torchvision import datasets
    from torchvision.datasets.utils import calculate_md5

    folder = tmp_path / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    images = np.stack(random_images(18)).transpose(0, 3, 1, 2)
    lists = {"train_list": [], "test_list": []}
    for number, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
        part = images[3 * number : 3 * number + 3].reshape(3, -1)
        (folder / name).write_bytes(pickle.dumps({"data": part, "labels": [0, 1, 2]}))
        lists["test_list" if name == "test_batch" else "train_list"].append([name, calculate_md5(folder / name)])
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abc")}))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", lists["train_list"])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", lists["test_list"])
    meta = {**datasets.CIFAR10.meta, "md5": calculate_md5(folder / "batches.meta")}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    source = vision._torchvision(CIFAR10(), tmp_path, download=False)
    assert np.array_equal(source.train.images, images[:15])
    assert np.array_equal(source.test.images, images[15:])
    assert source.test.labels.tolist() == [0, 1, 2]


def make_folder(root, counts=(12, 12)):
    for name, count in (("train", counts[0]), ("test", counts[1])):
        for label, kind in enumerate(("cat", "dog")):
            folder = root / name / kind
            folder.mkdir(parents=True)
            for i in range(count):
                image = np.full((20, 30, 3), 60 * label + i, dtype=np.uint8)
                Image.fromarray(image).save(folder / f"{i:02d}.png")
    return root


def test_any_folder_of_images(tmp_path):
    config = ImageFolder(path=str(make_folder(tmp_path / "pets")), image_size=8)
    assert (config.num_classes, config.shape, config.train_size, config.test_size) == (2, (3, 8, 8), 24, 24)
    source = load_source(config)
    assert source.train.images.shape == (24, 3, 8, 8)
    assert source.train.images[13, 0, 0, 0] == 61  # the second dog
    assert source.train.labels.tolist() == [0] * 12 + [1] * 12
    train, validation, test = split(source, config)
    assert (len(train), len(validation), len(test)) == (22, 2, 24)


def test_an_image_that_moves_to_another_class_is_another_data_set(tmp_path):
    config = ImageFolder(path=str(make_folder(tmp_path / "pets", counts=(3, 3))), image_size=8)
    before = vision.load_image_folder(config).train.labels.tolist()
    train = tmp_path / "pets" / "train"
    (train / "dog" / "00.png").rename(train / "cat" / "10.png")
    (train / "cat" / "10.png").rename(train / "cat" / "03.png")
    after = vision.load_image_folder(config).train.labels.tolist()
    assert (before, after) == ([0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1])


def test_mistakes_in_a_folder_are_named(tmp_path):
    def fails(message):
        with pytest.raises(UserError, match=message):
            TrialConfig.parse({"data": {"name": "image_folder", "path": str(tmp_path)}, "train": {"batch_size": 4}})
            load_source(ImageFolder(path=str(tmp_path)))

    fails("train has no folders of classes")
    make_folder(tmp_path / "a")
    (tmp_path / "a" / "train").rename(tmp_path / "train")
    fails("has no split test")
    (tmp_path / "a" / "test").rename(tmp_path / "test")
    (tmp_path / "test" / "bird").mkdir()
    fails("has the class bird, train has not")
    (tmp_path / "test" / "bird").rmdir()
    (tmp_path / "test" / "cat" / "00.png").write_bytes(b"no image")
    fails(r"cat/00.png: is not an image")


@pytest.mark.skipif(REAL is None, reason="set TUNE_AT_DATA to a folder with CIFAR-10")
def test_the_real_cifar10(monkeypatch):
    monkeypatch.setenv("TUNE_AT_DATA", str(Path(REAL).resolve()))
    source = load_source(CIFAR10())
    assert np.bincount(source.train.labels).tolist() == [5000] * 10
    mean = source.train.images.mean((0, 2, 3)) / 255
    assert mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-4)  # as published for the data set
