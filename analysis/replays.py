"""What replays of early stopping say, as tidy numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.rank_correlation import Tau, kendall
from tune_at.config.scheduler import is_loss
from tune_at.scheduling.curves import Recording
from tune_at.scheduling.replay import DEFAULTS, Replay, Replays, settings
from tune_at.seeding import derive_seed

ORDERS = 20
"""Orders in which trials start, unless others are asked for."""

SETTING = ["scheduler", *DEFAULTS]
"""The columns that tell settings apart."""

OUTCOMES = ("saved", "stopped", "regret_best", "regret_final", "regret_in_hand", "kept_best", "kept_final")
"""Of each order; `tune_at.scheduling.regret.Outcome` says what they are."""

COLUMNS = [*SETTING, "metric", "score", "quantity", "order", "epoch", "judged", "value", "low", "high", "trials"]


def prepare_replays(replays: Replays, done: Sequence[Replay], seed: int = 0) -> pd.DataFrame:
    """One row a number.

    Returns:
        Columns scheduler, grace, eta, smooth (NaN for what the scheduler does not have); metric, by which trials are
        judged; score, by which points are chosen; quantity. Of `OUTCOMES` with order, the live one being 0, and value.
        Of `tau_best` and `tau_final`, Kendall's tau of what is judged with the best and with the final score, with
        epoch (by which trials have got to the rung), judged (`score`, or `best so far` with the median rule), value,
        the interval's ends low and high, and trials.
    """
    rows: list[dict[str, Any]] = []
    known: dict[Any, tuple[Tau, Tau]] = {}
    for replay in done:
        config = replay.scheduler
        setting = {"scheduler": config.name, **replay.options, "metric": config.metric}
        setting["score"] = replays.recording.score
        for order, outcome in enumerate(replay.outcomes):
            rows += [
                {**setting, "quantity": name, "order": order, "value": getattr(outcome, name)} for name in OUTCOMES
            ]
        judged = "best so far" if config.name == "median" else "score"
        for epoch, values in replay.judged.items():
            key = (epoch, *values.items())
            if key not in known:
                known[key] = _taus(replays, values, seed)
            for name, tau in zip(("tau_best", "tau_final"), known[key], strict=True):
                found = {"value": tau.value, "low": tau.low, "high": tau.high, "trials": tau.number}
                rows.append({**setting, "quantity": name, "epoch": epoch, "judged": judged, **found})
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"order": "Int64", "epoch": "Int64", "trials": "Int64"})


def _taus(replays: Replays, values: Mapping[int, float], seed: int) -> tuple[Tau, Tau]:
    """Of what is judged at a rung, with the best and with the final score; trials that win nothing do not count."""
    judge, found = replays.judge, []
    for name, target in (("best", judge.best), ("final", judge.final)):
        trials = np.array([trial for trial in values if np.isfinite(target[trial])], dtype=np.int64)
        first = np.array([values[trial] for trial in trials])
        groups, points = judge.group_of[judge.points[trials]], judge.points[trials]
        found.append(kendall(first, target[trials], groups, points, derive_seed(seed, "bootstrap", name)))
    return found[0], found[1]


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a setting: of each of `OUTCOMES` the mean over orders, and in `…_spread` their standard deviation.

    `regret_…` are over orders in which something was left to be chosen; `unchosen` is the share of the others.
    """
    rows = frame[frame["quantity"].isin(OUTCOMES)]
    grouped = rows.groupby([*SETTING, "quantity"], sort=False, dropna=False)["value"]
    wide = grouped.agg(["mean", "std"]).unstack("quantity")
    mean, spread = wide["mean"][list(OUTCOMES)], wide["std"][list(OUTCOMES)].add_suffix("_spread")
    finals = rows[rows["quantity"] == "regret_final"]
    missing = finals["value"].isna().groupby([finals[c] for c in SETTING], sort=False, dropna=False).mean()
    return pd.concat([mean, spread, missing.rename("unchosen")], axis=1).reset_index()


def ranks(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a (judged, smooth, epoch): the two taus with their intervals, whatever schedulers have such a rung."""
    keys, sides = ["judged", "smooth", "epoch"], []
    for side in ("best", "final"):
        rows = frame[frame["quantity"] == f"tau_{side}"].drop_duplicates(keys)
        values = rows.set_index(keys)[["value", "low", "high", "trials"]]
        sides.append(values.rename(columns={"value": "tau"}).add_suffix(f"_{side}"))
    joined = sides[0].join(sides[1]).reset_index()
    return joined.sort_values(keys, ascending=[False, True, True], ignore_index=True)


def replay_defaults(recording: Recording) -> pd.DataFrame:
    """All schedulers that can be replayed, with the options that are tried where nothing is said."""
    schedulers = settings(recording, ("asha", "hyperband", "median"), recording.find_metric(""), {})
    replays = Replays(recording, schedulers, ORDERS, seed=0)
    return prepare_replays(replays, replays.run())


def in_units(score: str) -> float:
    """By what a score is multiplied to be shown: accuracies in percent, losses as they are."""
    return 1.0 if is_loss(score) else 100.0
