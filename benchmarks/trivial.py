"""Trainables that compute nothing: a network of 3,000 weights is made, and never trained."""

from pathlib import Path
from typing import Any

import torch
from ray import tune

from tune_at.config.model import SmallCNN
from tune_at.models import build_model
from tune_at.recording import trial
from tune_at.training.record import EpochRecord
from tune_at.training.trainer import Trainer
from tune_at.tuning.trainable import ATTrainable


def metrics_at(epoch: int) -> dict[str, float]:
    """What each trial reports: the same of all, so that nobody is stopped."""
    kinds = [f"{kind}_{what}" for kind in ("natural", "robust") for what in ("accuracy", "loss")]
    return {f"{split}_{kind}": 0.5 + 0.01 * epoch for split in ("train", "val", "test") for kind in kinds}


class TrivialTrainer(Trainer):
    """A trainer whose epochs are over at once."""

    def run_epoch(self) -> EpochRecord:
        """The next record."""
        epoch = len(self.history) + 1
        record = EpochRecord(epoch, self.config.optim.lr, metrics_at(epoch), {"loss": 1.0}, 0.001, 0.001)
        self.history.append(record)
        return record


class Trivial(ATTrainable):
    """Our trainable, whose recorded trials have that trainer."""

    def setup(self, config: dict[str, Any], shipped: Any = None) -> None:
        """As ever, with another trainer."""
        trial.Trainer = TrivialTrainer  # type: ignore[misc]
        super().setup(config, shipped)


class BareTrivial(tune.Trainable):
    """The same for bare Ray Tune: the network and its optimiser's state are what a checkpoint holds."""

    def setup(self, config: dict[str, Any]) -> None:
        """The network."""
        torch.set_num_threads(1)
        self.epochs, self.last = 0, config["reports"]
        self.network = build_model(SmallCNN(width=4), 10, 1, 8)
        self.optimizer = torch.optim.SGD(self.network.parameters(), config["lr"], momentum=0.9)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Serve another trial."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """A report."""
        self.epochs += 1
        return {**metrics_at(self.epochs), "epoch": self.epochs, "loss": 1.0, "done": self.epochs >= self.last}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Network and optimiser."""
        state = {"model": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, Path(checkpoint_dir) / "state.pt")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Never asked for here."""
