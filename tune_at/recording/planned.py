"""A checkpoint as it was planned for a task: what workers of `evaluate` and `probe` begin with."""

from collections.abc import Mapping
from typing import Any

from tune_at.config.facts import KnownData
from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.recording.evaluation_plan import loaded_name
from tune_at.store.layout import SweepFolder
from tune_at.training.snapshot import NetworkSnapshot, load_snapshot


def load_planned(
    folder: SweepFolder, trial: str, checkpoint: str, epoch: int, config: str, data: Mapping[str, Any]
) -> tuple[TrialConfig, NetworkSnapshot]:
    """The trial's own config, and the checkpoint's network with its data.

    Args:
        folder: the sweep's.
        trial: its name.
        checkpoint: as the tables have it: `best`, or `epoch-000012`.
        epoch: the checkpoint's, as it was planned.
        config: the trial's, as JSON.
        data: what the sweep has recorded of the trial's data.

    Raises:
        UserError: no such checkpoint, another epoch's by now, or data that has changed.
    """
    known = KnownData.from_record(data)
    planned = TrialConfig.from_json(config, data=known)
    snapshot = load_snapshot(folder, trial, loaded_name(checkpoint), planned, known)
    if snapshot.epoch != epoch:
        problem = f"its checkpoint {checkpoint} is epoch {snapshot.epoch}'s by now, not {epoch}'s"
        raise UserError(f"trial {trial}", problem, "call the command again")
    snapshot.engine.set_products()
    return planned, snapshot
