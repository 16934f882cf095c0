"""The few rows of a sweep's epochs that say where its trials stand: a large sweep has millions of others."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tune_at.config.section import SELECTION_SPLITS
from tune_at.store.snapshot import Snapshot
from tune_at.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")

JUDGED = tuple(f"{split}_{kind}_accuracy" for split in SELECTION_SPLITS.values() for kind in ("robust", "natural"))
"""A trial's last evaluated epoch is the last that has one of these; curves from elsewhere may have natural accuracy
alone."""


def told(study: Study) -> dict[str, list[str]]:
    """The columns of `epochs` that say where a study's trials stand and how long they take, for `read_results`."""
    kinds = ["accuracy", "loss"] if any("loss" in metric for metric in study.search.judged_by) else ["accuracy"]
    metrics = [f"{split}_{kind}_{what}" for split in SPLITS for kind in ("natural", "robust") for what in kinds]
    return {"epochs": ["trial", "epoch", *metrics, "train_seconds", "evaluation_seconds"]}


def telling_epochs(results: Snapshot) -> "pd.DataFrame":
    """The rows of the table `epochs` that `rank`, `summary` and the tables of results look at, in their order.

    Of each trial: its best epoch, and the last that was evaluated on each split that trials are judged on.
    """
    epochs = results.arrow("epochs")
    if not epochs.num_rows:
        return results.frame("epochs")
    encoded = epochs["trial"].combine_chunks().dictionary_encode()
    trial = encoded.indices.to_numpy()
    names = encoded.dictionary.to_pylist()
    trials = results.arrow("trials").select(["trial", "best_epoch"]).to_pylist()
    best = {row["trial"]: row["best_epoch"] for row in trials if row["best_epoch"] is not None}
    kept = epochs["epoch"].to_numpy() == np.array([best.get(name, -1) for name in names])[trial]
    for column in JUDGED:
        kept[_last(trial, len(names), _measured(epochs, column))] = True
    return epochs.take(pa.array(np.flatnonzero(kept))).to_pandas()


def _measured(epochs: pa.Table, column: str) -> NDArray[np.bool_]:
    values = pc.fill_null(epochs[column], float("nan"))
    measured: NDArray[np.bool_] = ~np.isnan(values.to_numpy())
    return measured


def _last(trial: NDArray[np.int32], trials: int, measured: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The last measured row of each trial that has one; rows are in the order of their epochs."""
    rows = np.flatnonzero(measured)
    last = np.full(trials, -1)
    last[trial[rows]] = rows  # of several the last one stays
    return last[last >= 0]
