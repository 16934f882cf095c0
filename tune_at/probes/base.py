"""What a probe is given and what it returns.

A probe is a function `(snapshot, config, generator) → measurements` and a line in `config/probes.py`'s registry. It
leaves the network's modes, parameters, gradients and buffers, and torch's global generators, as it found them; whatever
is random in it is drawn from the generator that it is given. One that has to see every batch, or that compares epochs,
is a `Watch` as well.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import torch

from tune_at.config.probes import ProbeSection
from tune_at.training.snapshot import NetworkSnapshot


class Measurement(NamedTuple):
    """One number: a row of the table `probes`.

    Attributes:
        quantity: what was measured, e.g. `ce_gradient_norm`.
        value: NaN where the quantity is not defined for this network.
        x: where on the quantity's axis (an iteration, a distance along a direction); None for a single number.
    """

    quantity: str
    value: float
    x: float | None = None


Config = TypeVar("Config", bound=ProbeSection)

Probe = Callable[[NetworkSnapshot, Any, torch.Generator], Iterable[Measurement]]
"""(snapshot, the probe's section, generator on the snapshot's device) → measurements."""
