"""The average of weights and its batch-norm statistics, in a trial."""

import numpy as np
import pytest
import torch

from tune_at.config.trial import TrialConfig
from tune_at.data.arrays import ImageSet
from tune_at.data.batches import DeviceImages
from tune_at.training.trainer import Trainer

STUDENT = {"name": "kd_swa", "swa_start": 1}
TEACHERS = {"standard": None, "robust": None}


def train(tree, epochs=1):
    config = TrialConfig.parse(
        {
            "objective": STUDENT,
            "attack": {"eps": 0.1, "step": 0.05, "steps": 1},
            "model": {"width": 4},
            **tree,
            "train": {"epochs": epochs, "batch_size": 100, **tree.get("train", {})},
            "evaluation": {"steps": 1, "train_samples": 0, **tree.get("evaluation", {})},
        }
    )
    trainer = Trainer(config, TEACHERS)
    for _ in trainer.epochs():
        pass
    return trainer


def statistics(trainer):
    return {name: value for name, value in trainer.evaluated.state_dict().items() if "running" in name}


def test_statistics_do_not_depend_on_how_evaluation_is_cut():
    one, other = (statistics(train({"data": {"subset": 330}, "evaluation": {"batch_size": size}})) for size in (512, 7))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_they_are_those_of_the_clean_training_images():
    """The first batch norm's, exactly: over all images, whatever their order and the batches."""
    trainer = train({"data": {"subset": 330}}, epochs=2)
    images = trainer.data["train"].in_order(330)
    network = trainer.evaluated
    convolution, norm = network.features[0], network.features[1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    with torch.no_grad():
        values = convolution.double()(next(images).x.double()).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean.double(), values.mean(1), atol=1e-6)
    assert torch.allclose(norm.running_var.double(), values.var(1), rtol=1e-5)


def test_the_order_of_the_data_does_not_matter():
    """Images sorted by class, whose classes are far apart: each batch that is passed has some of all."""
    trainer = train({"data": {"subset": 400}})
    labels = np.arange(400) // 40
    noise = np.random.default_rng(0).integers(0, 5, (400, 1, 8, 8))
    images = (25 * labels[:, None, None, None] + noise).astype(np.uint8)
    trainer.data["train"] = DeviceImages(ImageSet(images, labels), trainer.device)
    batches = list(trainer._clean_images(1))
    assert [len(batch) for batch in batches] == [100] * 4
    means = torch.stack([batch.mean() for batch in batches])
    assert means.std() < 0.1  # cut as they lie, 0.32
    together = torch.cat(batches).flatten().sort().values
    assert torch.equal(together, trainer.data["train"].take(torch.arange(400)).x.flatten().sort().values)
    assert not torch.equal(batches[0], next(iter(trainer._clean_images(2))))


@pytest.mark.parametrize("size", [512, 171])
def test_a_last_image_of_its_own_does_not_fail_the_trial(size):
    """513 images: in batches of 512 for evaluation, of 100 in training; VGG pools these images to one pixel."""
    tree = {"data": {"subset": 513}, "model": "vgg16", "evaluation": {"batch_size": size, "test_samples": 20}}
    trainer = train({**tree, "optim": {"lr": 0.01}})
    assert trainer.status == "completed"
    assert [len(batch) for batch in trainer._clean_images(1)] == [103, 103, 103, 102, 102]
