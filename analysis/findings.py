"""Whether what the paper found shows in a sweep: one rule a study, each with its numbers."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd
from scipy.stats import kendalltau

SHOWS, DOES_NOT, UNKNOWN = "shows", "does not show", "cannot be told"


class Finding(NamedTuple):
    """An outcome, one of `SHOWS`, `DOES_NOT` and `UNKNOWN`, and the numbers that it follows from."""

    outcome: str
    numbers: str


Frames = Mapping[str, pd.DataFrame]
"""The tables of a sweep by name; `trials` has a column `objective`."""


def find(study: str, frames: Frames) -> Finding:
    """The finding of a study. It cannot be told where trials are missing or no rule is written yet."""
    rule = RULES.get(study)
    if rule is None:
        return Finding(UNKNOWN, "no rule is written for this study yet")
    unfinished = int((frames["trials"]["status"] != "completed").sum())
    if unfinished or frames["trials"].empty:
        return Finding(UNKNOWN, f"{unfinished} trials are not completed" if unfinished else "there are no trials")
    try:
        return rule(frames)
    except (KeyError, IndexError, ValueError):
        return Finding(UNKNOWN, "trials or rows that the rule needs are missing")


def _final(frames: Frames, column: str, **where: object) -> float:
    """A metric after the last epoch in which it was measured, the mean over the trials that `where` selects."""
    trials = frames["trials"]
    for key, value in where.items():
        trials = trials[trials[key.replace("__", ".")] == value]
    if trials.empty:
        raise KeyError(str(where))
    rows = frames["epochs"][frames["epochs"]["trial"].isin(trials["trial"])].dropna(subset=[column])
    return float(rows.sort_values("epoch").groupby("trial")[column].last().mean())


def _fall(frames: Frames, trials: pd.Series) -> float:
    """By how much robust test accuracy falls from its best epoch to the last, the mean over trials."""
    rows = frames["epochs"][frames["epochs"]["trial"].isin(trials)].dropna(subset=["test_robust_accuracy"])
    groups = rows.sort_values("epoch").groupby("trial")["test_robust_accuracy"]
    return float((groups.max() - groups.last()).mean())


def _random_labels(frames: Frames) -> Finding:
    """PGD-AT below 20% and TRADES above 90% natural training accuracy on random labels (Fig. 2, A.4)."""
    where = {"data__noise_rate": 1.0} if "data.noise_rate" in frames["trials"] else {}
    pgd_at, trades = (
        _final(frames, "train_natural_accuracy", objective=name, **where) for name in ("pgd_at", "trades")
    )
    return _told(pgd_at < 0.2 and trades > 0.9, f"of random labels PGD-AT fits {pgd_at:.1%}, TRADES {trades:.1%}")


def _refined(frames: Frames) -> Finding:
    """Eq. 6 fits random labels and PGD-AT does not (Fig. A.8)."""
    pgd_at, mixed = (_final(frames, "train_natural_accuracy", objective=name) for name in ("pgd_at", "mixed_pgd_at"))
    return _told(pgd_at < 0.2 and mixed > 0.9, f"of random labels PGD-AT fits {pgd_at:.1%}, Eq. 6 {mixed:.1%}")


def _mitigation(frames: Frames) -> Finding:
    """TE makes robust test accuracy fall less after its best (Fig. 7)."""
    trials = frames["trials"]
    plain, with_te = (
        _fall(frames, trials.loc[trials["objective"] == name, "trial"]) for name in ("pgd_at", "pgd_at_te")
    )
    numbers = f"robust test accuracy falls by {100 * plain:.1f} points with PGD-AT, by {100 * with_te:.1f} with TE"
    return _told(plain > 0.02 and with_te < plain / 2, numbers)


def _small_ball(frames: Frames) -> Finding:
    """PGD-AT overfits in the largest ball and not in the smallest (Fig. 6b)."""
    trials = frames["trials"]
    trials = trials[trials["objective"] == "pgd_at"].sort_values("attack.eps")
    smallest, largest = (
        _fall(frames, trials.loc[trials["attack.eps"] == eps, "trial"])
        for eps in (trials["attack.eps"].min(), trials["attack.eps"].max())
    )
    numbers = f"PGD-AT falls by {100 * smallest:.1f} points in the smallest ball, by {100 * largest:.1f} in the largest"
    return _told(smallest < 0.05 < largest, numbers)


def _stability(frames: Frames) -> Finding:
    """At the ends of the direction PGD-AT's gradients have moved more than TRADES' (Fig. 4a)."""
    rows = frames["probes"]
    rows = rows[(rows["probe"] == "gradient_stability") & (rows["quantity"] == "objective")]
    rows = rows[rows["x"].abs() == rows["x"].abs().max()].merge(frames["trials"][["trial", "objective"]], on="trial")
    means = rows.groupby("objective")["value"].mean()
    numbers = f"gradients of PGD-AT move by {means['pgd_at']:.3g}, of TRADES by {means['trades']:.3g}"
    return _told(bool(means["pgd_at"] > means["trades"]), numbers)


def _ratio(frames: Frames) -> Finding:
    """The attack adds more to PGD-AT's gradients than KL adds to TRADES' (Fig. 3b)."""
    rows = frames["probes"]
    rows = rows[rows["probe"] == "gradient_ratio"].merge(frames["trials"][["trial", "objective"]], on="trial")
    means = rows.groupby("objective")["value"].mean()
    numbers = f"mean ratio of PGD-AT {means['pgd_at']:.2g}, of TRADES {means['trades']:.2g}"
    return _told(bool(means["pgd_at"] > means["trades"]), numbers)


def _hard(frames: Frames) -> Finding:
    """Adversarial losses of two trainings rank the training images alike, tau above 0.5 (Fig. 6c, C.2)."""
    rows = frames["samples"]
    rows = rows[rows["origin"] == "adversarial_losses"]
    losses = rows[rows["epoch"] == rows["epoch"].max()].pivot_table("robust_loss", "example", "trial")
    names = list(losses.columns)
    taus = [float(kendalltau(losses[a], losses[b]).statistic) for i, a in enumerate(names) for b in names[i + 1 :]]
    numbers = f"Kendall's tau {min(taus):.2f} to {max(taus):.2f} over {len(taus)} pairs of {len(losses)} images"
    return _told(min(taus) > 0.5, numbers)


def _told(shows: bool, numbers: str) -> Finding:
    return Finding(SHOWS if shows else DOES_NOT, numbers)


RULES: dict[str, Callable[[Frames], Finding]] = {
    "random_labels": _random_labels,
    "threat_model": _random_labels,
    "refined_pgd_at": _refined,
    "robust_overfitting": _mitigation,
    "mitigation": _mitigation,
    "eps_overfitting": _small_ball,
    "gradient_stability": _stability,
    "gradient_norms": _ratio,
    "hard_examples": _hard,
}
"""A rule by study; a study that is not here has none yet."""
