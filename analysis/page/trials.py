"""Curves and configs of all trials for a page's detail view, small enough to stand in it."""

import base64
import gzip
import json
import math
from typing import Any

import pandas as pd

from analysis.frames import Frames

CURVES = tuple(f"{split}_{kind}_accuracy" for split in ("train", "val", "test") for kind in ("natural", "robust"))

MOST_EPOCHS = 100
"""Evaluated epochs of a trial's curve; of more, so many evenly spread, its best and its last one among them."""


def trial_data(frames: Frames) -> str:
    """JSON by trial, compressed by gzip, in base64.

    `{trial: {config: {key: value}, epoch: [...], best: epoch, curves: {column: [...]}}}`, accuracies in % to two
    places, null where an epoch was not evaluated.
    """
    columns = [column for column in CURVES if column in frames.epochs and frames.epochs[column].notna().any()]
    keys = [column for column in frames.trials.columns if "." in column or column == "seed"]
    measured = frames.epochs.dropna(subset=columns, how="all") if columns else frames.epochs.iloc[:0]
    by_trial = dict(list(measured.sort_values("epoch").groupby("trial"))) if len(measured) else {}
    data: dict[str, Any] = {}
    for row in frames.trials.to_dict("records"):
        curve = by_trial.get(row["trial"])
        best = row.get("best_epoch")
        curve = _thinned(curve, best) if curve is not None else measured.iloc[:0]
        data[row["trial"]] = {
            "config": {key: _plain(row[key]) for key in keys if not _missing(row[key])},
            "epoch": [int(epoch) for epoch in curve["epoch"]],
            "best": None if _missing(best) else int(best),  # type: ignore[arg-type]
            "curves": {column: [_percent(value) for value in curve[column]] for column in columns},
        }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _thinned(curve: pd.DataFrame, best: Any) -> pd.DataFrame:
    if len(curve) <= MOST_EPOCHS:
        return curve
    step = (len(curve) - 1) / (MOST_EPOCHS - 1)
    places = {round(step * place) for place in range(MOST_EPOCHS)}
    keep = [place in places or epoch == best for place, epoch in enumerate(curve["epoch"])]
    return curve[keep]


def _percent(value: Any) -> float | None:
    return None if _missing(value) or not math.isfinite(value) else round(100 * float(value), 2)


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)
