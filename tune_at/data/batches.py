"""Batches from arrays that live on the device. Crop and flip happen there, whole batches at a time."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tune_at.config.data import DataSection
from tune_at.data.arrays import ImageSet
from tune_at.errors import UserError
from tune_at.seeding import generator


@dataclass(frozen=True)
class Batch:
    """`index`: places in the training set (b,); `x`: float32 (b, channels, height, width) in [0, 1]; `y`: (b,)."""

    index: Tensor
    x: Tensor
    y: Tensor


class DeviceImages:
    """An ImageSet on a device, with labels of its own (noisy ones in training)."""

    def __init__(self, images: ImageSet, device: torch.device) -> None:
        if len(images) and images.images.max() > images.scale:
            raise UserError("images", f"reach {images.images.max() / images.scale:g}, above 1", "check their scale")
        with warnings.catch_warnings():
            # A mapped file or an array in Ray's store cannot be written to; nothing here writes, so it is shared.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writ", category=UserWarning)
            self.images = torch.from_numpy(np.asarray(images.images)).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)
        self.scale = images.scale

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Batch:
        """The images at `index` as floats in [0, 1], unaugmented, laid out channels-last as networks want them."""
        x = self.images[index].float().div_(self.scale).contiguous(memory_format=torch.channels_last)
        return Batch(index, x, self.labels[index])

    def in_order(self, batch_size: int, index: Tensor | None = None) -> Iterator[Batch]:
        """The images at `index` (all by default) in batches, the last one partial."""
        if index is None:
            index = torch.arange(len(self), device=self.labels.device)
        for part in index.split(batch_size):
            yield self.take(part)

    def shuffled(self, batch_size: int, augment: DataSection, seed: int, epoch: int) -> Iterator[Batch]:
        """One epoch; order, crops and flips depend on (seed, epoch) alone. The last batch is partial."""
        # Drawn on the CPU, so that a trial sees the same order on every device, and brought there at once: a copy in
        # each batch would wait for all that the device was told before.
        parts = torch.randperm(len(self), generator=generator("cpu", seed, "order", epoch)).split(batch_size)
        rng = generator("cpu", seed, "augment", epoch)
        shifts, flips = [], []
        for part in parts:
            shifts.append(draw_shifts(len(part), augment.crop, rng))
            flips.append(draw_flips(len(part), rng) if augment.flip else torch.zeros(len(part), dtype=torch.bool))
        device = self.labels.device
        drawn = (torch.cat(parts), torch.cat(shifts, 1), torch.cat(flips))
        order, shift, flip = (values.to(device) for values in drawn)
        for start in range(0, len(order), batch_size):
            here = slice(start, start + batch_size)
            batch = self.take(order[here])
            x = cropped(batch.x, shift[:, here], augment.crop) if augment.crop else batch.x
            yield replace(batch, x=flipped(x, flip[here]) if augment.flip else x)


def draw_shifts(n: int, padding: int, rng: torch.Generator) -> Tensor:
    """Where n crops begin, (2, n): rows and columns, uniform on 0 … 2 · padding."""
    return torch.randint(2 * padding + 1, (2, n), generator=rng) if padding else torch.zeros(2, n, dtype=torch.long)


def draw_flips(n: int, rng: torch.Generator) -> Tensor:
    """Which of n images are mirrored (n,), each with probability 1/2."""
    return torch.randint(2, (n,), generator=rng).bool()


def cropped(x: Tensor, shift: Tensor, padding: int) -> Tensor:
    """Each image padded with `padding` zeros a side and cropped back to its size, from `shift` (2, n) on."""
    n, _, height, width = x.shape
    rows = shift[0, :, None] + torch.arange(height, device=x.device)
    columns = shift[1, :, None] + torch.arange(width, device=x.device)
    padded = F.pad(x, (padding,) * 4)
    images = torch.arange(n, device=x.device)[:, None, None, None]
    channels = torch.arange(x.shape[1], device=x.device)[None, :, None, None]
    window = padded[images, channels, rows[:, None, :, None], columns[:, None, None, :]]
    return window.contiguous(memory_format=torch.channels_last)


def flipped(x: Tensor, flip: Tensor) -> Tensor:
    """The images mirrored left to right where `flip` (n,) says so."""
    return torch.where(flip[:, None, None, None], x.flip(-1), x)
