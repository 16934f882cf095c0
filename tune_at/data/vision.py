"""CIFAR-10, CIFAR-100 and SVHN: from Parquet shards, or as torchvision fetches them; and any folder of images."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from tune_at.config.data import DATASETS, ImageFolder, Vision
from tune_at.data.archives import read_torchvision, torchvision_root
from tune_at.data.arrays import ImageSet, Source, check_source, no_images
from tune_at.data.cache import cached, data_folder, remembered
from tune_at.data.decode import decode_image
from tune_at.data.folder import list_folder
from tune_at.data.parquet import decode_shards, find_shards
from tune_at.errors import UserError


def load_vision(config: Vision) -> Source:
    """A data set from Parquet shards or torchvision's files. Raises `UserError` that says how to get an absent one."""
    folder = data_folder()
    shards = find_shards(folder, config.name)
    if shards:
        files = [path for split in shards.values() for path in split]
        where = files[0].parent

        def decode() -> Source:
            return decode_shards(shards, config.label_column)
    else:
        root = torchvision_root(config, folder)
        files, where = [root / name for name in config.files], (root / config.files[0]).parent

        def decode() -> Source:
            return _torchvision(config, folder, download=False)

    def make() -> Source:
        return cached(config.name, files, lambda: _checked(decode(), config, where))

    return remembered(config.name, files, make)


def _checked(source: Source, config: Vision, folder: Path) -> Source:
    where = f"data set {config.name} in {folder}"
    check_source(source, where, config.shape, (config.train_size, config.test_size), config.num_classes)
    return source


def whereabouts(name: str) -> str:
    """Where a data set would be read from, in words, or why it cannot be."""
    config = DATASETS[name].config()
    assert isinstance(config, Vision)
    try:
        return find_files(config)
    except UserError as error:
        return str(error).removeprefix(f"data set {name}: ")


def find_files(config: Vision) -> str:
    """Where a data set would be read from, in words, by files' names alone. Raises `UserError` if it is absent."""
    folder = data_folder()
    if shards := find_shards(folder, config.name):
        return f"{sum(map(len, shards.values()))} Parquet files in {shards['train'][0].parent}"
    return f"torchvision's files in {torchvision_root(config, folder)}"


def fetch(name: str) -> Path:
    """Download a data set by torchvision, which compares its checksums; returns the folder it is in."""
    config = DATASETS[name].config()
    if not isinstance(config, Vision):
        raise UserError("data fetch", f"{name!r} needs no download", "fetch one of cifar10, cifar100, svhn")
    folder = data_folder()
    _torchvision(config, folder, download=True)
    return folder / name


def _torchvision(config: Vision, folder: Path, download: bool) -> Source:
    root = folder / config.name if download else torchvision_root(config, folder)
    return read_torchvision(config, root, download)


def load_image_folder(config: ImageFolder) -> Source:
    """The folders that `data.folder` lists, scaled and cropped to squares of `image_size` pixels."""
    listing = list_folder(Path(config.path).expanduser(), config.val)
    files = [path for split in listing.files.values() for path, _ in split]

    def decode() -> Source:
        decoded = {
            split: _decode_folder(pairs, config) if pairs else no_images(config.shape)
            for split, pairs in listing.files.items()
        }
        validation = decoded["validation"] if listing.files["validation"] else None
        return Source(decoded["train"], decoded["test"], validation)

    # Which class a file is of, and what each split is, belongs to what was decoded.
    layout = hashlib.sha256(repr([(split, [label for _, label in f]) for split, f in listing.files.items()]).encode())
    name = f"image_folder-{config.image_size}-{layout.hexdigest()[:8]}"
    source = remembered(name, files, lambda: cached(name, files, decode, parts=3))
    return replace(source, facts=listing.facts())


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
