"""Before a sweep starts: one batch of each kind of trial, so that a mistake shows now and not overnight."""

import json
import os
import threading
import time
from collections.abc import Iterable
from typing import Any

import torch

from tune_at.config.trial import ResourcesSection, TrialConfig
from tune_at.errors import UserError, joined
from tune_at.recording.rows import cause_of
from tune_at.study.cost import EVALUATION_STEP_PASSES, Speed, train_passes
from tune_at.study.trials import Trial
from tune_at.training.trainer import Trainer

BUDGET = 2e10
"""Multiply-adds that one trial's batch may cost here; larger networks are tried with fewer samples."""
MEASURING = 0.3
"""Seconds for which batches of a family are timed; slow ones are timed once."""
CONTENTION = 0.4
"""Seconds for which cores are loaded, alone and together, to see how much they slow each other down."""

FREE = {"data": ("noise_rate", "validation", "subset", "split_seed")}
"""Keys whose values change numbers, never the code that runs or its shapes."""


def family(config: TrialConfig) -> str:
    """What configs share when one batch of one of them speaks for all: the code that runs and the shapes.

    Names and switches count by their value; so do sizes. Of an objective's, an attack's or an optimiser's number counts
    only whether it is zero, which may switch a term off.
    """
    tree = config.as_tree()
    data = {key: value for key, value in tree["data"].items() if key not in FREE["data"]}
    optim = {key: _kind(value) for key, value in tree["optim"].items() if key != "schedule"}
    forms = [_kind(tree["objective"]), _kind(tree["attack"]), optim, config.evaluation.keep_attacking]
    train = config.train
    shapes = [config.data.shape, config.data.num_classes, train.batch_size, config.resources.cpu]
    return json.dumps([tree["model"], data, train.precision, train.compile, shapes, forms])


def _kind(value: Any) -> Any:
    """A value as far as it can switch what code runs."""
    if isinstance(value, dict):
        return {key: _kind(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_kind(part) for part in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return int(value != 0)


def preflight(trials: Iterable[Trial]) -> dict[str, Speed]:
    """Train and evaluate one batch of each family, on the CPU. Imports no Ray.

    Returns:
        How fast each family is on this machine while nothing else runs, by `family`.

    Raises:
        UserError: what went wrong, with the trial's name; of several families, all that fail.
    """
    speeds: dict[str, Speed] = {}
    failed: dict[str, UserError] = {}
    for trial in trials:
        key = family(trial.config)
        if key in speeds or key in failed:
            continue
        try:
            speeds[key] = _try(trial.config)
        except UserError as error:
            failed[key] = error
        except Exception as error:
            where = f"preflight of {trial.name}"
            failed[key] = UserError(where, cause_of(error), "the first batch of this trial fails")
            failed[key].__cause__ = error
    if failed:
        raise joined(failed.values(), "preflight")
    return speeds


def _try(config: TrialConfig) -> Speed:
    mine = ResourcesSection(cpu=min(config.resources.cpu, os.cpu_count() or 1), gpu=0)
    # What is compiled for a GPU is not tried by compiling it for this machine's CPU.
    train = config.train.model_copy(update={"compile": config.train.compile and config.resources.gpu == 0})
    here = config.model_copy(update={"resources": mine, "train": train})
    began = time.perf_counter()
    trainer = Trainer(here, dict.fromkeys(config.objective.teachers()))
    built = time.perf_counter() - began
    per_sample = train_passes(config) * config.model.flops(config.data.shape, config.data.num_classes)
    most = max(2, int(BUDGET / per_sample))
    samples = min(config.train.batch_size, most)
    trainer.try_batch(samples, epoch=1)  # the first also pays for what torch sets up once
    times = [trainer.try_batch(samples)]
    while sum(map(sum, times)) < MEASURING and len(times) < 20:
        times.append(trainer.try_batch(samples))
    training, evaluation = (sum(column) / len(times) / samples for column in zip(*times, strict=True))
    return Speed(built, training / train_passes(config), evaluation / EVALUATION_STEP_PASSES)


def slowdown(at_once: int, threads: int) -> float:
    """How many times longer a computation takes when `at_once` of them run on this machine, each on `threads` cores.

    Cores share memory, caches and, as hyperthreads, their units; and somebody else may be using them. Above 1 in any
    case.
    """
    if at_once < 2:
        return 1.0
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        alone = _rate(1)
        return max(1.0, alone / _rate(at_once))
    finally:
        torch.set_num_threads(before)


def _rate(workers: int) -> float:
    """Convolutions a second that each of `workers` threads gets done while all work."""
    images, kernels = torch.zeros(64, 32, 16, 16), torch.zeros(32, 32, 3, 3)
    counts = [0] * workers
    together = threading.Barrier(workers)

    def work(number: int) -> None:
        with torch.inference_mode():
            torch.nn.functional.conv2d(images, kernels, padding=1)
            together.wait()
            until = time.perf_counter() + CONTENTION
            while time.perf_counter() < until:
                # Outside of Python's lock: a millisecond or so each.
                torch.nn.functional.conv2d(images, kernels, padding=1)
                counts[number] += 1

    team = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    return sum(counts) / workers / CONTENTION
