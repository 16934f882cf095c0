"""TensorBoard's event files: a folder a trial, a scalar a column."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tune_at.errors import UserError
from tune_at.exchange.rows import CONFIG, Rows

PATTERN = "*tfevents*"

STEP = "step"
"""The column of TensorBoard's own steps."""

SESSION = "_hparams_/session_start_info"
"""The tag under which hyperparameters stand."""


def find_runs(folder: Path) -> list[Path]:
    """The folders with event files of their own, sorted."""
    return sorted({path.parent for path in folder.rglob(PATTERN) if path.is_file()})


def read_events(folder: Path, name: str) -> Rows:
    """The scalars of all runs, a row a (run, step). Raises `UserError` where there are none.

    A run is called by its path below the folder. A step that a run has written twice, as after a restart, has its last
    value, as in TensorBoard. Its hyperparameters are columns `config/…`, also where they stand in a folder of their own
    within the run's, where PyTorch writes them.
    """
    runs = {run: _read(run) for run in find_runs(folder)}
    params = {run: read.params for run, read in runs.items() if read.params}
    parts, trials = [], []
    for run, read in runs.items():
        if not read.scalars:
            continue  # texts, images, or nothing
        steps = sorted({step for values in read.scalars.values() for step in values})
        columns = {tag: [values.get(step) for step in steps] for tag, values in read.scalars.items()}
        own = params.get(run) or next((found for inner, found in params.items() if inner.parent == run), {})
        columns |= {f"{CONFIG}{key}": [value] * len(steps) for key, value in own.items()}
        inside = "" if run == folder else str(run.relative_to(folder))
        parts.append(Rows.of(inside or name, {STEP: steps, **columns}, np.asarray(steps), "step"))
        trials.append(inside or folder.resolve().name)
    if not parts:
        raise UserError(name, "has no event file with a scalar in it", "name a folder that TensorBoard shows curves of")
    return Rows.concatenated(parts, trials=tuple(trials))


class Read(NamedTuple):
    """What a run's event files say."""

    scalars: dict[str, dict[int, float]]
    """Tag → step → value."""
    params: dict[str, Any]
    """Hyperparameters."""


def _read(run: Path) -> Read:
    """The scalars, those of TensorFlow 2 among them, which are tensors; and the hyperparameters."""
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it warns of files that still grow
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.util import tensor_util

    events: Any = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    scalars = {tag: {int(e.step): float(e.value) for e in events.Scalars(tag)} for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            values = [(int(e.step), tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
            scalars[tag] = {step: float(value) for step, value in values if value.size == 1}
    params: dict[str, Any] = {}
    if SESSION in events.summary_metadata:
        data = HParamsPluginData.FromString(events.SummaryMetadata(SESSION).plugin_data.content)
        for key, value in data.session_start_info.hparams.items():
            params[key] = getattr(value, value.WhichOneof("kind") or "string_value")
    return Read(scalars, params)
