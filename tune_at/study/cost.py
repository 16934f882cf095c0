"""How long a sweep may take, before anything has run: a count of multiply-adds and a rough rate."""

from collections.abc import Iterable

from tune_at.config.trial import TrialConfig

CPU_RATE = 2e10
"""Multiply-adds a second and core that small networks reach; large ones reach several times as many."""
GPU_RATE = 5e12
"""Multiply-adds a second that a current data-centre GPU reaches in float32 training."""


def train_passes(config: TrialConfig) -> float:
    """Forward-pass equivalents of training on one sample: a step of the attack costs two, an outer pass three."""
    fixed = config.objective.attack_steps
    return 2 * (config.attack.steps if fixed is None else fixed) + 3 * config.objective.outer_passes


def epoch_passes(config: TrialConfig) -> float:
    """Forward-pass equivalents, one sample each, of an average epoch with its share of evaluation."""
    data, evaluation = config.data, config.evaluation
    evaluated = min(evaluation.train_samples, data.train_samples) / evaluation.train_every + data.validation_samples
    evaluated += data.test_size if evaluation.test_samples == "all" else min(evaluation.test_samples, data.test_size)
    return data.train_samples * train_passes(config) + evaluated * (2 * evaluation.steps + 2) / evaluation.every


def trial_seconds(config: TrialConfig) -> float:
    """A rough estimate for one trial on its own resources."""
    gpu = 1.0 if config.resources.gpu == "auto" else config.resources.gpu  # its share is not known before a start
    rate = GPU_RATE * min(1, gpu) if gpu else CPU_RATE * config.resources.cpu
    passes = config.train.epochs * epoch_passes(config)
    return passes * config.model.flops(config.data.shape, config.data.num_classes) / rate


def sweep_seconds(seconds: Iterable[float], concurrency: int) -> float:
    """The end of the last of several trials when `concurrency` of them run at a time, in order."""
    ends = [0.0] * max(1, concurrency)
    for duration in seconds:
        first = ends.index(min(ends))
        ends[first] += duration
    return max(ends)
