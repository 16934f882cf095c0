"""What a rule is made of: an outcome with its numbers, and the values of trials that it goes by."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from analysis.frames import Frames
from tune_at.store.status import Status
from tune_at.study.comparison import plain

SHOWS, DOES_NOT, UNKNOWN = "shows", "does not show", "cannot be told"

NO_RULE = "no rule"
"""Of a study that asks something else than the paper did: nothing has to show, and nothing is wrong."""

CLOSE = 0.02
"""A difference of accuracies that one seed does not tell."""

FITTED, NOT_FITTED = 0.9, 0.2
"""Final natural training accuracies above which labels are memorised, and below which training has failed (Fig. 2)."""


class Finding(NamedTuple):
    """An outcome, one of `SHOWS`, `DOES_NOT`, `UNKNOWN` and `NO_RULE`, and the numbers that it follows from."""

    outcome: str
    numbers: str


Rule = Callable[[Frames], Finding]


class Missing(Exception):
    """A trial or a row that a rule needs is not there; its text says which."""


def told(shows: bool, numbers: str) -> Finding:
    """`SHOWS` or `DOES_NOT`."""
    return Finding(SHOWS if shows else DOES_NOT, numbers)


def completed(frames: Frames) -> pd.DataFrame:
    """The trials that ran to their end."""
    return frames.trials[frames.trials["status"] == Status.COMPLETED]


def chosen(frames: Frames, **where: object) -> pd.DataFrame:
    """The completed trials with these values; `data__noise_rate` is the key data.noise_rate. Raises `Missing`."""
    trials = completed(frames)
    for key, value in where.items():
        trials = trials[trials[key.replace("__", ".")] == value]
    if trials.empty:
        named = ", ".join(f"{key.replace('__', '.')} {plain(value)}" for key, value in where.items())
        raise Missing(f"no completed trial with {named}")
    return trials


def measured(frames: Frames, trials: pd.DataFrame, column: str) -> pd.DataFrame:
    """The epochs of some trials in which a column was measured, by epoch. Raises `Missing` if one trial has none."""
    rows = frames.epochs[frames.epochs["trial"].isin(trials["trial"])]
    rows = rows.dropna(subset=[column]) if column in rows else rows.iloc[:0]
    for trial in trials["trial"]:
        if trial not in set(rows["trial"]):
            raise Missing(f"{trial} has no {column.replace('_', ' ')}")
    return rows.sort_values("epoch")


def final(frames: Frames, column: str, **where: object) -> float:
    """A metric after the last epoch in which it was measured, the mean over the trials that `where` selects."""
    rows = measured(frames, chosen(frames, **where), column)
    return float(rows.groupby("trial")[column].last().mean())


def falls(frames: Frames, trials: pd.DataFrame) -> "pd.Series[float]":
    """By how much robust test accuracy is lower after the last epoch than after the best one, by seed.

    The best epoch is the one that the selection split chooses, as in tables, not the highest point of the test curve.
    """
    rows = measured(frames, trials, "test_robust_accuracy")
    best = trials.set_index("trial")["best_epoch"]
    at_best = rows[rows["epoch"] == rows["trial"].map(best)].set_index("trial")["test_robust_accuracy"]
    last = rows.groupby("trial")["test_robust_accuracy"].last()
    if lacking := sorted(set(last.index) - set(at_best.index)):
        raise Missing(f"{lacking[0]} has no test robust accuracy of its best epoch")
    values = (at_best - last).rename("fall").reset_index()
    return values.merge(trials[["trial", "seed"]], on="trial").groupby("seed")["fall"].mean()


def settings(frames: Frames, *compared: str) -> Iterator[tuple[str, Frames]]:
    """The trials that are alike in all but what a rule compares (prefixes of keys), and seeds; each with its label."""
    trials = completed(frames)
    keys = [c for c in trials.columns if "." in c and not c.startswith(compared) and not c.startswith("evaluation.")]
    keys = [key for key in keys if trials[key].map(str).nunique() > 1]
    if not keys:
        yield "", frames
        return
    for _, part in trials.groupby([trials[key].map(str) for key in keys], sort=False):
        shown = [key for key in keys if part[key].notna().all() and trials[key].dropna().map(str).nunique() > 1]
        if "attack.eps" in shown and "attack.step" in shown:
            shown.remove("attack.step")
        label = ", ".join(f"{_short(key)}{plain(part[key].iloc[0])}" for key in shown)
        yield label, replace(frames, trials=part)


def _short(key: str) -> str:
    """`width `; a section's own name needs no key before its value."""
    last = key.rpartition(".")[2]
    return "" if last in ("name", "norm") else f"{last} "


def in_each_setting(rule: Rule, *compared: str) -> Rule:
    """A rule for each setting: it shows where it shows in all; the numbers are listed."""

    def whole(frames: Frames) -> Finding:
        findings = []
        for label, part in settings(frames, *compared):
            found = judge(rule, part)
            findings.append(Finding(found.outcome, f"{label}: {found.numbers}" if label else found.numbers))
        if not findings:
            raise Missing("no trial is completed")
        outcomes = [found.outcome for found in findings]
        numbers = "; ".join(found.numbers for found in findings)
        if len(findings) > 1:
            numbers = f"in {outcomes.count(SHOWS)} of {len(findings)} settings: {numbers}"
        if DOES_NOT in outcomes:
            return Finding(DOES_NOT, numbers)
        return Finding(UNKNOWN if UNKNOWN in outcomes else SHOWS, numbers)

    whole.__doc__ = rule.__doc__
    return whole


def judge(rule: Rule, frames: Frames) -> Finding:
    """A rule's finding; it cannot be told where a trial or a row is missing."""
    try:
        return rule(frames)
    except Missing as missing:
        return Finding(UNKNOWN, str(missing))


def percents(values: Sequence[float]) -> str:
    """`12.3 and 45.6%`, `1.0 to 3.0%`: few are listed, many are spanned."""
    shown = [f"{100 * value:.1f}" for value in values]
    if len(shown) > 3:
        return f"{min(values):.1%} to {max(values):.1%}"
    return " and ".join(shown) + "%"
