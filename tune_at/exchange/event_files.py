"""TensorBoard's event files: a folder a trial, a scalar a column."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from tune_at.errors import UserError
from tune_at.exchange.rows import Rows

PATTERN = "*tfevents*"

STEP = "step"
"""The column of TensorBoard's own steps."""


def find_runs(folder: Path) -> list[Path]:
    """The folders with event files of their own, sorted."""
    return sorted({path.parent for path in folder.rglob(PATTERN) if path.is_file()})


def read_events(folder: Path, name: str) -> Rows:
    """The scalars of all runs, a row a (run, step). Raises `UserError` where there are none.

    A run is called by its path below the folder. A step that a run has written twice, as after a restart, has its last
    value, as in TensorBoard.
    """
    parts, trials = [], []
    for run in find_runs(folder):
        scalars = _scalars(run)
        if not scalars:
            continue  # texts, images, or nothing
        steps = sorted({step for values in scalars.values() for step in values})
        columns = {tag: [values.get(step) for step in steps] for tag, values in scalars.items()}
        inside = "" if run == folder else str(run.relative_to(folder))
        parts.append(Rows.of(inside or name, {STEP: steps, **columns}, np.asarray(steps), "step"))
        trials.append(inside or folder.resolve().name)
    if not parts:
        raise UserError(name, "has no event file with a scalar in it", "name a folder that TensorBoard shows curves of")
    return Rows.concatenated(parts, trials=tuple(trials))


def _scalars(run: Path) -> dict[str, dict[int, float]]:
    """Tag → step → value. Scalars of TensorFlow 2 are tensors."""
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it warns of files that still grow
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events: Any = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    found = {tag: {int(e.step): float(e.value) for e in events.Scalars(tag)} for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            values = [(int(e.step), tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
            found[tag] = {step: float(value) for step, value in values if value.size == 1}
    return found
