"""How many trials share a GPU where `resources.gpu` is `auto`: one batch of each family is measured on a GPU.

The share goes into a trial's placement only, never into its config: no number and no hash depends on it.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import ray
import torch

from tune_at.attacks.pgd import PGD
from tune_at.config.tree import Tree
from tune_at.config.trial import ResourcesSection, TrialConfig
from tune_at.errors import UserError
from tune_at.evaluation.outcomes import evaluate
from tune_at.seeding import generator
from tune_at.study.trials import Trial
from tune_at.training.trainer import Trainer
from tune_at.tuning.cluster.session import Need, first_line
from tune_at.tuning.preflight import family

MARGIN = 0.10
"""Share by which a trial may grow beyond what was measured."""
MOST = 16
"""Trials a GPU at most: each has a process with a context of its own, and they share the GPU's cores."""


@dataclass(frozen=True)
class GpuMemory:
    """What one trial takes of a GPU, in bytes."""

    needed: int
    total: int


def share(memory: GpuMemory, where: str = "resources.gpu") -> float:
    """The fraction 1/k of a GPU, rounded down as Ray counts (1e-4), so that k trials fit with a margin each.

    Raises `UserError` if not even one fits.
    """
    fitting = int(memory.total // (memory.needed * (1 + MARGIN)))
    if fitting < 1:
        needed, total = (size / 2**30 for size in (memory.needed, memory.total))
        raise UserError(
            where,
            f"a trial takes {needed:.1f} GiB and a margin of {MARGIN:.0%}, but the GPU has {total:.1f} GiB",
            "lower train.batch_size or evaluation.batch_size, or set resources.gpu=1 to try it all the same",
        )
    return math.floor(1e4 / min(fitting, MOST)) / 1e4


def whole_needs(trials: Iterable[Trial]) -> list[Need]:
    """What trials take where `auto` is one whole GPU: a node must have that for the measurement already."""
    return [Need(t.config.resources.cpu, _gpus(t.config.resources)) for t in trials]


def _gpus(resources: ResourcesSection) -> float:
    return 1.0 if resources.gpu == "auto" else resources.gpu


def measure(tree: Tree) -> GpuMemory:
    """Train and evaluate one full batch of a config on this process's GPU, which nobody else uses meanwhile."""
    config = TrialConfig.parse(tree, complete=False)
    trainer = Trainer(config, dict.fromkeys(config.objective.teachers()))
    trainer.try_batch(config.train.batch_size)
    chance = generator(trainer.device, config.seed, "preflight")
    batch = next(trainer.data["train"].shuffled(config.evaluation.batch_size, config.data, config.seed, 1))
    evaluate(trainer.evaluated, [batch], replace(PGD.of(config.attack), steps=1), chance).means()
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    context = total - free - torch.cuda.memory_reserved()  # what the process takes beside torch's own memory
    return GpuMemory(torch.cuda.max_memory_reserved() + max(0, context), total)


@dataclass(frozen=True)
class Packing:
    """What trials take of a node, with the measured shares of a GPU by memory family."""

    shares: Mapping[str, float] = field(default_factory=dict)

    def need(self, config: TrialConfig) -> Need:
        """What a trial takes. One that was drawn after the measurement takes the largest share if none is its own."""
        resources = config.resources
        if resources.gpu != "auto":
            return Need(resources.cpu, resources.gpu)
        known = self.shares.get(_memory_family(config))
        return Need(resources.cpu, max(self.shares.values(), default=1.0) if known is None else known)


def pack(trials: Iterable[Trial], measure: Callable[[Tree], GpuMemory] = measure) -> Packing:
    """Measure each memory family whose config says `auto` on a GPU of the running cluster.

    All GPUs are taken to be like the one that is measured. Raises `UserError` if a trial is larger than a GPU.
    """
    shares: dict[str, float] = {}
    for trial in trials:
        if trial.config.resources.gpu == "auto" and (key := _memory_family(trial.config)) not in shares:
            shares[key] = share(_on_a_gpu(trial, measure), f"resources.gpu of {trial.name}")
    return Packing(shares)


def _memory_family(config: TrialConfig) -> str:
    """What configs share when the memory of one of them speaks for all."""
    # The whole data set and the evaluation's batches are on the GPU, too.
    sizes = [config.evaluation.batch_size, config.data.train_samples, config.data.validation_samples]
    teachers = sorted(config.objective.teachers().values())
    return json.dumps([family(config), sizes, teachers])


def _on_a_gpu(trial: Trial, measure: Callable[[Tree], GpuMemory]) -> GpuMemory:
    # A process of its own, which ends and gives the GPU's memory back.
    task = ray.remote(num_cpus=1, num_gpus=1, max_calls=1, max_retries=0)(measure)
    try:
        memory: GpuMemory = ray.get(task.remote(trial.config.as_tree()))
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, UserError):
            raise cause from None
        remedy = "lower train.batch_size or evaluation.batch_size" if _is_memory(cause) else ""
        raise UserError(f"measuring {trial.name} on a GPU", first_line(cause), remedy) from error
    except ray.exceptions.RayError as error:
        raise UserError(f"measuring {trial.name} on a GPU", first_line(error)) from error
    return memory


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError)
