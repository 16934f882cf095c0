"""What a sweep's folder records of learning curves from elsewhere, which no study of ours has trained."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tune_at.config.facts import KnownData
from tune_at.config.trial import ELSEWHERE, TrialConfig
from tune_at.store.schema import TRIALS
from tune_at.store.status import Status
from tune_at.study.trials import Trial


@dataclass(frozen=True)
class ImportedCurves:
    """Where curves came from and how they were read; in `study.yaml` it stands in place of axes and a search.

    The trials themselves are the rows of the table `trials`: of their configs only that is known which was told.
    """

    source: str
    """The file or folder, as it was typed."""
    trials: int
    """How many there are."""
    selection: str
    """The split on which trials are judged, `validation` or `test`."""
    arguments: Sequence[str] = ()
    """The options of `import`, for whoever imports them again."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Their columns → ours, of those that have another name here."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Our names of trials → theirs, where theirs cannot be the name of a file."""
    read: Callable[[], Sequence[Trial]] = field(default=tuple, compare=False)
    """Gives the trials, of a sweep that was opened."""

    def as_record(self) -> dict[str, Any]:
        """Plain values for YAML."""
        return {
            "source": self.source, "trials": self.trials, "selection": self.selection,
            "arguments": list(self.arguments), "columns": dict(self.columns), "names": dict(self.names),
        }  # fmt: skip

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> "ImportedCurves | None":
        """What `as_record` gave; None for a sweep that was trained here."""
        return None if record is None else cls(**record)


def trials_of(rows: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """The trials of imported curves, from the rows of their table.

    A config has what is known, and defaults for the rest, which nobody should believe: but it says by what trials are
    compared, as any config does. One that is completed has as many epochs as its curve, any other as the longest.
    """
    longest = max((int(row["epochs"]) for row in rows), default=1)
    swept = [column for column in (rows[0] if rows else ()) if column not in TRIALS.names]
    trials = []
    for row in rows:
        epochs = int(row["epochs"]) if row["status"] == Status.COMPLETED else longest
        config = _config(row["config"], epochs).model_copy(update={"seed": int(row["seed"])})
        values = {key: None if isinstance(v := row[key], float) and math.isnan(v) else v for key in swept}
        trials.append(Trial(row["trial"], config, values))
    return trials


def _config(recorded: str, epochs: int) -> TrialConfig:
    tree = json.loads(recorded)
    del tree[ELSEWHERE]  # what is no key of ours
    tree["train"] = {**tree.get("train", {}), "epochs": epochs}
    return _parsed(json.dumps(tree, sort_keys=True))


@lru_cache(maxsize=4096)
def _parsed(tree: str) -> TrialConfig:
    """Many trials, few configs that differ in keys of ours: each is read once."""
    return TrialConfig.parse(json.loads(tree), complete=False, data=KnownData(recorded=True))
