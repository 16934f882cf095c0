"""What one epoch of one trial leaves: a row of the `epochs` table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_at.config.section import SELECTION_SPLITS

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch.

    Attributes:
        epoch: counted from 1.
        lr: learning rate of the epoch.
        metrics: `{train,val,test}_{natural,robust}_{accuracy,loss}`; empty where the epoch was not evaluated.
        scalars: the objective's own numbers, means over the epoch's training batches; `loss` is among them.
        train_seconds: wall-clock time in training.
        evaluation_seconds: wall-clock time in evaluation.
    """

    epoch: int
    lr: float
    metrics: dict[str, float] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    train_seconds: float = 0.0
    evaluation_seconds: float = 0.0

    @property
    def finite(self) -> bool:
        """Whether the training loss and all measured losses are finite; if not, the trial has diverged."""
        measured = (value for name, value in self.metrics.items() if name.endswith("loss"))
        return all(map(math.isfinite, (self.scalars.get("loss", 0.0), *measured)))

    def row(self) -> dict[str, Any]:
        """The record as a flat row; the objective's scalars are prefixed `objective_`."""
        return {
            "epoch": self.epoch,
            "lr": self.lr,
            **self.metrics,
            **{f"objective_{name}": value for name, value in self.scalars.items()},
            "train_seconds": self.train_seconds,
            "evaluation_seconds": self.evaluation_seconds,
        }


def best_record(history: Sequence[EpochRecord], selection: str) -> EpochRecord | None:
    """The record with the highest robust accuracy, ties by natural accuracy, then the earlier (Sec. 5).

    `selection` is `train.selection`: the split that is judged, `validation` or `test`.
    """
    split = SELECTION_SPLITS[selection]
    measured = [r for r in history if f"{split}_robust_accuracy" in r.metrics and r.finite]
    key = (f"{split}_robust_accuracy", f"{split}_natural_accuracy")
    return max(measured, key=lambda r: (r.metrics[key[0]], r.metrics[key[1]], -r.epoch), default=None)
