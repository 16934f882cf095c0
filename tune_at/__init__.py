"""Tune-AT: distributed sweeps of adversarial training with Ray Tune.

The names below are imported when they are first used, so that `tune_at.store` and the command line's help need
neither torch nor Ray.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tune_at.version import __version__

if TYPE_CHECKING:
    from tune_at.config.trial import TrialConfig
    from tune_at.errors import UserError
    from tune_at.recording.trained import load_network, load_trained
    from tune_at.store import read_table
    from tune_at.study.study import Study
    from tune_at.training.record import EpochRecord
    from tune_at.training.trainer import Trainer

__all__ = [
    "EpochRecord",
    "Study",
    "Trainer",
    "TrialConfig",
    "UserError",
    "__version__",
    "load_network",
    "load_trained",
    "read_table",
]

_HOMES = {
    "EpochRecord": "tune_at.training.record",
    "Study": "tune_at.study.study",
    "Trainer": "tune_at.training.trainer",
    "TrialConfig": "tune_at.config.trial",
    "load_network": "tune_at.recording.trained",
    "load_trained": "tune_at.recording.trained",
    "UserError": "tune_at.errors",
    "read_table": "tune_at.store",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
