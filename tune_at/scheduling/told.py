"""Imported trials as policies see them: of their configs only that is known which was told."""

import copy
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from tune_at.config.trial import TrialConfig
from tune_at.store.schema import TRIALS
from tune_at.store.snapshot import Snapshot
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.study.trials import Trial


@dataclass(frozen=True)
class ToldTrain:
    """The section `train`."""

    epochs: int
    selection: str


@dataclass(frozen=True)
class ToldConfig:
    """As much of a `TrialConfig` as policies look at."""

    train: ToldTrain
    tree: Mapping[str, Any]
    """What was told."""
    epochs: Sequence[int] = field(default=(), repr=False)
    """The recorded ones, ascending."""

    def evaluated_from(self, epoch: int) -> int:
        """The first recorded epoch at or after `epoch`, or else the last of the trial."""
        return next((known for known in self.epochs if known >= epoch), self.train.epochs)

    def model_dump_json(self, include: Collection[str]) -> str:
        """Sections as JSON."""
        sections = {name: self.tree[name] for name in include if name in self.tree and name != "train"}
        return json.dumps({**sections, "train": {"selection": self.train.selection}}, sort_keys=True)


def told_trials(study: Study, snapshot: Snapshot) -> tuple[Study, list[Trial]]:
    """The trials of imported curves, by name, and a study that has them as its own.

    One that is completed was to run as long as it did; another one as long as the longest.
    """
    epochs = snapshot.frame("epochs")
    recorded = {str(name): sorted(part["epoch"].tolist()) for name, part in epochs.groupby("trial")}
    longest = max((known[-1] for known in recorded.values()), default=1)
    trials = []
    for row in snapshot.arrow("trials").to_pylist():
        known = recorded.get(row["trial"], [])
        whole = known[-1] if known and row["status"] == Status.COMPLETED else longest
        config = ToldConfig(ToldTrain(whole, row["selection"]), json.loads(row["config"]), known)
        swept = {name: value for name, value in row.items() if name not in TRIALS.names}
        trials.append(Trial(row["trial"], cast(TrialConfig, config), swept))
    copied = copy.copy(study)
    copied.__dict__.update(_resolved=trials, _samples=trials)
    return copied, trials
