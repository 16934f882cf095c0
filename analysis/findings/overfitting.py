"""Rules on robust overfitting and what mitigates it (Sec. 4, 5, App. C)."""

from collections.abc import Iterator

import pandas as pd

from analysis.findings.base import (
    CLOSE,
    UNKNOWN,
    Finding,
    Missing,
    chosen,
    completed,
    falls,
    final,
    told,
)
from analysis.frames import Frames, objective_label
from analysis.hardness import adversarial_losses, prepare_rank_correlations
from tune_at.errors import UserError
from tune_at.study.comparison import plain

PAIRS = (("pgd_at", "pgd_at_te"), ("trades", "trades_te"))


def mitigates(frames: Frames) -> Finding:
    """Where robust test accuracy falls by over two points from the best epoch on, it falls by less than half with TE
    (Fig. 7).

    Falls are means over seeds; where seeds disagree on the half, it cannot be told.
    """
    outcomes: list[bool | None] = []
    parts = []
    there = set(completed(frames)["objective.name"])
    for method, with_te in PAIRS:
        if not {method, with_te} <= there:
            continue
        before = falls(frames, chosen(frames, objective__name=method))
        for weight, after in _by_weight(frames, chosen(frames, objective__name=with_te)):
            parts.append(f"{objective_label(method)} {_points(before)}, with TE{weight} {_points(after)}")
            if before.mean() <= CLOSE:
                continue
            halved = (after < before / 2)[before.index.intersection(after.index)]
            outcomes.append(bool(after.mean() < before.mean() / 2) if halved.nunique() == 1 else None)
    if not parts:
        raise Missing("neither PGD-AT nor TRADES is there with and without TE")
    numbers = f"robust test accuracy falls by points from the best epoch on: {'; '.join(parts)}"
    if not outcomes:
        return told(False, f"{numbers}: there is nothing to mitigate")
    if None in outcomes and False not in outcomes:
        return Finding(UNKNOWN, f"{numbers}: seeds disagree")
    return told(False not in outcomes, numbers)


def _by_weight(frames: Frames, trials: pd.DataFrame) -> "Iterator[tuple[str, pd.Series[float]]]":
    """The falls of TE for each of its weights; the weight is named where there are several."""
    weights = trials["objective.weight"].unique() if "objective.weight" in trials else [None]
    if len(weights) < 2:
        yield "", falls(frames, trials)
        return
    for weight in weights:
        yield f" of weight {weight:g}", falls(frames, trials[trials["objective.weight"] == weight])


def overfits(frames: Frames) -> Finding:
    """PGD-AT's robust test accuracy falls by over two points from the best epoch on, with every seed (Fig. 6a)."""
    there = [name for name in completed(frames)["objective.name"].unique() if name != "standard"]
    found = {name: falls(frames, chosen(frames, objective__name=name)) for name in ("pgd_at", *there)}
    numbers = "; ".join(f"{objective_label(name)} {_points(by)}" for name, by in found.items())
    fall = found["pgd_at"]
    shows = (fall > CLOSE).nunique() == 1 and bool(fall.mean() > CLOSE)
    return told(shows, f"robust test accuracy falls by points from the best epoch on: {numbers}")


def overfits_in_large_balls(frames: Frames) -> Finding:
    """Robust test accuracy falls by over two points in the largest ball, by less than half of that in the smallest
    (Fig. 6b, C.1).

    Where these two falls are within two points of each other, one seed does not tell them apart.
    """
    outcomes: list[bool | None] = []
    parts = []
    for name in completed(frames)["objective.name"].unique():
        trials = chosen(frames, objective__name=name)
        balls = sorted(trials["attack.eps"].unique())
        if len(balls) < 2:
            raise Missing(f"{objective_label(name)} was trained in one ball only")
        fall = [float(falls(frames, trials[trials["attack.eps"] == eps]).mean()) for eps in balls]
        close = trials["seed"].nunique() < 2 and abs(fall[0] - fall[-1]) < CLOSE < fall[-1]
        outcomes.append(None if close else fall[-1] > CLOSE and fall[0] < fall[-1] / 2)
        apart = ": one seed does not tell the smallest ball from the largest" if close else ""
        parts.append(f"{objective_label(name)} falls by {_list(balls, fall)}{apart}")
    if None in outcomes and False not in outcomes:
        return Finding(UNKNOWN, "; ".join(parts))
    return told(False not in outcomes, "; ".join(parts))


def best_of_all(frames: Frames) -> Finding:
    """Of the methods against overfitting TE ends with the highest robust test accuracy, and falls by less than half of
    what PGD-AT does (Tab. 2; Co-teaching stands in a footnote and is not compared).
    """
    ends = {
        name: final(frames, "test_robust_accuracy", objective__name=name)
        for name in ("pgd_at", "pgd_at_ls", "sat", "kd_swa", "pgd_at_te")
    }
    alone, with_te = (
        float(falls(frames, chosen(frames, objective__name=name)).mean()) for name in ("pgd_at", "pgd_at_te")
    )
    listed = ", ".join(f"{objective_label(name)} {value:.1%}" for name, value in ends.items())
    numbers = f"robust at the end: {listed}; PGD-AT falls by {100 * alone:.1f} points, TE by {100 * with_te:.1f}"
    return told(max(ends, key=lambda name: ends[name]) == "pgd_at_te" and with_te < alone / 2, numbers)


def same_are_hard(frames: Frames) -> Finding:
    """Adversarial losses of any two trainings rank the training images alike, tau above 0.5 (Fig. 6c, C.2)."""
    samples = frames.samples  # outside: a damaged file is told as such, not as losses that are not there
    try:
        pairs = prepare_rank_correlations(adversarial_losses(samples))
    except UserError as error:
        raise Missing(str(error)) from None
    if pairs["tau"].isna().any():
        raise Missing("a rank correlation is not defined")
    low, high = pairs["tau"].min(), pairs["tau"].max()
    numbers = (
        f"Kendall's tau {low:.2f} to {high:.2f} over {len(pairs)} pairs of trials, {pairs['samples'].min()} images"
    )
    return told(bool(low > 0.5), numbers)


def _points(by_seed: "pd.Series[float]") -> str:
    """`16.5` of one seed, `16.5 (15.0 to 18.0 by seed)` of several."""
    values = by_seed * 100
    spread = f" ({values.min():.1f} to {values.max():.1f} by seed)" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"


def _list(balls: list[float], fall: list[float]) -> str:
    return ", ".join(f"{100 * by:.1f} points at eps {plain(eps)}" for eps, by in zip(balls, fall, strict=True))
