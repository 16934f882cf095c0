"""Symmetric label noise."""

import numpy as np
from numpy.typing import NDArray

from tune_at.seeding import derive_seed


def corrupt_labels(labels: NDArray[np.int64], rate: float, num_classes: int, seed: int) -> NDArray[np.int64]:
    """Each label is redrawn with probability `rate`, uniformly over ALL classes: P = (1-r) I + r/C (Sec. 3.1).

    So r = 1 leaves about 1/C of the labels right. Drawn once for a trial; a higher rate at the same seed corrupts
    a superset of the samples, to the same labels.

    Args:
        labels: true labels, int64 (n,), in [0, num_classes).
        rate: share in [0, 1].
        num_classes: C.
        seed: the trial's seed.
    """
    rng = np.random.default_rng(derive_seed(seed, "label_noise"))
    redrawn = rng.random(len(labels)) < rate
    return np.where(redrawn, rng.integers(num_classes, size=len(labels)), labels)
