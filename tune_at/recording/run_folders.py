"""In which folder TensorBoard finds a trial's run: one level for each swept key of few values, then what is left of
the trial's name.

`objective=trades/noise_rate=0.5/07-s0` is the trial `07-trades-noise_rate=0.5-s0`: a list of a thousand runs is in the
order of their values, `objective=trades/` chooses a group, and `objective=(\\w+)` colours by it.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tune_at.config.space import Choice
from tune_at.config.trial import NAMED_SECTIONS
from tune_at.study.comparison import plain
from tune_at.study.study import Study

FEW = 12
"""Values of a key up to which each has a folder of its own; of more, a folder would hold hardly a trial."""

DEEP = 2
"""Keys that have folders: a list of runs is narrow, and a name breaks at its `-` alone. The others stay in the name."""


class RunFolders:
    """The folders of one sweep's runs. They follow from what the study sweeps alone, so they stay when it is resumed.

    A key that is drawn from a range has no folder: nearly each trial would have its own.
    """

    def __init__(self, study: Study) -> None:
        values = {path: list(items) for path, items in study.axes.items()}
        drawn = {path: list(d.values) for path, d in study.space.items() if isinstance(d, Choice)}
        keys = [path for path, items in (values | drawn).items() if 1 < len(items) <= FEW]
        ends = Counter(_last(path) for path in keys)
        self._shown = {path: _last(path) if ends[_last(path)] == 1 else path for path in keys}
        self._staged = len(study.stages) > 1

    def of(self, trial: str, swept: Mapping[str, Any], stage: str) -> str:
        """The path of a trial's run, `objective=trades/noise_rate=0.5/07-s0`.

        Args:
            trial: its name, whose number stays in front: no two runs have the same.
            swept: its value of each swept key.
            stage: its stage, which comes first in a study that has several.
        """
        labels = []
        for path, shown in self._shown.items():
            # An axis of mappings, as {eps: …, step: …}, is told by the first key that they set.
            key = path if path in swept else next((k for k in swept if k.startswith(f"{path}.")), "")
            if (value := swept.get(key)) is not None:
                text = str(value).lower() if isinstance(value, bool) else plain(value)  # as the trial's name has it
                labels.append((shown, re.sub(r"[^A-Za-z0-9_.+-]+", "_", text).strip("_")))
        for key, value in labels[:DEEP]:
            # A section's own name stands in a trial's without its key.
            trial = re.sub(rf"-({re.escape(key)}=)?{re.escape(value)}(?=-)", "", trial, count=1)
        stages = [stage] if self._staged else []
        return "/".join([*stages, *(f"{key}={value}" for key, value in labels[:DEEP]), trial])


def trial_number(run: str) -> str:
    """What a run and its trial have in common and no other has, whatever version has written the run: the number with
    which the trial's name begins, the length where a point has several runs (`study.ladder`), and the seed.
    """
    name = run.rpartition("/")[2]
    first, seed = re.match(r"\d*(-\d+epochs(?=-))?", name), re.search(r"-s\d+$", name)
    return (first[0] if first else "") + (seed[0] if seed else "")


def _last(path: str) -> str:
    """The name of a key without its section; of a section's own name, the section's."""
    section = path.removesuffix(".name")
    return (section if section in NAMED_SECTIONS else path).rpartition(".")[2]
