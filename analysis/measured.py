"""Rows of probes with their trials beside, as means over seeds."""

from collections.abc import Sequence

import pandas as pd

from analysis.frames import Frames, add_series
from tune_at.errors import UserError
from tune_at.wording import program, shell


def probe_rows(frames: Frames, probe: str, *, last: bool = False) -> pd.DataFrame:
    """The rows of a probe, with the columns of its trial and `series` beside each.

    Args:
        frames: the sweep.
        probe: its name.
        last: only each trial's last measured epoch, whether it was measured in training or from a checkpoint that is
            not the best; otherwise only what was measured in training.

    Raises:
        UserError: the probe has no row, or none with a value.
    """
    rows = frames.probes
    rows = rows[(rows["probe"] == probe) & rows["value"].notna()]
    while_training = rows["checkpoint"].fillna("") == ""
    rows = rows[(rows["checkpoint"] != "best") if last else while_training]
    if rows.empty:
        command = shell(*program(), "probe", "DIR/N", "--probe", probe)
        remedy = f"name it in the study's `probes`, or measure it afterwards: {command}"
        raise UserError(probe, "has no rows in this sweep", remedy if last else "name it in the study's `probes`")
    if last:
        rows = rows[rows["epoch"] == rows.groupby("trial")["epoch"].transform("max")]
        rows = rows.sort_values("checkpoint", kind="stable").drop_duplicates(["trial", "quantity", "x"], keep="last")
    trials = add_series(frames.trials, ["data.noise_rate"])
    return rows.merge(trials.drop(columns=["sweep", "study", "stage"], errors="ignore"), on="trial")


def over_seeds(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Means over seeds: columns `keys`, value, spread (standard deviation, ddof 1; NaN for one), seeds."""
    grouped = rows.groupby([*keys], sort=True, dropna=False)
    named = grouped.agg(value=("value", "mean"), spread=("value", "std"), seeds=("seed", "nunique"))
    return named.reset_index()
