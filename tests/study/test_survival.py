"""How far trials come: against published numbers, and against counting where nothing is censored."""

import random

import pytest

from tune_at.study.survival import Survival

STOPPED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
OTHERS = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
"""Weeks of remission under 6-mercaptopurine (Freireich et al., 1963), the usual example of Kaplan and Meier's rule."""


def test_the_share_that_goes_on_is_kaplan_and_meiers():
    published = {5: 1.0, 6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448, 35: 0.448}
    survival = Survival(STOPPED, OTHERS)
    for week, share in published.items():
        assert survival.after(week) == pytest.approx(share, abs=5e-4)


def test_without_censoring_the_expected_share_is_the_mean_of_those_that_went_on():
    rng = random.Random(0)
    lengths = [rng.choice([1, 3, 9, 27]) for _ in range(60)]
    survival = Survival([n for n in lengths if n < 27], [n for n in lengths if n == 27])
    for epoch in (0, 1, 2, 3, 9, 20):
        left = [n - epoch for n in lengths if n > epoch]
        assert survival.expected(epoch, 27) == pytest.approx(sum(left) / len(left) / (27 - epoch))


def test_what_is_not_known_counts_as_run_to_its_end():
    assert Survival((), [3, 4]).expected(0, 9) == 1.0
    assert Survival([3], [1]).expected(3, 9) == 1.0  # all that came so far were stopped
    assert Survival([3], [5]).expected(9, 9) == 1.0
