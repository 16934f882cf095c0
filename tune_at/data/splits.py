"""Class-balanced splits: train, validation and test are disjoint, and the same for every trial of a comparison."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tune_at.config.data import DataSection
from tune_at.seeding import derive_seed

if TYPE_CHECKING:
    from tune_at.data.arrays import ImageSet, Source


class Splits(NamedTuple):
    """The three disjoint splits of a trial, with true labels."""

    train: "ImageSet"
    validation: "ImageSet"
    test: "ImageSet"


def stratified_choice(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` indices, sorted, with each class's share as near to its share of `labels` as whole numbers allow."""
    classes, members = np.unique(labels, return_counts=True)
    exact = members * (count / len(labels))
    take = np.floor(exact).astype(int)
    # The places that rounding leaves go to the largest remainders; ties to the lower class.
    order = np.argsort(-(exact - take), kind="stable")
    take[order[: count - take.sum()]] += 1
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(classes, take, strict=True)]
    return np.sort(np.concatenate(chosen))


def split(source: "Source", config: DataSection) -> Splits:
    """Validation split, unless the source has one, and subset of a source, drawn with `config.split_seed`."""
    train = source.train
    if source.validation is not None:
        if config.train_samples == len(train):
            return Splits(train, source.validation, source.test)
        rng = np.random.default_rng(derive_seed(config.split_seed, "subset"))
        chosen = stratified_choice(train.labels, config.train_samples, rng)
        return Splits(train[chosen], source.validation, source.test)
    rng = np.random.default_rng(derive_seed(config.split_seed, "split"))
    held_out = stratified_choice(train.labels, config.validation_samples, rng)
    rest = np.setdiff1d(np.arange(len(train)), held_out)
    if config.train_samples == len(train):
        return Splits(train, train[held_out], source.test)  # not copied: trials share the mapped file
    if config.train_samples < len(rest):
        rest = rest[stratified_choice(train.labels[rest], config.train_samples, rng)]
    return Splits(train[rest], train[held_out], source.test)
