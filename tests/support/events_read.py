"""Event files read back by TensorBoard's own reader: each folder that has some is a run, as TensorBoard finds them."""

import os
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def runs(folder):
    """The runs below a folder by their names, whole."""
    found = {}
    for here, _, files in os.walk(folder, followlinks=True):
        if any("tfevents" in name for name in files):
            events = EventAccumulator(here, {"scalars": 0, "tensors": 0})
            found[str(Path(here).relative_to(folder))] = events.Reload()
    return found


def points(events, tag):
    """The (step, value) pairs of a tag; none if it is not there."""
    if tag not in events.Tags()["scalars"]:
        return []
    return [(event.step, event.value) for event in events.Scalars(tag)]


def texts(events, tag):
    """The (step, text) pairs of a tag; none if it is not there."""
    if tag not in events.Tags()["tensors"]:
        return []
    return [(event.step, event.tensor_proto.string_val[0].decode()) for event in events.Tensors(tag)]
