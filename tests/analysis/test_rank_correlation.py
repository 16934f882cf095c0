"""Kendall's tau and its bootstrap against SciPy's, sample by sample."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from analysis import rank_correlation
from analysis.rank_correlation import kendall, weighted_tau


def values(rng, count, ties):
    first = rng.normal(size=count)
    second = first + rng.normal(size=count)
    return (first.round(1), second.round(1)) if ties else (first, second)


@pytest.mark.parametrize("ties", [False, True])
def test_tau_is_scipys(ties, monkeypatch):
    monkeypatch.setattr(rank_correlation, "BLOCK", 7)  # so that there are several blocks
    rng = np.random.default_rng(0)
    for count in (2, 3, 20, 60):
        first, second = values(rng, count, ties)
        tau = kendall(first, second, np.zeros(count, int), np.arange(count), seed=0)
        assert tau.value == pytest.approx(kendalltau(first, second).statistic, abs=1e-12)
        assert tau.number == count


def test_a_weighted_sample_is_one_in_which_trials_stand_several_times():
    rng = np.random.default_rng(1)
    first, second = values(rng, 40, ties=True)
    weights = rng.integers(0, 4, (25, 40)).astype(np.float32)
    found = weighted_tau(first, second, np.zeros(40, int), weights)
    for row, tau in zip(weights.astype(int), found, strict=True):
        places = np.repeat(np.arange(40), row)
        assert tau == pytest.approx(kendalltau(first[places], second[places]).statistic, abs=1e-12)


def test_pairs_between_groups_do_not_count():
    # In each group the ranks agree; the second group's level would turn the whole around.
    first = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    second = np.array([5.0, 6.0, 7.0, 0.0, 1.0, 2.0])
    groups, points = np.array([0, 0, 0, 1, 1, 1]), np.arange(6)
    assert kendall(first, second, groups, points, seed=0).value == 1
    assert kendall(first, second, np.zeros(6, int), points, seed=0).value == pytest.approx(
        kendalltau(first, second).statistic
    )
    # By hand: of the three pairs in the first group two agree, of the other three all.
    second[[0, 1]] = second[[1, 0]]
    assert kendall(first, second, groups, points, seed=0).value == pytest.approx((2 - 1 + 3) / 6)


def test_the_interval_draws_points_with_all_their_seeds():
    # Four copies of each of 30 trials tell nothing more than the 30 do: the interval stays as wide.
    rng = np.random.default_rng(2)
    first, second = values(rng, 30, ties=False)
    once = kendall(first, second, np.zeros(30, int), np.arange(30), seed=0)
    four = [np.repeat(side, 4) for side in (first, second)]
    seeds = kendall(*four, np.zeros(120, int), np.repeat(np.arange(30), 4), seed=0)
    apart = kendall(*four, np.zeros(120, int), np.arange(120), seed=0)
    width = once.high - once.low
    assert once.low < once.value < once.high
    assert seeds.high - seeds.low == pytest.approx(width, rel=0.15)
    assert apart.high - apart.low < 0.75 * width


def test_of_many_trials_samples_are_counted_to_first_order(monkeypatch):
    rng = np.random.default_rng(4)
    first, second = values(rng, 400, ties=True)
    arguments = (first, second, rng.integers(0, 2, 400), np.arange(400), 0)
    linear = kendall(*arguments)
    monkeypatch.setattr(rank_correlation, "MOST", 400)
    whole = kendall(*arguments)
    assert linear.value == pytest.approx(whole.value, abs=1e-12)
    width = whole.high - whole.low
    assert linear != whole
    assert abs(linear.low - whole.low) < 0.05 * width and abs(linear.high - whole.high) < 0.05 * width


def test_the_interval_covers_the_truth_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(rank_correlation, "RESAMPLES", 200)
    # Two normals of correlation r have tau = 2 / pi * arcsin(r).
    rng, r, covered = np.random.default_rng(3), 0.5, 0
    truth = 2 / np.pi * np.arcsin(r)
    for trial in range(200):
        first = rng.normal(size=50)
        second = r * first + np.sqrt(1 - r * r) * rng.normal(size=50)
        tau = kendall(first, second, np.zeros(50, int), np.arange(50), seed=trial)
        covered += tau.low <= truth <= tau.high
    assert 0.88 <= covered / 200 <= 0.99


def test_equal_values_have_no_rank():
    tau = kendall(np.ones(5), np.arange(5.0), np.zeros(5, int), np.arange(5), seed=0)
    assert np.isnan(tau.value) and np.isnan(tau.low)
    assert np.isnan(kendall(np.ones(1), np.ones(1), np.zeros(1, int), np.zeros(1, int), seed=0).value)
