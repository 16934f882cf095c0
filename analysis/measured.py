"""Rows of probes with their trials beside, as means over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from analysis.frames import Frames, add_series
from tune_at.errors import UserError
from tune_at.wording import program, shell


class Measure(NamedTuple):
    """A complexity measure of Fig. 5: the rows that have it, and what it is called in a text and on its panel."""

    probe: str
    quantity: str
    name: str
    title: str


MEASURES = (
    Measure("spectral_norm", "log_product_over_margin", "spectral norm", "spectral norm over margin (log)"),
    Measure("l1_norm", "log_product_over_margin", "l1 norm", "ℓ1 norm over margin (log)"),
    Measure("input_curvature", "input_curvature", "input curvature", "input curvature"),
    Measure("weight_flatness", "weight_flatness", "weight flatness", "weight flatness"),
)


def recorded(frames: Frames, probe: str, *, last: bool = False) -> pd.DataFrame:
    """The rows of a probe that have a value, none if there are none; `last` as in `probe_rows`."""
    rows = _of_last(frames) if last else _in_training(frames)
    return rows[(rows["probe"] == probe) & rows["value"].notna()]


def probe_rows(frames: Frames, probe: str, *, last: bool = False) -> pd.DataFrame:
    """The rows of a probe, with the columns of its trial and `series` beside each.

    Args:
        frames: the sweep.
        probe: its name.
        last: only of each trial's network after its last epoch, measured in training or from its checkpoint; otherwise
            only what was measured in training.

    Raises:
        UserError: the probe has no row, or none with a value.
    """
    rows = recorded(frames, probe, last=last)
    if rows.empty:
        command = shell(*program(), "probe", "DIR/N", "--probe", probe)
        remedy = f"name it in the study's `probes`, or measure it afterwards: {command}"
        what = "has no rows of any trial's last network" if last else "has no rows in this sweep"
        raise UserError(probe, what, remedy if last else "name it in the study's `probes`")
    trials = add_series(frames.trials, ["data.noise_rate"], frames.drawn)
    return rows.merge(trials.drop(columns=["sweep", "study", "stage"], errors="ignore"), on="trial")


def _in_training(frames: Frames) -> pd.DataFrame:
    """The rows of all probes that were measured while trials trained, not later from a checkpoint."""
    return frames.probes[frames.probes["checkpoint"].fillna("") == ""]


def _of_last(frames: Frames) -> pd.DataFrame:
    """The rows of all probes that are of each trial's network after its last epoch, each once.

    That network may have been measured in training, and again from its checkpoint; an earlier one, or one that was not
    trained at all, never stands for it.
    """
    ends = frames.epochs.groupby("trial")["epoch"].max() if len(frames.epochs) else pd.Series(dtype=float)
    rows = frames.probes[frames.probes["checkpoint"] != "best"]
    rows = rows[rows["epoch"] == rows["trial"].map(ends)]
    rows = rows.sort_values("checkpoint", kind="stable")
    return rows.drop_duplicates(["trial", "probe", "quantity", "x"], keep="last")


def over_seeds(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Means over seeds: columns `keys`, value, spread (standard deviation, ddof 1; NaN for one), seeds."""
    grouped = rows.groupby([*keys], sort=True, dropna=False)
    named = grouped.agg(value=("value", "mean"), spread=("value", "std"), seeds=("seed", "nunique"))
    return named.reset_index()
