"""A replay decides as the live sweep, and what comes of it is worked out by hand."""

import random

import pytest
from boards import AXES, decisions, make_curves, make_study, play, recording
from simulation import Simulation
from simulation import make_study as simulated

from tune_at.scheduling.curves import read_recording
from tune_at.scheduling.replay import replay_live
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
