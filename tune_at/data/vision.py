"""CIFAR-10, CIFAR-100 and SVHN: from Parquet shards, or as torchvision fetches them; and any folder of images."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tune_at.config.data import DATASETS, ImageFolder, Vision
from tune_at.data.arrays import ImageSet, Source, check_source
from tune_at.data.cache import cache_folder, cached
from tune_at.data.decode import decode_image
from tune_at.data.parquet import decode_shards, find_shards
from tune_at.errors import UserError


def data_folder() -> Path:
    """`TUNE_AT_DATA`, where data sets are looked for, or `data` in the cache."""
    given = os.environ.get("TUNE_AT_DATA")
    return Path(given).expanduser() if given else cache_folder() / "data"


def load_vision(config: Vision) -> Source:
    """One of the data sets that torchvision knows. Raises `UserError` that says how to get it if it is not there."""
    folder = data_folder()
    shards = find_shards(folder, config.name)
    if shards:
        files = [path for split in shards.values() for path in split]
        return cached(config.name, files, lambda: _checked(decode_shards(shards, config.label_column), config, files))
    unpacked = [path for path in sorted((folder / config.name).rglob("*")) if path.is_file() and path.suffix != ".gz"]

    def decode() -> Source:
        return _checked(_torchvision(config, folder, download=False), config, [folder / config.name / "files"])

    return cached(config.name, unpacked, decode) if unpacked else decode()


def _checked(source: Source, config: Vision, files: Sequence[Path]) -> Source:
    where = f"data set {config.name} in {files[0].parent}"
    check_source(source, where, config.shape, (config.train_size, config.test_size), config.num_classes)
    return source


def whereabouts(name: str) -> str:
    """Where a data set would be read from, in words."""
    shards = find_shards(data_folder(), name)
    if shards:
        count = sum(map(len, shards.values()))
        return f"{count} Parquet files in {shards['train'][0].parent}"
    folder = data_folder() / name
    return f"torchvision's files in {folder}" if folder.is_dir() else f"absent; `python run.py data fetch {name}`"


def fetch(name: str) -> Path:
    """Download a data set by torchvision, which checks its checksum; returns the folder it is in."""
    config = DATASETS[name].config()
    if not isinstance(config, Vision):
        raise UserError("data fetch", f"{name!r} needs no download", "fetch one of cifar10, cifar100, svhn")
    folder = data_folder()
    _torchvision(config, folder, download=True)
    return folder / name


def _torchvision(config: Vision, folder: Path, download: bool) -> Source:
    from torchvision import datasets

    root = folder / config.name
    splits = []
    for train in (True, False):
        try:
            if config.name == "svhn":
                found = datasets.SVHN(str(root), split="train" if train else "test", download=download)
            else:
                kind = datasets.CIFAR10 if config.name == "cifar10" else datasets.CIFAR100
                found = kind(str(root), train=train, download=download)
        except RuntimeError as error:  # not found, or a checksum that does not match
            detail = "" if "not found" in str(error) else f": {error}"
            remedy = f"`python run.py data fetch {config.name}` downloads it; or set TUNE_AT_DATA or --data-dir"
            raise UserError(f"data set {config.name}", f"is not in {folder}{detail}", remedy) from None
        except OSError as error:
            raise UserError(f"data set {config.name}", f"cannot be fetched: {error}", "check the connection") from None
        images, labels = (found.data, found.labels) if config.name == "svhn" else (found.data, found.targets)
        if images.shape[-1] == 3:  # CIFAR's come with channels last
            images = images.transpose(0, 3, 1, 2)
        splits.append(ImageSet(np.ascontiguousarray(images), np.asarray(labels, dtype=np.int64)))
    return Source(*splits)


def load_image_folder(config: ImageFolder) -> Source:
    """`path/train/CLASS/*` and `path/test/CLASS/*`, scaled and cropped to squares of `image_size` pixels."""
    files = {split: config.files(split) for split in ("train", "test")}

    def decode() -> Source:
        return Source(*(_decode_folder(files[split], config) for split in ("train", "test")))

    name = f"image_folder-{config.image_size}"
    return cached(name, [path for split in files.values() for path, _ in split], decode, parts=3)


def _decode_folder(files: Iterable[tuple[Path, int]], config: ImageFolder) -> ImageSet:
    images, labels = [], []
    for path, label in files:
        images.append(np.asarray(_square(decode_image(path, str(path)), config.image_size)))
        labels.append(label)
    return ImageSet(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)), np.array(labels, dtype=np.int64))


def _square(image: Image.Image, size: int) -> Image.Image:
    """The largest centred square, scaled to `size` pixels."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)
