"""Random streams. Each use of chance has its own stream, named and derived from the trial's seed.

Streams that advance within an epoch are derived again for each epoch, so a checkpoint taken between epochs needs no
generator states: the epoch's number is enough, and what a caller does with the global generators between epochs
changes nothing.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(seed: int, *stream: str | int) -> int:
    """A 63-bit seed for the stream named by its parts, such as `derive_seed(0, "order", epoch)`."""
    text = "/".join(map(str, (seed, *stream)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(device: "torch.device | str", seed: int, *stream: str | int) -> "torch.Generator":
    """A torch generator on `device` at the start of the named stream."""
    import torch

    return torch.Generator(device=device).manual_seed(derive_seed(seed, *stream))
