"""Folders of small images, made here."""

import numpy as np
from PIL import Image


def picture(path, seed, size=8):
    """Write one image of random pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def folder(root, count=12, splits=("train", "test"), classes=("cat", "dog"), below=""):
    """A folder with `count` images of each class in each split; returns it."""
    for number, split in enumerate(splits):
        for label, name in enumerate(classes):
            for i in range(count):
                picture(root / split / name / below / f"{i:02d}.png", 10_000 * number + 1000 * label + i)
    return root
