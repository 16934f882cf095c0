"""What a run leaves for the next, longer run of its point: its state after the last epoch that the two have in common.

Up to there a run from scratch would give the same numbers (`TrialConfig.shared_epochs`), so that whether a run begins
with such a state, or has lost it, shows in its time alone.
"""

from dataclasses import replace
from typing import Any

from tune_at.recording.spec import TrialSpec
from tune_at.training.checkpoint import DamagedCheckpoint, load_state, save_state
from tune_at.training.record import EpochRecord
from tune_at.training.trainer import Trainer


def leave(spec: TrialSpec, trainer: Trainer) -> None:
    """Keep the state after the newest epoch, and with it the weights of the best epoch so far. Raises `StorageFailed`.

    Where those are lost nothing is kept: the longer run would have no weights of that epoch.
    """
    best = None
    if trainer.best is not None:
        try:
            best = load_state(spec.place.best(spec.trial))["model"]
        except (FileNotFoundError, DamagedCheckpoint):
            return
    save_state(spec.place.branch(spec.trial), {**trainer.state_dict(), "best": best})


def begin(spec: TrialSpec, trainer: Trainer, notes: list[str]) -> tuple[bool, dict[str, Any] | None]:
    """Bring a new trainer to where the shorter run has left its state.

    Args:
        spec: the longer run's.
        trainer: of the longer run, before its first epoch.
        notes: where a damaged file is named.

    Returns:
        Whether there is such a state, and the weights of the best epoch so far, if one was evaluated. The epochs that
        are taken over have cost this run no time, and say so.
    """
    path = spec.place.branch(spec.begins["source"])
    try:
        state = load_state(path, trainer.device)
    except FileNotFoundError:
        return False, None
    except DamagedCheckpoint as error:
        notes.append(f"{error}; the trial starts from its first epoch")
        return False, None
    if len(state["history"]) != spec.begins["epoch"]:
        return False, None
    records = [EpochRecord(**record) for record in state["history"]]
    trainer.take_over(state, [replace(record, train_seconds=0.0, evaluation_seconds=0.0) for record in records])
    return True, state["best"]
