"""What early stopping costs, worked out by hand."""

import math

import numpy as np
import pytest
from boards import make_study, recording

from tune_at.config.scheduler import METRICS
from tune_at.errors import UserError
from tune_at.scheduling.regret import Judge
from tune_at.store.status import Status

NAN = math.nan


def judge(tmp_path, curves, seeds="[0]", axes="{optim.lr: [0.1, 0.2, 0.3, 0.4]}", **ends):
    """A judge of these curves of robust accuracy; `ends`: the status of a trial `t0`, `t1`, … that is not completed."""
    study = make_study(tmp_path, "{name: fifo}", axes, seeds)
    made = {}
    for number, (trial, values) in enumerate(zip(study.trials(), curves, strict=True)):
        rows = {
            epoch: {} if value is None else {f"val_{m}": value for m in METRICS}
            for epoch, value in enumerate(values, 1)
        }
        made[trial.name] = rows, ends.get(f"t{number}", Status.COMPLETED)
    return Judge(recording(study, made))


CURVES = [
    [0.1, 0.5, 0.4, 0.2],  # the best at its best epoch, 2
    [0.3, 0.3, 0.3, 0.35],  # the best at the end
    [0.2, 0.2, 0.45, 0.3],
    [0.4, 0.1, 0.1, 0.1],
]


@pytest.mark.parametrize(
    ("stops", "saved", "regrets", "kept"),
    [
        ({}, 0, (0, 0, 0), (1, 1)),
        # At its first epoch the winner has 0.1: then 2 is chosen by its best epoch, which is 3.
        ({0: 1}, 3 / 16, (0.05, 0, 0.05), (0, 1)),
        # Past its best epoch it has all that counts.
        ({0: 2}, 2 / 16, (0, 0, 0), (1, 1)),
        # All but 3 are stopped at once: it is chosen, both ways.
        ({0: 1, 1: 1, 2: 1}, 9 / 16, (0.1, 0.25, 0.1), (0, 0)),
        # Nothing is left at the end; 3 has the highest first epoch.
        ({0: 1, 1: 1, 2: 1, 3: 1}, 12 / 16, (0.1, NAN, 0.1), (0, 0)),
        # 2 is stopped after its best epoch, and the others at once.
        ({0: 1, 1: 1, 3: 1, 2: 3}, 10 / 16, (0.05, NAN, 0.05), (0, 0)),
    ],
)
def test_outcomes_by_hand(tmp_path, stops, saved, regrets, kept):
    found = judge(tmp_path, CURVES).outcome(stops)
    assert found.saved == pytest.approx(saved)
    assert found.stopped == len(stops) / 4
    assert (found.regret_best, found.regret_final, found.regret_in_hand) == pytest.approx(regrets, nan_ok=True)
    assert (found.kept_best, found.kept_final) == kept


def test_what_is_in_hand_is_less_than_what_the_chosen_point_is_worth(tmp_path):
    found = judge(tmp_path, [[0.3, 0.9], [0.2, 0.5], [0.1, 0.4], [0.0, 0.1]]).outcome({0: 1, 1: 1, 2: 1, 3: 1})
    assert found.regret_best == 0
    assert found.regret_in_hand == pytest.approx(0.6)
    assert found.kept_best == 0


def test_a_diverged_trial_wins_nothing_but_one_that_was_stopped_before_is_chosen_like_others(tmp_path):
    curves = [[0.6, 0.7, None], [0.3, 0.4, 0.4], [0.2, 0.2, 0.2], [0.1, 0.1, 0.1]]
    known = judge(tmp_path, curves, t0=Status.DIVERGED)
    assert known.best[0] == -np.inf
    assert known.outcome({}).regret_best == 0
    assert known.outcome({}).kept_best == 1
    # Nobody knows then that it would have diverged; it is worth what it reached before.
    assert known.outcome({0: 1}).regret_best == pytest.approx(0.4 - 0.7)
    assert known.outcome({0: 1}).regret_in_hand == pytest.approx(0.4 - 0.6)


def test_a_point_is_the_mean_over_its_seeds_and_whole_ones_come_first(tmp_path):
    axes = "{optim.lr: [0.1, 0.2]}"
    curves = [[0.2, 0.9], [0.2, 0.5], [0.3, 0.6], [0.3, 0.6]]  # two seeds each: 0.7 against 0.6
    known = judge(tmp_path, curves, "[0, 1]", axes)
    assert known.outcome({}).regret_final == 0
    # A seed of the better point is stopped: the point that has both comes first.
    assert known.outcome({1: 1}).regret_final == pytest.approx(0.1)
    assert known.outcome({1: 1}).kept_final == 1  # one of its seeds was
    assert known.outcome({0: 1, 1: 1}).kept_final == 0
    # So is one of the other: then by the mean over the seeds that ran, 0.9 against 0.6, and it is worth 0.7.
    assert known.outcome({1: 1, 2: 1}).regret_final == pytest.approx(0)
    assert known.outcome({0: 1, 1: 1}).regret_best == pytest.approx(0.1)


def test_each_ball_has_a_choice_of_its_own(tmp_path):
    axes = "{attack.eps: [0.1, 0.2], optim.lr: [0.1, 0.2]}"
    curves = [[0.8, 0.9], [0.6, 0.7], [0.1, 0.4], [0.2, 0.3]]
    known = judge(tmp_path, curves, axes=axes)
    found = known.outcome({2: 1})
    assert found.regret_best == pytest.approx((0 + 0.1) / 2)
    assert found.kept_best == 0.5
    with pytest.raises(UserError, match="no two points are compared by robust_accuracy"):
        judge(tmp_path, [[0.1]] * 2, axes="{attack.eps: [0.1, 0.2]}")
