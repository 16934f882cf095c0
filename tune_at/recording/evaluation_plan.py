"""What `evaluate` is asked for, what of it the tables have, and what is missing."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tune_at.attacks.named import find_attack
from tune_at.config.attack import AskedAttack
from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.evaluation.robust import batch_count, batch_size
from tune_at.store.failures import Locked
from tune_at.store.fold import fold_table
from tune_at.store.layout import CHECKPOINT, SweepFolder
from tune_at.store.lock import sweep_lock
from tune_at.store.parts import list_files
from tune_at.study.trials import Trial
from tune_at.training.checkpoint import checkpoint_epoch
from tune_at.training.snapshot import BEST, INITIAL, find_checkpoint

TABLES = ("evaluations", "samples")
"""The tables that evaluations are written to."""

ORIGIN = "evaluate"
"""What the rows of `samples` name as their origin."""

TASK_STEPS = 1000
"""Attack steps on a batch that are worth a task of their own; of cheaper attacks a task takes several batches."""
TASK_BATCHES = 20


@dataclass(frozen=True)
class Target:
    """A checkpoint that is evaluated.

    Attributes:
        trial: whose.
        asked: as the user named it: `best`, `final`, `initial` or an epoch.
        checkpoint: as the tables name it: `best`, or `epoch-000012`. `final` is the epoch that is the last one now.
        epoch: after which the network was so.
    """

    trial: Trial
    asked: str
    checkpoint: str
    epoch: int


def find_target(folder: SweepFolder, trial: Trial, asked: str, best_epoch: int | None) -> Target:
    """The checkpoint that a user has named. Raises `UserError` if the trial has no such one.

    Args:
        folder: the sweep's.
        trial: whose.
        asked: `best`, `final`, `initial` or an epoch.
        best_epoch: as the table `trials` has it.
    """
    if asked == INITIAL:
        return Target(trial, asked, stored_name(0), 0)
    path = find_checkpoint(folder, trial.name, asked)
    if asked == BEST:
        return Target(trial, asked, BEST, best_epoch or 0)
    epoch = checkpoint_epoch(path)
    return Target(trial, asked, stored_name(epoch), epoch)


def stored_name(epoch: int) -> str:
    """What the tables call the checkpoint after an epoch, unless it was asked for as the best."""
    return f"{CHECKPOINT}{epoch:06d}"


def loaded_name(checkpoint: str) -> str:
    """What `load_snapshot` calls a checkpoint of the tables."""
    if checkpoint == BEST:
        return BEST
    epoch = int(checkpoint.removeprefix(CHECKPOINT))
    return str(epoch) if epoch else INITIAL


def settings_of(asked: AskedAttack, config: TrialConfig) -> dict[str, Any]:
    """All that decides what an attack does in a trial, as plain values."""
    return asdict(find_attack(asked.name, asked.threat(config.attack)))


def split_size(config: TrialConfig, split: str) -> int:
    """The number of images of a split."""
    data = config.data
    return {"train": data.train_samples, "val": data.validation_samples, "test": data.test_size}[split]


def require_examples(trials: Iterable[Trial], split: str, number: int) -> None:
    """Raise `UserError` if a trial's split has fewer than `number` images, or none."""
    for trial in trials:
        size = split_size(trial.config, split)
        if size == 0:
            raise UserError("--split", f"{trial.name} has no image in {split!r}", "choose another")
        if number > size:
            problem = f"{number} is more than the {size} images that {trial.name} has in {split!r}"
            raise UserError("-n", problem, f"give at most {size}, or leave it out for all of them")


@dataclass(frozen=True)
class Work:
    """Batches of one (checkpoint, attack) that are missing."""

    target: Target
    attack: AskedAttack
    batches: Sequence[int]

    @property
    def name(self) -> str:
        """What it is called where it fails."""
        numbers = f"{self.batches[0]}-{self.batches[-1]}" if len(self.batches) > 1 else f"{self.batches[0]}"
        return f"{self.target.trial.name} {self.target.checkpoint} {self.attack} batch {numbers}"


def missing(
    targets: Sequence[Target],
    attacks: Sequence[AskedAttack],
    split: str,
    number: int,
    evaluations: pa.Table,
    samples: pa.Table,
) -> list[Work]:
    """What the tables do not have, in pieces of about the size of a task; what takes longest comes first.

    A batch is done if both tables have all its rows, under the settings that the attack has in its trial now.

    Args:
        targets: the checkpoints.
        attacks: what is asked of each.
        split: of which images.
        number: how many of the first examples; 0 is all.
        evaluations: the table.
        samples: the table.
    """
    done = _done(evaluations, samples, split)
    work: dict[tuple[str, str, str, int], Work] = {}
    for attack in attacks:
        for target in targets:
            size = split_size(target.trial.config, split)
            settings = json.dumps(settings_of(attack, target.trial.config))
            key = (target.trial.name, target.checkpoint, target.epoch, str(attack))
            left = [
                batch
                for batch in range(batch_count(number or size))
                if done.get((*key, batch)) != (settings, batch_size(batch, size))
            ]
            most = _batches_a_task(attack, target.trial.config)
            for start in range(0, len(left), most):
                part = left[start : start + most]
                work.setdefault((*key[:2], key[3], part[0]), Work(target, attack, part))
    return sorted(work.values(), key=lambda piece: -_steps(piece.attack, piece.target.trial.config))


def _done(evaluations: pa.Table, samples: pa.Table, split: str) -> dict[tuple[Any, ...], tuple[str, int]]:
    """The settings and the number of examples of each batch of which all rows are there."""
    keys = ["trial", "checkpoint", "epoch", "attack", "batch"]
    ours = samples.filter((pc.field("split") == split) & (pc.field("origin") == ORIGIN))
    counted = ours.group_by(keys).aggregate([("example", "count")]).to_pylist()
    examples = {tuple(row[key] for key in keys): row["example_count"] for row in counted}
    rows = evaluations.filter(pc.field("split") == split).select([*keys, "settings", "n"]).to_pylist()
    known = {tuple(row[key] for key in keys): (row["settings"], row["n"]) for row in rows}
    return {key: value for key, value in known.items() if examples.get(key) == value[1]}


def _batches_a_task(attack: AskedAttack, config: TrialConfig) -> int:
    return max(1, min(TASK_BATCHES, TASK_STEPS // _steps(attack, config)))


def _steps(attack: AskedAttack, config: TrialConfig) -> int:
    """About how many passes an attack makes; AutoAttack's are counted as the dearest."""
    return int(settings_of(attack, config).get("steps", 5 * TASK_STEPS))


def fold_tables(folder: SweepFolder, tables: Sequence[str] = TABLES) -> None:
    """Fold what has been evaluated or probed into few files, unless the sweep is being run by its driver."""
    with contextlib.suppress(Locked), sweep_lock(folder):
        for table in tables:
            fold_table(folder, table, list_files(folder, table).parts, last=True)


def arguments_of(folder: SweepFolder, work: Work, data: Mapping[str, Any], split: str) -> dict[str, Any]:
    """What `evaluate_batches` is called with, as plain values."""
    target = work.target
    return {
        "folder": str(folder), "trial": target.trial.name, "checkpoint": target.checkpoint, "epoch": target.epoch,
        "config": target.trial.config.as_json(), "data": dict(data), "attack": asdict(work.attack), "split": split,
        "batches": list(work.batches),
    }  # fmt: skip
