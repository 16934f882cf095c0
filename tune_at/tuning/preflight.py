"""Before a sweep starts: one batch of each kind of trial, so that a mistake shows now and not overnight."""

import json
import os
import time
from collections.abc import Iterable

from tune_at.config.trial import ResourcesSection, TrialConfig
from tune_at.errors import UserError
from tune_at.recording.rows import cause_of
from tune_at.study.cost import train_passes
from tune_at.study.trials import Trial
from tune_at.training.trainer import Trainer

BUDGET = 2e10
"""Multiply-adds that one trial's batch may cost here; larger networks are tried with fewer samples."""


def family(config: TrialConfig) -> str:
    """What configs share when one batch of one of them speaks for all: the code that runs and the shapes."""
    tree = config.as_tree()
    forms = [value for value in tree["objective"].values() if isinstance(value, str)]
    return json.dumps(
        [tree["model"], config.train.precision, config.train.compile, config.data.name, config.data.shape,
         config.data.num_classes, config.data.crop, config.data.flip, forms, config.optim.name, config.attack.norm,
         config.train.batch_size]
    )  # fmt: skip


def preflight(trials: Iterable[Trial]) -> dict[str, float]:
    """Train and evaluate one batch of each family, on the CPU.

    Returns:
        Measured seconds of training per sample and forward-pass equivalent, by family.

    Raises:
        UserError: the trial's name and what went wrong in it.
    """
    seconds: dict[str, float] = {}
    for trial in trials:
        key = family(trial.config)
        if key in seconds:
            continue
        try:
            seconds[key] = _one_batch(trial.config)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"preflight of {trial.name}", cause_of(error), "the first batch of this trial fails"
            ) from error
    return seconds


def _one_batch(config: TrialConfig) -> float:
    mine = ResourcesSection(cpu=min(config.resources.cpu, os.cpu_count() or 1), gpu=0)
    # What is compiled for a GPU is not tried by compiling it for this machine's CPU.
    train = config.train.model_copy(update={"compile": config.train.compile and config.resources.gpu == 0})
    here = config.model_copy(update={"resources": mine, "train": train})
    trainer = Trainer(here, dict.fromkeys(config.objective.teachers()))
    per_sample = train_passes(config) * config.model.flops(config.data.shape, config.data.num_classes)
    samples = max(2, min(config.train.batch_size, int(BUDGET / per_sample)))
    trainer.try_batch(samples)  # the first also pays for what torch sets up once
    began = time.perf_counter()
    trainer.try_batch(samples)
    return (time.perf_counter() - began) / samples / train_passes(config)
