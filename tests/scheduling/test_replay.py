"""A replay decides as the live sweep, and what comes of it is worked out by hand."""

import random

import pytest
from boards import AXES, decisions, make_curves, make_study, play, recording
from simulation import Simulation
from simulation import make_study as simulated

from tune_at.config.scheduler import ASHA, HyperBand, Median
from tune_at.errors import UserError
from tune_at.scheduling.curves import read_recording
from tune_at.scheduling.replay import Replays, policy_of, replay_live, settings
from tune_at.store import read_table
from tune_at.study.sweep import Sweep

SCHEDULERS = {
    "asha": "{name: asha, grace: 1, eta: 2}",
    "asha, brackets, smoothed": "{name: asha, grace: 1, eta: 2, brackets: 3, smooth: 2}",
    "asha by loss": "{name: asha, grace: 2, eta: 1.5, metric: natural_loss}",
    "hyperband": "{name: hyperband, eta: 2}",
    "hyperband, smoothed": "{name: hyperband, eta: 3, smooth: 3}",
    "median": "{name: median, grace: 2, min_trials: 2}",
    "median, smoothed": "{name: median, grace: 1, min_trials: 3, smooth: 3}",
}
COLUMNS = ["trial", "epoch", "rung", "bracket", "value", "cutoff", "action"]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_in_the_live_order_it_decides_as_the_live_board(tmp_path, scheduler, axes):
    study, stops = make_study(tmp_path, scheduler, axes), 0
    for seed in range(5):
        curves = make_curves(study.trials(), seed)
        _, board = play(study, curves, 1 + 2 * (seed % 3), random.Random(seed), 0.3)
        whole = recording(make_study(tmp_path, "{name: fifo}", axes), curves)
        made = {
            (d.trial, d.epoch): (d.rung, d.bracket, d.value, d.cutoff, d.action)
            for d in replay_live(whole, study.scheduler)
        }
        assert made == decisions(board), seed
        stops += sum(action == "stop" for *_, action in made.values())
    assert stops > 0


@pytest.mark.parametrize(
    ("scheduler", "every"),
    [("asha, brackets, smoothed", 1), ("asha by loss", 5), ("hyperband", 1), ("median", 1), ("median, smoothed", 5)],
)
def test_a_recorded_sweep_without_early_stopping_replays_as_the_live_one(tmp_path, scheduler, every):
    options = {"trials": 6, "epochs": 11, "every": every, "seeds": "[0, 1]"}
    scheduler = SCHEDULERS[scheduler]
    live = simulated(tmp_path, scheduler, **options)
    whole = simulated(tmp_path, "{name: fifo}", **options)
    for name, study in (("live", live), ("whole", whole)):
        simulation = Simulation(tmp_path / name, study, 3, random.Random(name))
        while simulation.step():
            pass
    names = [trial.name for trial in whole.trials()]
    made = [
        (names[d.trial], *d[1:])
        for d in replay_live(read_recording(Sweep.open(str(tmp_path / "whole"))), live.scheduler)
    ]
    rows = read_table(tmp_path / "live", "decisions")[COLUMNS]
    expected = [tuple(None if v != v else v for v in row) for row in rows.itertuples(index=False)]
    assert sorted(made) == sorted(expected)
    assert len(made) > 5


def test_an_order_shuffles_points_and_keeps_their_seeds_together(tmp_path):
    study = make_study(tmp_path, "{name: fifo}", seeds="[3, 0, 1]")
    whole = recording(study, make_curves(study.trials(), 0))
    orders = list(whole.orders(6, seed=0))
    assert orders[0] == list(range(24))
    assert len({tuple(order) for order in orders}) == 6
    for order in orders:
        assert sorted(order) == list(range(24))
        assert all(order[at] + 1 == order[at + 1] == order[at + 2] - 1 for at in range(0, 24, 3))
    assert orders[:4] == list(whole.orders(4, seed=0)) != list(whole.orders(4, seed=1))


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "median"])
def test_another_order_decides_as_a_live_sweep_that_starts_in_it(tmp_path, scheduler):
    """The trials of another order are the rows of another study, here with the axis written in that order."""
    axes = "{optim.lr: [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3]}"
    study = make_study(tmp_path, SCHEDULERS[scheduler], axes)
    curves = make_curves(study.trials(), 3)
    whole = recording(study, curves)
    order = list(whole.orders(2, seed=5))[1]
    made = []
    policy_of(whole, study.scheduler).course(whole.states).play(order, made)
    lrs = [whole.states[trial].trial.config.optim.lr for trial in order[::2]]
    other = make_study(tmp_path, SCHEDULERS[scheduler], f"{{optim.lr: {lrs}}}")
    names = {(t.config.optim.lr, t.config.seed): t.name for t in study.trials()}
    theirs = {t.name: curves[names[t.config.optim.lr, t.config.seed]] for t in other.trials()}
    _, board = play(other, theirs, 3, random.Random(0))
    assert {(order.index(d.trial), *d[1:]) for d in made} == {
        (place, epoch, *decision) for (place, epoch), decision in decisions(board).items()
    }


def test_settings_are_each_combination_that_a_scheduler_has(tmp_path):
    study = make_study(tmp_path, "{name: fifo}")
    whole = recording(study, make_curves(study.trials(), 0))
    given = {"grace": (1, 2), "eta": (2.5, 4), "smooth": (3,)}
    found = settings(whole, ["asha", "median"], "robust_loss", given)
    assert found[:4] == [
        ASHA(metric="robust_loss", grace=grace, eta=eta, smooth=3) for grace in (1, 2) for eta in (2.5, 4)
    ]
    assert found[4:] == [Median(metric="robust_loss", grace=grace, smooth=3) for grace in (1, 2)]
    found = settings(whole, ["hyperband"], "robust_accuracy", {"grace": (99,)})
    assert found == [HyperBand(eta=eta) for eta in (2, 3, 4)]


def test_what_would_never_judge_is_refused_if_it_was_asked_for(tmp_path):
    study = make_study(tmp_path, "{name: fifo}", "{optim.lr: [0.1, 0.2], train.epochs: [4]}")
    whole = recording(study, make_curves(study.trials(), 0))
    by_default = settings(whole, ["asha"], "robust_accuracy", {})
    assert {scheduler.grace for scheduler in by_default} == {1, 3}  # of 1, 3 and 5
    with pytest.raises(UserError, match="--grace 4: with median no epoch from 4 on is evaluated before the last"):
        settings(whole, ["median"], "robust_accuracy", {"grace": (1, 4)})
    with pytest.raises(UserError, match="--eta 5: with hyperband 5 leaves no rung"):
        settings(whole, ["hyperband"], "robust_accuracy", {"eta": (5,)})
    with pytest.raises(UserError, match="--scheduler: pbt changes what its trials learn"):
        settings(whole, ["pbt"], "robust_accuracy", {})
    with pytest.raises(UserError, match=r"--scheduler: fifo stops nothing: .*; choose from asha, hyperband, median"):
        settings(whole, ["fifo"], "robust_accuracy", {})


def test_several_processes_find_what_one_does(tmp_path, monkeypatch):
    study = make_study(tmp_path, "{name: fifo}")
    whole = recording(study, make_curves(study.trials(), 1))
    schedulers = settings(whole, ["asha", "median"], "robust_accuracy", {"grace": (1,), "eta": (2,)})
    alone = Replays(whole, schedulers, 7, seed=0).run()
    monkeypatch.setattr("tune_at.scheduling.replay.SMALL", 0)
    told = []
    together = Replays(whole, schedulers, 7, seed=0).run(2, lambda *progress: told.append(progress))
    assert [str(replay) for replay in together] == [str(replay) for replay in alone]  # NaN is NaN
    assert [len(replay.outcomes) for replay in together] == [7, 7]
    assert told[-1] == (14, 14) and len(told) == 4
