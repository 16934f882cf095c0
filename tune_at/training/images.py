"""A trial's images on its device: the three splits, the labels that are trained on, and which are evaluated."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_at.config.facts import Identity
from tune_at.config.trial import TrialConfig
from tune_at.data.arrays import Source
from tune_at.data.batches import DeviceImages
from tune_at.data.identity import identity_of
from tune_at.data.noise import corrupt_labels
from tune_at.data.splits import split, stratified_choice
from tune_at.seeding import derive_seed
from tune_at.training.record import SPLITS


@dataclass(frozen=True)
class TrialImages:
    """The images of one trial.

    Attributes:
        splits: `train`, `val` and `test`, those that have images; `train` has the labels that are trained on.
        true_labels: int64 (n,), the training images' labels before any noise was drawn.
        evaluated: places of the images of each split that are evaluated after an epoch.
        identity: number and digest of each split's images.
    """

    splits: dict[str, DeviceImages]
    true_labels: Tensor
    evaluated: dict[str, Tensor]
    identity: Identity

    @classmethod
    def of(cls, config: TrialConfig, source: Source, device: torch.device) -> "TrialImages":
        """The images of a config whose data is `source`, noise drawn from its seed."""
        parts = split(source, config.data)
        limits = {"train": config.evaluation.train_samples, "test": config.evaluation.test_samples}
        evaluated = {
            name: torch.from_numpy(_part(config, images.labels, limits.get(name, "all"))).to(device)
            for name, images in zip(SPLITS, parts, strict=True)
        }
        splits = {name: DeviceImages(images, device) for name, images in zip(SPLITS, parts, strict=True) if len(images)}
        true = splits["train"].labels
        noisy = corrupt_labels(parts.train.labels, config.data.noise_rate, config.data.num_classes, config.seed)
        splits["train"].labels = torch.from_numpy(noisy).to(device)
        return cls(splits, true, evaluated, identity_of(parts._asdict()))


def _part(config: TrialConfig, labels: NDArray[np.int64], limit: int | str) -> NDArray[np.int64]:
    """Where the images lie that are evaluated after an epoch: all, or a class-balanced part."""
    if isinstance(limit, str) or limit >= len(labels):
        return np.arange(len(labels))
    rng = np.random.default_rng(derive_seed(config.data.split_seed, "measured"))
    return stratified_choice(labels, limit, rng)
