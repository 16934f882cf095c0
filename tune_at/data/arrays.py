"""Images and labels as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_at.errors import UserError


@dataclass(frozen=True)
class ImageSet:
    """Images of one split.

    `images`: uint8 (n, channels, height, width), in which `scale` is white; `labels`: int64 (n,).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    scale: float = 255.0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: NDArray[np.int64]) -> "ImageSet":
        return ImageSet(self.images[index], self.labels[index], self.scale)


def plain(images: ImageSet) -> ImageSet:
    """The same with its images in an ordinary array, not in a mapped file."""
    return ImageSet(np.array(images.images), images.labels, images.scale)


@dataclass(frozen=True)
class Source:
    """A data set as it comes: training and test images, before any split or noise."""

    train: ImageSet
    test: ImageSet


def check_source(source: Source, where: str, shape: tuple[int, int, int], sizes: tuple[int, int], classes: int) -> None:
    """Raise `UserError` unless both splits have the shape, the size and the labels that the data set should have."""
    for split, images, size in (("train", source.train, sizes[0]), ("test", source.test, sizes[1])):
        here = f"{where}, split {split}"
        if len(images) != size:
            raise UserError(here, f"has {len(images)} images instead of {size}", "a file is missing or cut short")
        if images.images.shape[1:] != shape:
            found = "×".join(map(str, images.images.shape[1:]))
            raise UserError(here, f"has images of {found} instead of {'×'.join(map(str, shape))}", "check the files")
        if images.labels.min() < 0 or images.labels.max() >= classes:
            wrong = next(int(label) for label in images.labels if not 0 <= label < classes)
            raise UserError(here, f"has the label {wrong}, outside of 0 to {classes - 1}", "check the label column")
