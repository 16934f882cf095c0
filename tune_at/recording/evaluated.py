"""The work of `evaluate`: batches of one (trial, checkpoint, attack), each written as soon as it is done."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from tune_at.attacks.named import find_attack
from tune_at.attacks.pgd import PGD
from tune_at.config.attack import AskedAttack, AttackSection
from tune_at.data.batches import Batch
from tune_at.evaluation.robust import Attacked, attack_batch, batch_chance, batch_places, fixed_order
from tune_at.recording.evaluation_plan import ORIGIN, settings_of
from tune_at.recording.planned import load_planned
from tune_at.store.layout import SweepFolder
from tune_at.store.writer import write_rows
from tune_at.training.snapshot import NetworkSnapshot


def evaluate_batches(
    folder: str,
    trial: str,
    checkpoint: str,
    epoch: int,
    config: str,
    data: Mapping[str, Any],
    attack: Mapping[str, str],
    split: str,
    batches: Sequence[int],
) -> None:
    """Attack batches of a trial's checkpoint and write their parts of `samples` and `evaluations`, in this order.

    So a batch that has its row of `evaluations` is done. A batch that is done again gives the same rows.

    Args:
        folder: the sweep's.
        trial: its name.
        checkpoint: as the tables have it: `best`, or `epoch-000012`.
        epoch: the checkpoint's, as it was planned.
        config: the trial's, as JSON.
        data: what the sweep has recorded of the trial's data.
        attack: the fields of an `AskedAttack`.
        split: `train`, `val` or `test`. On training images the labels count that were trained on.
        batches: their numbers.

    Raises:
        UserError: no such checkpoint, another epoch's by now, or data that has changed.
        StorageFailed: what has been written before stays.
    """
    place, asked = SweepFolder.of(folder), AskedAttack(**attack)
    planned, snapshot = load_planned(place, trial, checkpoint, epoch, config, data)
    images = snapshot.split(split)
    true = snapshot.images.true_labels if split == "train" else images.labels
    order = fixed_order(true.cpu().numpy())
    row = {"trial": trial, "checkpoint": checkpoint, "epoch": epoch, "split": split, "attack": str(asked)}
    for number in batches:
        began = time.perf_counter()
        index = torch.from_numpy(np.ascontiguousarray(batch_places(order, number))).to(snapshot.device)
        batch = images.take(index)
        outcome = _attacked(snapshot, batch, asked, planned.attack, number)
        here = {**row, "batch": number}
        write_rows(place, "samples", trial, _samples(here, outcome, batch, true[index]))
        right = int(outcome.robust_correct.sum())
        counts = {"n": len(index), "natural_correct": int(outcome.natural_correct.sum()), "correct": right}
        ended = {"seconds": time.perf_counter() - began, "evaluated": datetime.now(UTC)}
        settings = settings_of(asked, planned)
        write_rows(
            place, "evaluations", trial,
            [{**here, **counts, "accuracy": right / len(index), **ended, "settings": json.dumps(settings)}],
        )  # fmt: skip


def _attacked(
    snapshot: NetworkSnapshot, batch: Batch, asked: AskedAttack, trained: AttackSection, number: int
) -> Attacked:
    network, engine = snapshot.network, snapshot.engine
    spec = find_attack(asked.name, asked.threat(trained))
    # AutoAttack makes a view of its own.
    view = engine.view(network, exact=not spec.keep_attacking) if isinstance(spec, PGD) else network
    return attack_batch(network, batch, spec, batch_chance(snapshot.device, asked.name, number), view)


def _samples(row: Mapping[str, Any], outcome: Attacked, batch: Batch, true: torch.Tensor) -> list[dict[str, Any]]:
    columns = {
        "example": batch.index, "label": true, "trained_label": batch.y,
        "natural_prediction": outcome.natural_prediction, "robust_prediction": outcome.robust_prediction,
        "correct": outcome.robust_correct, "natural_loss": outcome.natural_loss, "robust_loss": outcome.robust_loss,
    }  # fmt: skip
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [{**row, "origin": ORIGIN, **dict(zip(columns, example, strict=True))} for example in values]
