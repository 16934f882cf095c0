"""ASHA and the median rule decide by their definitions, whatever comes in first."""

import random

import numpy as np
import pytest
from boards import AXES, decisions, expected, make_curves, make_study, play

from tune_at.scheduling.policies.asha import quantile
from tune_at.scheduling.policies.in_order import Rung

SCHEDULERS = {
    "asha": "{name: asha, grace: 1, eta: 2}",
    "asha, brackets, smoothed": "{name: asha, grace: 1, eta: 2, brackets: 3, smooth: 2}",
    "asha by loss": "{name: asha, grace: 2, eta: 1.5, metric: natural_loss}",
    "median": "{name: median, grace: 2, min_trials: 2}",
    "median, smoothed": "{name: median, grace: 1, min_trials: 3, smooth: 3}",
}


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_decisions_are_those_of_the_definition(tmp_path, scheduler, axes):
    study, stops = make_study(tmp_path, scheduler, axes), 0
    for seed in range(4):
        curves, order = make_curves(study.trials(), seed), random.Random(seed)
        for at_once, late in ((1, 0.0), (3, 0.0), (7, 0.8)):
            policy, board = play(study, curves, at_once, order, late)
            made = decisions(board)
            assert made == expected(study, curves, policy), (seed, at_once)
            stops += sum(action == "stop" for *_, action in made.values())
    assert stops > 0


@pytest.mark.parametrize("eta", [1.1, 1.5, 2, 3, 4, 7])
def test_a_quantile_is_numpys_to_the_last_bit(eta):
    rng = np.random.default_rng(0)
    for count in [*range(1, 40), 500, 1001]:
        values = np.sort(rng.choice([rng.random(count), rng.integers(0, 5, count) / 10]))
        expected = float(np.percentile(values, (1 - 1 / eta) * 100))
        assert quantile(values.tolist(), 1 - 1 / eta) == expected, count


def test_a_trial_that_is_judged_late_sees_earlier_ones_alone():
    rung = Rung()
    for index, epoch, score in ((0, 4, 0.3), (5, 4, 0.9), (2, 4, 0.1), (1, 6, 0.2)):
        rung.enter(index, epoch, score)
    assert rung.before(6, 6) == [0.1, 0.2, 0.3, 0.9]
    assert rung.before(6, 4) == [0.1, 0.3, 0.9]
    assert rung.before(2, 6) == [0.2, 0.3]
    assert rung.before(2, 5) == [0.3]
    assert rung.before(0, 9) == []
