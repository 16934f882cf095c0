"""Data sets as arrays: the one way from a config to images."""

import functools
from collections.abc import Mapping

import numpy as np

from tune_at.config.data import DATASETS, DataSection
from tune_at.data.arrays import ImageSet, Source
from tune_at.data.splits import stratified_choice


@functools.lru_cache(maxsize=1)
def load_digits(config: DataSection) -> Source:
    """Scikit-learn's digits (1,797 of 8 × 8, grey levels 0 to 16). A fixed fifth of each class is the test split."""
    from sklearn.datasets import load_digits as digits

    bunch = digits()
    everything = ImageSet(bunch.images[:, None].astype(np.uint8), bunch.target.astype(np.int64), scale=16.0)
    test = stratified_choice(everything.labels, config.test_size, np.random.default_rng(0))
    train = np.setdiff1d(np.arange(len(everything)), test)
    return Source(everything[train], everything[test])


def load_source(config: DataSection) -> Source:
    """The data set that a config names, as it is now.

    A process that runs trial after trial on files that have not changed reads them once.
    """
    for name in (config.source_key, config.name):
        if name in _PROVIDED:
            return _PROVIDED[name]
    shared = {name: field.default for name, field in DataSection.model_fields.items() if name != "name"}
    source: Source = DATASETS[config.name].load()(config.model_copy(update=shared))
    return source


_PROVIDED: dict[str, Source] = {}


def provide(sources: Mapping[str, Source]) -> None:
    """Use these instead of files from now on: they came through Ray's object store.

    They are named by `DataSection.source_key`, or by a data set's name where it has no other fields of its own.
    """
    _PROVIDED.update(sources)
