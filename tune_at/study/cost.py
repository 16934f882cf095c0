"""How long a sweep may take, before anything has run: a count of multiply-adds and a rough rate."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from tune_at.config.trial import TrialConfig

CPU_RATE = 2e10
"""Multiply-adds a second and core that small networks reach; large ones reach several times as many."""
GPU_RATE = 5e12
"""Multiply-adds a second that a current data-centre GPU reaches in float32 training."""
RAY_START = 9.0
"""Seconds from a command to a running Ray, on a small machine: imports, the first batches, Ray itself."""
WORKER_START = 4.0
"""Seconds from there to the first trial's start: its worker's process and what it imports."""
BUILDING = 0.3
"""Seconds in which a trial reads its data and builds its network."""
RECORDING = 0.04
"""Seconds in which an epoch's checkpoint, rows and events are written and its result reaches the driver."""
EVALUATION_STEP_PASSES = 4
"""Forward-pass equivalents of an evaluation by one step of PGD."""


def train_passes(config: TrialConfig) -> float:
    """Forward-pass equivalents of training on one sample: a step of the attack costs two, an outer pass three."""
    fixed = config.objective.attack_steps
    return 2 * (config.attack.steps if fixed is None else fixed) + 3 * config.objective.outer_passes


def train_samples_passes(config: TrialConfig) -> float:
    """Forward-pass equivalents, one sample each, of training for an epoch."""
    return config.data.train_samples * train_passes(config)


def evaluated_passes(config: TrialConfig) -> float:
    """Forward-pass equivalents of an average evaluation."""
    data, evaluation = config.data, config.evaluation
    samples = min(evaluation.train_samples, data.train_samples) / evaluation.train_every + data.validation_samples
    samples += data.test_size if evaluation.test_samples == "all" else min(evaluation.test_samples, data.test_size)
    return samples * (2 * evaluation.steps + 2)


def epoch_passes(config: TrialConfig) -> float:
    """Forward-pass equivalents, one sample each, of an average epoch with its share of evaluation."""
    return train_samples_passes(config) + evaluated_passes(config) / config.evaluation.every


@dataclass(frozen=True)
class Speed:
    """How fast trials of one kind are on this machine, in seconds; measured while nothing else runs."""

    start: float
    """Reading the data and building the network."""
    training: float
    """Of training, per sample and forward-pass equivalent."""
    evaluation: float
    """Of evaluation, the same."""


@dataclass(frozen=True)
class TrialCost:
    """What a trial takes of its worker's time, in seconds."""

    start: float
    """Before its first epoch."""
    training: float
    """Of an epoch, with what is written after it."""
    evaluation: float
    """Of one evaluation, on average."""
    epochs: int
    every: int
    """Epochs between evaluations; the last one is always evaluated."""

    @classmethod
    def of(cls, config: TrialConfig, speed: Speed, slowdown: float = 1.0) -> "TrialCost":
        """The cost of a trial of that speed, whose computations take `slowdown` times as long beside others."""
        training = train_samples_passes(config) * speed.training + RECORDING
        return cls(
            slowdown * speed.start,
            slowdown * training,
            slowdown * evaluated_passes(config) * speed.evaluation,
            config.train.epochs,
            config.evaluation.every,
        )

    def left(self, epoch: int = 0) -> float:
        """Seconds from the end of `epoch` to the trial's end; from 0 with its start, and after its last epoch none."""
        if epoch >= self.epochs:
            return 0.0
        evaluations = self.epochs // self.every - epoch // self.every + (self.epochs % self.every > 0)
        start = self.start if epoch == 0 else 0.0
        return start + (self.epochs - epoch) * self.training + evaluations * self.evaluation

    @classmethod
    def mean(cls, costs: Iterable["TrialCost"]) -> "TrialCost":
        """Of an average trial of several."""
        listed = list(costs)
        start, training, evaluation, epochs, every = (
            sum(column) / len(listed)
            for column in zip(*((c.start, c.training, c.evaluation, c.epochs, c.every) for c in listed), strict=True)
        )
        return cls(start, training, evaluation, round(epochs), max(1, round(every)))


def rough_cost(config: TrialConfig) -> TrialCost:
    """The cost of a trial from a count of its operations alone, on its own resources."""
    gpu = 1.0 if config.resources.gpu == "auto" else config.resources.gpu  # its share is not known before a start
    rate = GPU_RATE * min(1, gpu) if gpu else CPU_RATE * config.resources.cpu
    seconds = config.model.flops(config.data.shape, config.data.num_classes) / rate
    return TrialCost.of(config, Speed(BUILDING, seconds, seconds))


def trial_seconds(config: TrialConfig) -> float:
    """A rough estimate for one trial on its own resources."""
    return rough_cost(config).left()


def sweep_seconds(seconds: Iterable[float], concurrency: int) -> float:
    """The end of the last of several trials when `concurrency` of them run at a time, in order."""
    ends = [0.0] * max(1, concurrency)
    for duration in seconds:
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)
