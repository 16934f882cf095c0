"""Kendall's tau with a bootstrap interval, for trials that have seeds and are compared within groups alone."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]
Weights = NDArray[np.float32]

RESAMPLES = 1000

MOST = 300
"""Trials up to which each bootstrap sample is counted pair by pair; of more, to first order in the weights."""

BLOCK = 512
"""Rows of the matrix of pairs that are held at a time."""


@dataclass(frozen=True)
class Tau:
    """Kendall's tau-b, and the ends of its interval; NaN where all values of one side are equal."""

    value: float
    low: float
    high: float
    number: int
    """Trials that it is over."""


def kendall(first: Numbers, second: Numbers, groups: Places, points: Places, seed: int) -> Tau:
    """Kendall's tau-b (1945) between two values of each trial, over pairs of trials of one group.

    The interval is that of the percentiles 2.5 and 97.5 over 1,000 bootstrap samples of points, a point with all its
    seeds: trials of one point are no independent samples.

    Args:
        first: a value a trial, shape [n].
        second: likewise.
        groups: of each trial; pairs between groups do not count.
        points: of each trial.
        seed: of the bootstrap.
    """
    if len(np.unique(points)) < 2:
        return Tau(np.nan, np.nan, np.nan, len(first))
    weights = _drawn(np.asarray(points, dtype=np.int64).tobytes(), seed)
    count = weighted_tau if len(first) <= MOST else linear_tau
    taus = count(first, second, groups, weights)
    known = taus[1:][np.isfinite(taus[1:])]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Tau(float(taus[0]), float(low), float(high), len(first))


@lru_cache(maxsize=4)
def _drawn(points: bytes, seed: int) -> Weights:
    """How often each trial stands in each sample, shape [1 + samples, n]: once in the first, which is the whole."""
    names, numbers = np.unique(np.frombuffer(points, dtype=np.int64), return_inverse=True)
    share = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), share, size=RESAMPLES).astype(np.float32)
    return np.concatenate([np.ones((1, len(numbers)), np.float32), drawn[:, numbers]])


def weighted_tau(first: Numbers, second: Numbers, groups: Places, weights: Weights) -> Numbers:
    """Tau-b of samples in which each trial stands as often as its weight says; a row of `weights` [b, n] a sample.

    Counts are whole numbers below 2^24 until they are summed in float64, so that float32 loses nothing.
    """
    one, other = _ranks(first), _ranks(second)
    sums = np.zeros((3, len(weights)))
    for start in range(0, len(first), BLOCK):
        rows = slice(start, start + BLOCK)
        for place, pairs in enumerate(_pairs(one, other, groups, rows)):
            sums[place] += ((weights @ pairs.T.astype(np.float32)) * weights[:, rows]).sum(axis=1, dtype=np.float64)
    return _tau(*sums)


def linear_tau(first: Numbers, second: Numbers, groups: Places, weights: Weights) -> Numbers:
    """As `weighted_tau`, to first order in what weights are more or less than 1: n^2 steps in all, not a sample.

    With w = 1 + d a sum over pairs w'Cw = 1'C1 + 2 d'C1 + d'Cd; the last term is left out, which is smaller than the
    second by a factor of the order of the square root of n.
    """
    one, other = _ranks(first), _ranks(second)
    sums = np.zeros((3, len(first)))
    for start in range(0, len(first), BLOCK):
        rows = slice(start, start + BLOCK)
        for place, pairs in enumerate(_pairs(one, other, groups, rows)):
            sums[place, rows] = pairs.sum(axis=1, dtype=np.int64)
    more = (weights - 1) @ sums.T.astype(np.float32)
    return _tau(*(sums.sum(axis=1)[:, None] + 2 * more.T))


def _ranks(values: Numbers) -> NDArray[np.int32]:
    return np.unique(values, return_inverse=True)[1].astype(np.int32)


def _pairs(one: NDArray[np.int32], other: NDArray[np.int32], groups: Places, rows: slice) -> list[NDArray[np.int8]]:
    """Of each pair of some trials with all: agrees (1) or disagrees (-1), is untied in one, is untied in the other."""
    signs = []
    for ranks in (one, other):
        above, below = ranks[rows, None] > ranks[None, :], ranks[rows, None] < ranks[None, :]
        signs.append(above.view(np.int8) - below.view(np.int8))
    same = (groups[rows, None] == groups[None, :]).view(np.int8)
    return [signs[0] * signs[1] * same, np.abs(signs[0]) * same, np.abs(signs[1]) * same]


def _tau(agreeing: Numbers, untied: Numbers, untied_too: Numbers) -> Numbers:
    with np.errstate(invalid="ignore", divide="ignore"):
        tau: Numbers = agreeing / np.sqrt(untied * untied_too)
    return tau
