"""A trial's network at one moment, with its data: what probes measure and evaluations attack. No Trainer is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tune_at.config.facts import KnownData
from tune_at.config.objective import OBJECTIVES
from tune_at.config.trial import ResourcesSection, TrialConfig
from tune_at.data.batches import DeviceImages
from tune_at.data.identity import place_of, prepared, require_same
from tune_at.engine.engine import Engine, prepare_device
from tune_at.errors import UserError
from tune_at.models import build_model
from tune_at.objectives.base import Objective
from tune_at.seeding import derive_seed
from tune_at.store.layout import SweepFolder
from tune_at.store.place import Place
from tune_at.training.checkpoint import DamagedCheckpoint, checkpoint_epoch, checkpoints, load_state
from tune_at.training.images import TrialImages

BEST, FINAL, INITIAL = "best", "final", "initial"
"""Names of checkpoints beside the number of an epoch."""


@dataclass(frozen=True)
class NetworkSnapshot:
    """A network as it was after an epoch, and the data of its trial.

    Attributes:
        config: the trial's.
        epoch: after which the network was so; 0 before training.
        network: what is evaluated of the trial, in eval mode, on the device; logits from images in [0, 1].
        engine: runs it; `engine.view(network)` is the folded view that attacks get.
        images: the trial's data, with the labels that it is trained on.
    """

    config: TrialConfig
    epoch: int
    network: nn.Module
    engine: Engine
    images: TrialImages

    @property
    def device(self) -> torch.device:
        """Where network and images are."""
        return self.engine.device

    def split(self, name: str) -> DeviceImages:
        """The images of `train`, `val` or `test`. Raises `UserError` for a split that the trial does not have."""
        if name not in self.images.splits:
            known = ", ".join(self.images.splits)
            raise UserError("split", f"{name!r} has no images here", f"choose one of {known}")
        return self.images.splits[name]


def make_network(config: TrialConfig, engine: Engine) -> nn.Module:
    """A network of a config's model on the device, its weights drawn from torch's global generator."""
    channels, size, _ = config.data.shape
    return engine.place(build_model(config.model, config.data.num_classes, channels, size))


def first_networks(config: TrialConfig, objective: Objective[Any], engine: Engine) -> nn.Module:
    """What an objective trains, with the first weights, which follow from the seed alone."""
    with torch.random.fork_rng(engine.cuda_devices):
        torch.manual_seed(derive_seed(config.seed, "network"))
        return objective.networks(lambda: make_network(config, engine))


def build_objective(config: TrialConfig, samples: int) -> Objective[Any]:
    """The objective of a config over `samples` training images."""
    objective: type[Objective[Any]] = OBJECTIVES[config.objective.name].load()
    return objective(config.objective, config.attack, samples, config.data.num_classes)


def find_checkpoint(folder: SweepFolder, trial: str, checkpoint: str) -> Place:
    """The file of a trial's checkpoint. Raises `UserError` that names those there are.

    Args:
        folder: the sweep's.
        trial: its name.
        checkpoint: `best`, `final` (the newest) or the number of an epoch.
    """
    kept = {checkpoint_epoch(path): path for path in checkpoints(folder.checkpoints(trial))}
    best = folder.best(trial)
    if checkpoint == BEST and best.exists():
        return best
    if checkpoint == FINAL and kept:
        return kept[max(kept)]
    if checkpoint.isdecimal() and int(checkpoint) in kept:
        return kept[int(checkpoint)]
    there = [BEST] * best.exists() + [FINAL] * bool(kept) + [str(epoch) for epoch in sorted(kept)]
    remedy = f"of this trial there are {', '.join(there)}" if there else "of this trial there are none: run it first"
    raise UserError(f"trial {trial}", f"has no checkpoint {checkpoint!r}", remedy)


def read_checkpoint(
    folder: SweepFolder, trial: str, checkpoint: str, config: TrialConfig, known: KnownData | None
) -> tuple[Mapping[str, Any], TrialConfig]:
    """What a checkpoint holds, on the CPU, and the config that it was trained under; of `initial` next to nothing.

    Raises `UserError` if there is no such checkpoint, or if it is damaged.
    """
    if checkpoint == INITIAL:
        return {"epoch": 0}, config
    path = find_checkpoint(folder, trial, checkpoint)
    try:
        state = load_state(path)
    except DamagedCheckpoint as error:
        raise UserError(f"trial {trial}", str(error), "name another checkpoint") from None
    return state, TrialConfig.from_json(state["config"], str(path), known)


def build_network(state: Mapping[str, Any], checkpoint: str, config: TrialConfig, engine: Engine) -> nn.Module:
    """The network that is evaluated of a checkpoint, frozen, in eval mode, on the engine's device."""
    objective = build_objective(config, len(state["labels"]) if "labels" in state else 1)
    model = first_networks(config, objective, engine)
    if checkpoint not in (BEST, INITIAL):
        model.load_state_dict(state["model"])
        objective.load_state_dict(state["objective"])
    network = objective.evaluated(model)
    if checkpoint == BEST:  # the weights of what was evaluated, whatever was trained
        network.load_state_dict(state["model"])
    return network.to(engine.device).eval().requires_grad_(False)


def load_snapshot(
    folder: SweepFolder,
    trial: str,
    checkpoint: str,
    config: TrialConfig,
    known: KnownData | None = None,
    resources: ResourcesSection | None = None,
) -> NetworkSnapshot:
    """The network and the data of a trial's checkpoint.

    Args:
        folder: the sweep's.
        trial: its name.
        checkpoint: `best`, `final` (the newest), the number of an epoch, or `initial`: before training.
        config: the trial's; a checkpoint that was written under another one (PBT) has its own.
        known: what the sweep has recorded of the trial's data.
        resources: where to run it; by default where the trial ran.

    Raises:
        UserError: there is no such checkpoint, it is damaged, or the data is not what it was trained on.
    """
    state, config = read_checkpoint(folder, trial, checkpoint, config, known)
    if resources is not None:
        config = config.model_copy(update={"resources": resources})
    data, source = prepared(config.data)
    config = config.model_copy(update={"data": data})
    engine = Engine(prepare_device(config.resources), config.train)
    images = TrialImages.of(config, source, engine.device)
    require_same(
        state.get("data"), images.identity, "when the checkpoint was written", place_of(config.data), "restore it"
    )
    if "labels" in state:
        images.splits["train"].labels = state["labels"].to(engine.device)
    network = build_network(state, checkpoint, config, engine)
    epoch = state["epoch"] if "epoch" in state else len(state["history"])
    return NetworkSnapshot(config, epoch, network, engine, images)
