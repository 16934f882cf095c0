"""Cases (a), (b) and (c): one step, a whole epoch, and the epoch of a small network."""

import copy
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.measure import Plan, count_flops, device
from benchmarks.textbook import Images, Textbook, loader
from tune_at.config.trial import TrialConfig
from tune_at.data.arrays import ImageSet, Source
from tune_at.data.sources import load_source, provide
from tune_at.models import build_model
from tune_at.seeding import generator
from tune_at.training.trainer import Trainer

CORES = 2
GPU = device().type == "cuda"
PRECISIONS = ("fp32", "tf32", "bf16") if GPU else ("fp32", "bf16")


def random_cifar() -> None:
    """Random images in CIFAR-10's place: time does not depend on what they show."""
    rng = np.random.default_rng(0)

    def split(count: int) -> ImageSet:
        images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        return ImageSet(images, rng.integers(0, 10, count))

    provide({"cifar10": Source(split(50_000), split(10_000))})


def config(
    model: str, data: dict, objective: str, precision: str, batch: int, test: int | str, compiled: bool
) -> TrialConfig:
    """A trial with the paper's attack, PGD-10."""
    tree = {
        "data": data,
        "model": model,
        "objective": objective,
        "train": {
            "selection": "test",
            "batch_size": batch,
            "precision": precision,
            "compile": compiled,
            "epochs": 1000,
        },
        "evaluation": {"train_samples": 0, "test_samples": test},
        "resources": {"cpu": CORES, "gpu": 1 if GPU else 0},
    }
    return TrialConfig.parse(tree)


def ours(model: str, data: dict, objective: str, batch: int, test: int | str) -> dict[str, Trainer]:
    """A trainer for each precision; on a GPU compiled, too."""
    found = {}
    for precision in PRECISIONS:
        for compiled in (False, True) if GPU else (False,):
            name = f"ours, {precision}" + (", compiled" if compiled else "")
            found[name] = Trainer(config(model, data, objective, precision, batch, test, compiled))
    return found


def textbook(trainer: Trainer, method: str) -> Textbook:
    """The same network in the textbook's hands."""
    attack = trainer.config.attack
    network = build_model(trainer.config.model, 10, *trainer.config.data.shape[:2]).to(trainer.device)
    network.load_state_dict(copy.deepcopy(trainer.model.state_dict()))
    network.to(memory_format=torch.contiguous_format)
    return Textbook(network, method, 0.01, attack.eps, attack.step, attack.steps, len(trainer.data["train"]))


def step(objective: str) -> Callable[[bool], Plan]:
    """One step of ResNet-18 on 32×32 images with PGD-10."""

    def case(quick: bool) -> Plan:
        random_cifar()
        batch = 128 if GPU else 16 if quick else 32
        data = {"name": "cifar10", "subset": 512, "validation": 0}
        trainers = ours("resnet18", data, objective, batch, batch)
        plain = textbook(next(iter(trainers.values())), objective)
        first = next(iter(trainers.values()))
        taken = next(first.data["train"].shuffled(batch, first.config.data, 0, 1))
        x = taken.x.contiguous()
        epoch = 500  # temporal ensembling has begun

        def run(trainer: Trainer) -> Callable[[], object]:
            chance = generator(trainer.device, 0, "benchmark")
            trainer.model.train()
            return lambda: trainer._update(taken, epoch, chance)

        ways: dict[str, Callable[[], object]] = {"textbook": lambda: plain.update(x, taken.y, taken.index)}
        ways |= {name: run(trainer) for name, trainer in trainers.items()}
        goals = {"ours, bf16": 5.0} if GPU else {"ours, fp32": 1.15, "ours, bf16": 2.1}
        return Plan(ways, batch, "images/s", goals, _precisions(ways), count_flops(ways["textbook"]), 5)

    return case


def epoch(quick: bool) -> Plan:
    """An epoch of ResNet-18 with PGD-10 evaluation: CIFAR-10 on a GPU, a part of it on a CPU."""
    random_cifar()
    count, test, batch = ("all", "all", 128) if GPU else (64, 64, 32) if quick else (128, 128, 32)
    data = {"name": "cifar10", "subset": count, "validation": 0, "crop": 4, "flip": True}
    trainers = ours("resnet18", data, "pgd_at", batch, test)
    source = load_source(next(iter(trainers.values())).config.data)
    goals = {"ours, bf16": 5.0} if GPU else {"ours, bf16": 2.0}
    return _epochs(trainers, source, batch, test, goals, 1 if GPU else 2, augment=True)


def digits(quick: bool) -> Plan:
    """An epoch of `small_cnn` on scikit-learn's digits, with evaluation."""
    trainers = ours("small_cnn", {"name": "digits", "subset": "all", "validation": 0}, "pgd_at", 64, "all")
    source = load_source(next(iter(trainers.values())).config.data)
    return _epochs(trainers, source, 64, "all", {"ours, bf16": 2.0}, 3 if quick else 9, augment=False)


def _epochs(
    trainers: dict[str, Trainer], source: Source, batch: int, test: int | str, goals: dict, rounds: int, augment: bool
) -> Plan:
    first = next(iter(trainers.values()))
    plain, count = textbook(first, "pgd_at"), len(first.data["train"])
    held = len(first.evaluation_index["test"])
    train, unseen = source.train, source.test
    images = loader(Images(train.images[:count], train.labels[:count], train.scale, augment), batch, shuffle=True)
    tested = Images(unseen.images[:held], unseen.labels[:held], unseen.scale, False)
    judged = loader(tested, max(batch, 128), shuffle=False)
    ways: dict[str, Callable[[], object]] = {"textbook": lambda: plain.epoch(images, judged, 10)}
    ways |= {name: trainer.run_epoch for name, trainer in trainers.items()}
    return Plan(ways, count, "training images/s", goals, _precisions(ways), count_flops(ways["textbook"]), rounds)


def _precisions(ways: dict) -> dict[str, str]:
    return {name: "fp32" if name == "textbook" else name.split(", ")[1] for name in ways}
