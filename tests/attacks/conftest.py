"""A network that PGD-AT has trained for a few epochs, for tests that compare attacks."""

import pytest
import torch

from tune_at.config.trial import TrialConfig
from tune_at.training.trainer import Trainer


@pytest.fixture(scope="session")
def trained():
    """A function (count) → the network in train mode as it was left, and that many test images with their labels."""
    config = TrialConfig.parse(
        {
            "data": {"subset": 500},
            "model": {"width": 12},
            "attack": {"eps": 0.06, "step": 0.02, "steps": 5},
            "optim": {"lr": 0.05},
            "train": {"epochs": 8, "batch_size": 50},
            "evaluation": {"every": 8},
        }
    )
    torch.set_num_threads(1)
    trainer = Trainer(config)
    list(trainer.epochs())

    def take(count):
        batch = trainer.data["test"].take(torch.arange(count))
        return trainer.model, batch.x, batch.y

    return take
