"""Accuracies of the best and the final networks, by attack: from `evaluations`, or from what training measured."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from analysis.frames import Frames
from analysis.paper.rows import NATURAL
from analysis.tables.cells import EVALUATED, TRAINED, Measured, records
from tune_at.store.layout import CHECKPOINT

BEST, FINAL, DIFF = "best", "final", "diff"

TRAINING_ATTACK = "pgd-10"
"""What training's own evaluation is, in a trial with these many steps that attacks to the end."""


class _Batches(NamedTuple):
    """What is there of one (trial, checkpoint, attack): batches from the first on, under one set of settings."""

    sizes: tuple[int, ...]
    correct: tuple[int, ...]
    natural: tuple[int, ...] | None


def accuracies(frames: Frames, split: str, images: int | None) -> dict[tuple[str, str, str], Measured | str]:
    """By (trial, column, part): accuracy in %, or why there is none.

    Columns are natural and the attacks, parts `best` and `final`: the trial's best epoch and its last one as `trials`
    has them. A column of a trial has both parts from one source, the one that has more of them; of `evaluate` where
    both have as many.

    Args:
        frames: the sweep's.
        split: of which images.
        images: the first so many that were attacked; None for the most that any network has under the attack, among
            the trials of one data set. A network that was attacked on fewer counts as not evaluated.
    """
    data = dict(zip(frames.trials["trial"], frames.trials["data.name"], strict=True))
    batches = _batches(frames, split)
    most: dict[tuple[str, str], int] = {}
    for (trial, column, _), have in batches.items():
        most[data[trial], column] = max(most.get((data[trial], column), 0), sum(have.sizes))
    by_source: dict[tuple[str, str], dict[str, dict[str, Measured | str]]] = {}
    for (trial, column, part), have in batches.items():
        wanted = images or most[data[trial], column]
        by_source.setdefault((trial, column), {}).setdefault(EVALUATED, {})[part] = _first(have, wanted)
    for trial, column, part, value in _of_training(frames, split):
        by_source.setdefault((trial, column), {}).setdefault(TRAINED, {})[part] = value
    for (trial, column), sources in list(by_source.items()):
        if column != NATURAL and EVALUATED in sources:
            here = by_source.setdefault((trial, NATURAL), {})
            natural = _natural(batches, trial, column, sources[EVALUATED])
            if natural and _covers(natural) > _covers(here.get(EVALUATED, {})):
                here[EVALUATED] = natural
    return {
        (trial, column, part): value
        for (trial, column), sources in by_source.items()
        for part, value in _fuller(sources).items()
    }


def _batches(frames: Frames, split: str) -> dict[tuple[str, str, str], _Batches]:
    """What the networks have that are the trials' best and final ones now, by (trial, attack, part)."""
    wanted = {}
    for row in records(frames.trials):
        best, last = row.get("best_epoch"), int(row["train.epochs"])
        wanted[row["trial"], BEST, 0 if best is None or best != best else int(best)] = BEST
        wanted[row["trial"], f"{CHECKPOINT}{last:06d}", last] = FINAL
    rows = frames.evaluations
    rows = rows[rows["split"] == split].sort_values("batch")
    columns = ["trial", "checkpoint", "epoch", "attack", "batch", "n", "correct", "natural_correct", "settings"]
    parts: dict[tuple[str, str, str], list[tuple[Any, ...]]] = {}
    for trial, checkpoint, epoch, attack, *rest in zip(*(rows[name].tolist() for name in columns), strict=True):
        if part := wanted.get((trial, checkpoint, epoch)):
            parts.setdefault((trial, attack, part), []).append(tuple(rest))
    found = {}
    for key, batches in parts.items():
        numbers, sizes, correct, natural, settings = zip(*batches, strict=True)
        if numbers == tuple(range(len(batches))) and len(set(settings)) == 1:
            found[key] = _Batches(sizes, correct, None if any(pd.isna(item) for item in natural) else natural)
    return found


def _first(have: _Batches, wanted: int, natural: bool = False) -> Measured | str:
    """The accuracy on the first `wanted` images."""
    total, count = 0, 0
    for size in have.sizes:
        if total >= wanted:
            break
        total, count = total + size, count + 1
    if total != wanted:
        return f"evaluated on {sum(have.sizes):,} images, not on {wanted:,}"
    correct = have.natural if natural and have.natural is not None else have.correct
    return Measured(100 * sum(correct[:count]) / total, total, EVALUATED)


def _natural(
    batches: Mapping[tuple[str, str, str], _Batches], trial: str, attack: str, parts: Mapping[str, Measured | str]
) -> dict[str, Measured | str]:
    """The natural accuracies of the images that an attack was tried on."""
    found: dict[str, Measured | str] = {}
    for part, robust in parts.items():
        have = batches[trial, attack, part]
        if isinstance(robust, Measured) and robust.images and have.natural is not None:
            found[part] = _first(have, robust.images, natural=True)
    return found


def _covers(parts: Mapping[str, Measured | str]) -> tuple[int, int]:
    """How many networks, on how many images at least: the best natural accuracies are those of most."""
    images = [item.images or 0 for item in parts.values() if isinstance(item, Measured)]
    return len(images), min(images, default=0)


def _of_training(frames: Frames, split: str) -> Iterator[tuple[str, str, str, Measured]]:
    """What training measured at a trial's best and last epoch: natural accuracy, and PGD-10 where it is such."""
    trials = {row["trial"]: row for row in records(frames.trials)}
    parts: dict[tuple[str, float], list[str]] = {}
    for name, row in trials.items():
        for part, epoch in ((BEST, row.get("best_epoch")), (FINAL, row["train.epochs"])):
            if epoch is not None and epoch == epoch:
                parts.setdefault((name, epoch), []).append(part)
    columns = {NATURAL: f"{split}_natural_accuracy", TRAINING_ATTACK: f"{split}_robust_accuracy"}
    there = {column: key for column, key in columns.items() if key in frames.epochs}
    for measured in records(frames.epochs[["trial", "epoch", *there.values()]]):
        row = trials.get(measured["trial"], {})
        some = row.get("evaluation.test_samples")
        images = int(some) if split == "test" and isinstance(some, int | float) and some == some else None
        for part in parts.get((measured["trial"], measured["epoch"]), ()):
            for column, key in there.items():
                if pd.notna(measured[key]) and (column == NATURAL or _is_pgd_10(row)):
                    yield measured["trial"], column, part, Measured(100 * float(measured[key]), images)


def _is_pgd_10(trial: Mapping[str, Any]) -> bool:
    return trial.get("evaluation.steps") == 10 and trial.get("evaluation.keep_attacking") is not False


def _fuller(sources: Mapping[str, Mapping[str, Measured | str]]) -> Mapping[str, Measured | str]:
    """The source that has more numbers."""

    def count(source: str) -> int:
        return sum(isinstance(item, Measured) for item in sources[source].values())

    return sources[max(sorted(sources, key=lambda name: name != EVALUATED), key=count)]
