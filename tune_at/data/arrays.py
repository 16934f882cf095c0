"""Images and labels as arrays, each with a digest of what it holds."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tune_at.config.facts import DataFacts
from tune_at.errors import UserError


@dataclass(frozen=True)
class ImageSet:
    """Images of one split.

    `images`: uint8 (n, channels, height, width), in which `scale` is white; `labels`: int64 (n,).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    scale: float = 255.0
    known_digest: str = field(default="", compare=False, repr=False)
    """The digest where it was taken before; of a part, what it was taken from and which images it took."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: NDArray[np.int64]) -> "ImageSet":
        part = _digest(f"part of {self.digest}".encode(), np.ascontiguousarray(index, dtype="<i8"))
        return ImageSet(self.images[index], self.labels[index], self.scale, part)

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits that tell images (their pixels, order, shape and scale) and labels from any others."""
        if self.known_digest:
            return self.known_digest
        head = f"{self.images.shape} of {self.scale!r}".encode()
        return _digest(head, np.ascontiguousarray(self.images), np.ascontiguousarray(self.labels, dtype="<i8"))


def _digest(head: bytes, *arrays: NDArray[np.generic]) -> str:
    """Half a SHA-256 of some bytes and the content of arrays."""
    digest = hashlib.sha256(head)
    for array in arrays:
        if array.size:
            digest.update(array.view(np.uint8).data)
    return digest.hexdigest()[:32]


def plain(images: ImageSet) -> ImageSet:
    """The same with its images in an ordinary array, not in a mapped file."""
    return ImageSet(np.array(images.images), images.labels, images.scale, images.digest)


def no_images(shape: tuple[int, int, int]) -> ImageSet:
    """A split without an image, of a data set whose images have this shape."""
    return ImageSet(np.zeros((0, *shape), dtype=np.uint8), np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class Source:
    """A data set as it comes, before any split or noise.

    `validation` is None where validation images are to be taken from the training images; `facts` is what a folder was
    counted to hold.
    """

    train: ImageSet
    test: ImageSet
    validation: ImageSet | None = None
    facts: DataFacts | None = None

    def splits(self) -> dict[str, ImageSet]:
        """The splits that there are, by name."""
        given = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: images for name, images in given.items() if images is not None}


def plain_source(source: Source) -> Source:
    """The same with all its images in ordinary arrays."""
    validation = None if source.validation is None else plain(source.validation)
    return Source(plain(source.train), plain(source.test), validation, source.facts)


def check_source(source: Source, where: str, shape: tuple[int, int, int], sizes: tuple[int, int], classes: int) -> None:
    """Raise `UserError` unless both splits have the shape, the size and the labels that the data set should have."""
    for split, images, size in (("train", source.train, sizes[0]), ("test", source.test, sizes[1])):
        here = f"{where}, split {split}"
        if len(images) != size:
            remedy = "a file is missing or cut short" if len(images) < size else "a file stands twice, or is another's"
            raise UserError(here, f"has {len(images)} images instead of {size}", remedy)
        if images.images.shape[1:] != shape:
            has, wanted = ("×".join(map(str, sizes)) for sizes in (images.images.shape[1:], shape))
            raise UserError(here, f"has images of {has} instead of {wanted}", "check the files")
        if images.labels.min() < 0 or images.labels.max() >= classes:
            wrong = next(int(label) for label in images.labels if not 0 <= label < classes)
            raise UserError(here, f"has the label {wrong}, outside of 0 to {classes - 1}", "check the label column")
