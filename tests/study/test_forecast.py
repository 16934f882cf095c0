"""What is announced and what is left later come from one formula."""

import pytest

from tune_at.study.cost import RECORDING, Speed, TrialCost, sweep_seconds
from tune_at.study.forecast import CONFIDENCE, Forecast, Paces
from tune_at.study.survival import Survival

COST = TrialCost(start=1.0, training=2.0, evaluation=3.0, epochs=10, every=5)  # 27 s in all


def test_before_anything_is_observed_it_is_the_announcement():
    forecast = Forecast({"a": COST, "b": COST}, COST, at_once=2)
    assert forecast.left({"a": 0, "b": 0}) == 27
    assert forecast.left({"a": 0, "b": 0}, undrawn=2) == 54
    assert forecast.left({"a": 5, "b": 10}) == 13
    assert forecast.left({}) == 0


def test_a_machine_that_is_half_as_fast_is_found_out():
    forecast = Forecast({"a": COST, "b": COST}, COST, at_once=1)
    for epoch in range(1, 6):
        forecast.observe("a", epoch - 1, epoch, 2 * (COST.left(epoch - 1) - COST.left(epoch)))
    true = 2 * (13 + 27)
    assert true / 2 < forecast.left({"a": 5, "b": 0}) < true
    for _ in range(20):
        forecast.observe("b", 0, 10, 54)
    assert forecast.left({"a": 5, "b": 0}) == pytest.approx(true, rel=0.05)


def test_one_slow_epoch_does_not_turn_it_over():
    forecast = Forecast({"a": COST}, COST, at_once=1)
    forecast.observe("a", 1, 2, 10.0)
    assert forecast.left({"a": 2}) < COST.left(2) * (1 + 10 / CONFIDENCE)


def test_where_seconds_are_unknown_it_waits_for_the_first_epoch():
    forecast = Forecast({"a": COST}, COST, at_once=1, known=False)
    assert forecast.left({"a": 0}) is None
    forecast.observe("a", 0, 0, 5.0)  # a resumed trial has told where it is
    assert forecast.left({"a": 0}) is None
    forecast.observe("a", 1, 2, 0.2)
    assert forecast.left({"a": 2}) == pytest.approx(COST.left(2) / 10)


def test_trials_that_are_drawn_later_are_typical(tiny):
    long, short = TrialCost.of(tiny(train={"epochs": 8}), Speed(1, 1e-3, 0)), TrialCost(0, 1, 0, 2, 1)
    typical = TrialCost.mean([long, short])
    assert typical.epochs == 5
    forecast = Forecast({"a": long}, typical, at_once=2)
    assert forecast.left({"a": 0, "later": 0}) == sweep_seconds([long.left(), typical.left()], 2)


def test_from_tables_a_trial_goes_on_at_its_own_pace_and_another_at_that_of_the_others():
    # An epoch costs 2 units of computing beside what is written after it, and an evaluation after each 1.
    cost = TrialCost(start=4.0, training=2.0 + RECORDING, evaluation=1.0, epochs=10, every=1)
    paces = Paces({"a": cost, "b": cost}, {"a": (4, 24.0)})  # 6 s an epoch: two a unit
    assert paces.left({"a": 4}, 0, 1) == pytest.approx(6 * (6.0 + RECORDING))
    assert paces.left({"b": 0}, 0, 1) == pytest.approx(4.0 + 10 * (6.0 + RECORDING))
    assert paces.left({"a": 4, "b": 0}, 0, 2) == paces.left({"b": 0}, 0, 1)
    assert paces.left({}, 2, 1) == pytest.approx(2 * paces.left({"b": 0}, 0, 1))  # yet to be drawn: typical
    assert Paces({"a": cost}, {}).left({"a": 0}, 0, 1) is None
    assert Paces({"a": cost}, {"a": (0, 0.0)}).left({"a": 0}, 0, 1) is None


def test_from_tables_later_trials_count_more():
    cost = TrialCost(start=0.0, training=1.0 + RECORDING, evaluation=0.0, epochs=1000, every=1)
    costs = dict.fromkeys("abc", cost)
    later_slow = Paces(costs, {"a": (500, 500.0), "b": (500, 2000.0)}).left({"c": 0}, 0, 1)
    later_fast = Paces(costs, {"b": (500, 2000.0), "a": (500, 500.0)}).left({"c": 0}, 0, 1)
    assert later_fast < 2000 < 3900 < later_slow  # 1000 s and 4000 s at the one pace or the other


def test_what_schedulers_stop_shortens_what_is_left():
    survival = Survival([10] * 3, [40])  # one in four goes on after epoch 10
    cost = TrialCost(start=0.0, training=1.0, evaluation=0.0, epochs=40, every=1)
    forecast = Forecast({"a": cost}, cost, at_once=1)
    assert forecast.left({"a": 0}) == 40
    assert forecast.left({"a": 0}, 0, survival) == pytest.approx(10 + 30 / 4)
    assert forecast.left({"a": 20}, 0, survival) == 20
    assert forecast.left({}, 2, survival) == pytest.approx(2 * (10 + 30 / 4))
