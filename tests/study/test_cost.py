"""A sweep's time, against what is added up by hand."""

import random

import pytest

from tune_at.study.cost import (
    RECORDING,
    Speed,
    TrialCost,
    epoch_passes,
    evaluated_passes,
    sweep_seconds,
    train_passes,
)


def test_passes(tiny):
    assert train_passes(tiny()) == 2 * 2 + 3
    assert train_passes(tiny("standard")) == 3
    config = tiny(evaluation={"every": 2})
    evaluated = 32 + config.data.validation_samples + config.data.test_size
    assert evaluated_passes(config) == evaluated * 6
    assert epoch_passes(config) == 64 * 7 + evaluated * 6 / 2


def test_several_trials_at_a_time():
    assert sweep_seconds([3, 1, 1, 1], 2) == 3
    assert sweep_seconds([1] * 5, 2) == 3
    assert sweep_seconds([], 2) == 0
    chance = random.Random(0)
    seconds = [chance.random() for _ in range(50)]
    ends = [0.0] * 3
    for each in seconds:
        ends[ends.index(min(ends))] += each
    assert sweep_seconds(seconds, 3) == pytest.approx(max(ends))


@pytest.mark.parametrize(("epochs", "every"), [(7, 3), (6, 3), (5, 1), (1, 10), (90, 10)])
def test_what_is_left_of_a_trial_is_the_sum_of_its_epochs(tiny, epochs, every):
    config = tiny(train={"epochs": epochs}, evaluation={"every": every})
    cost = TrialCost.of(config, Speed(2.0, 1e-3, 1e-4), slowdown=1.5)
    left = 0.0
    for epoch in range(epochs, 0, -1):
        assert cost.left(epoch) == pytest.approx(left)
        left += 1.5 * (64 * 7 * 1e-3 + RECORDING)
        if epoch % every == 0 or epoch == epochs:
            left += 1.5 * evaluated_passes(config) * 1e-4
    assert cost.left() == pytest.approx(1.5 * 2.0 + left)
    assert cost.left(epochs + 1) == 0
