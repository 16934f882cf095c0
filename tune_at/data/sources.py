"""Data sets as arrays. A source returns whole integer images; they become floats in [0, 1] on the device."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_at.config.data import DATASETS, DataSection
from tune_at.data.splits import stratified_choice


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


@dataclass(frozen=True)
class Source:
    """A data set as it comes: training and test images, before any split or noise."""

    train: ImageSet
    test: ImageSet


def load_digits(config: DataSection) -> Source:
    """Scikit-learn's digits (1,797 of 8 × 8, grey levels 0 to 16). A fixed fifth of each class is the test split."""
    from sklearn.datasets import load_digits as digits

    bunch = digits()
    everything = ImageSet(bunch.images[:, None].astype(np.uint8), bunch.target.astype(np.int64), scale=16.0)
    test = stratified_choice(everything.labels, config.test_size, np.random.default_rng(0))
    train = np.setdiff1d(np.arange(len(everything)), test)
    return Source(everything[train], everything[test])


def load_source(config: DataSection) -> Source:
    """The data set that a config names."""
    source: Source = DATASETS[config.name].load()(config)
    return source
