"""Rules on what probes measure: gradients (Fig. 3, 4, A.9) and complexity (Fig. 5)."""

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from analysis.findings.base import Finding, Missing, completed, final, measured, told
from analysis.frames import Frames
from analysis.measured import MEASURES, recorded


def larger_ratio(frames: Frames) -> Finding:
    """The attack adds more to PGD-AT's gradients than KL adds to TRADES' (Fig. 3b)."""
    means = _means(_rows(frames, "gradient_ratio"))
    numbers = f"mean ratio of PGD-AT {means['pgd_at']:.2g}, of TRADES {means['trades']:.2g}"
    return told(means["pgd_at"] > means["trades"], numbers)


def less_stable(frames: Frames) -> Finding:
    """At the ends of a direction PGD-AT's gradients have moved more than TRADES' (Fig. 4a), and from epoch to epoch
    they turn more (Fig. 4b).
    """
    rows = _rows(frames, "gradient_stability", "objective")
    moved = _means(rows[rows["x"].abs() == rows["x"].abs().max()])
    cosine = _means(_rows(frames, "gradient_cosine", "cosine"))
    numbers = (
        f"gradients of PGD-AT move by {moved['pgd_at']:.3g}, of TRADES by {moved['trades']:.3g}; "
        f"mean cosine between epochs {cosine['pgd_at']:.2f} and {cosine['trades']:.2f}"
    )
    return told(moved["pgd_at"] > moved["trades"] and cosine["pgd_at"] < cosine["trades"], numbers)


def noise_overwhelms(frames: Frames) -> Finding:
    """PGD-AT does not fit 80% noise, and gradients of right and of wrong labels are as large, by 20% (Fig. A.9)."""
    rows = _rows(frames, "group_gradient_norms")
    rows = rows[rows["objective"] == "pgd_at"]
    by_group = rows.pivot_table(index="epoch", columns="quantity", values="value")
    groups = [f"{group}_adversarial_ce" for group in ("clean", "mislabelled")]
    if not set(groups) <= set(by_group.columns):
        raise Missing("no norms of PGD-AT's gradients by group are recorded")
    both = by_group[(by_group[groups] > 0).all(axis=1)]
    if both.empty:
        raise Missing("no epoch has gradients of both right and wrong labels")
    ratio = float(np.exp(np.log(both[groups[0]] / both[groups[1]]).mean()))
    fitted = final(frames, "train_natural_accuracy", objective__name="pgd_at")
    numbers = f"PGD-AT fits {fitted:.1%}; its gradients of right labels are {ratio:.2f} times those of wrong ones"
    return told(fitted < 0.5 and 1 / 1.2 < ratio < 1.2, numbers)


def complexity_misleads(frames: Frames) -> Finding:
    """By at least one measure a network of random labels is less complex than one of true labels, and its robust gap is
    larger (Fig. 5).

    After the last epoch. Networks whose margin is not positive have no measure over it, and are in no pair.
    """
    trials = completed(frames)
    gap = _robust_gaps(frames, trials)
    rates = trials.set_index("trial")["data.noise_rate"]
    misled, pairs, parts = 0, 0, []
    for measure in MEASURES:
        rows = _rows(frames, measure.probe, last=True)
        values = rows[rows["quantity"] == measure.quantity].groupby("trial")["value"].mean().dropna()
        random, true = (values[values.index.isin(rates.index[rates == rate])] for rate in (1.0, 0.0))
        counter = sum(1 for a in random.index for b in true.index if random[a] < true[b] and gap[a] > gap[b])
        misled += counter > 0
        pairs += len(random) * len(true)
        tau = kendalltau(values, gap[values.index]).statistic if len(values) > 1 else float("nan")
        told_tau = f"tau {tau:.2f}, " if tau == tau else ""
        parts.append(f"{measure.name} {told_tau}{counter} such pairs of {len(random) * len(true)}")
    if not pairs:
        raise Missing("no measure is there of both a network of random labels and one of true labels")
    return told(misled > 0, f"by {misled} of {len(MEASURES)} measures: {'; '.join(parts)}")


def _robust_gaps(frames: Frames, trials: pd.DataFrame) -> "pd.Series[float]":
    last = [
        measured(frames, trials, f"{split}_robust_accuracy").groupby("trial")[f"{split}_robust_accuracy"].last()
        for split in ("train", "test")
    ]
    return last[0] - last[1]


def _rows(frames: Frames, probe: str, quantity: str | None = None, last: bool = False) -> pd.DataFrame:
    """Rows of a probe, measured in training or `last`, with the trial's objective. Raises `Missing` without any."""
    rows = recorded(frames, probe, last=last)
    if quantity is not None:
        rows = rows[rows["quantity"] == quantity]
    trials = completed(frames)[["trial", "objective.name"]].rename(columns={"objective.name": "objective"})
    rows = rows.merge(trials, on="trial")
    if rows.empty:
        raise Missing(f"the probe {probe} has no rows")
    return rows


def _means(rows: pd.DataFrame) -> dict[str, float]:
    """The mean value by objective. Raises `Missing` where PGD-AT or TRADES has none."""
    means = rows.groupby("objective")["value"].mean().dropna()
    for name in ("pgd_at", "trades"):
        if name not in means:
            raise Missing(f"{rows['probe'].iloc[0]} was not measured on {name}")
    return {str(name): float(value) for name, value in means.items()}
