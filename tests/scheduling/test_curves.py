"""Which curves can be replayed, and what is taken from a sweep's tables."""

from pathlib import Path

import pyarrow as pa
import pytest
from boards import make_study

from tune_at.errors import UserError
from tune_at.scheduling.curves import read_recording
from tune_at.scheduling.replay import replay_live
from tune_at.store import read_table
from tune_at.store.layout import SweepFolder
from tune_at.store.schema import build_table
from tune_at.store.snapshot import Snapshot
from tune_at.study.sweep import Sweep

V1 = Path(__file__).parents[1] / "stores" / "v1"


def opened(name):
    return Sweep.open(str(V1 / name))


def test_a_sweep_that_ran_under_ray_is_replayed_decision_for_decision():
    # Trained by a version before this one. What stopped trials would have reported later is not needed for that.
    sweep = opened("asha-finished")
    recording = read_recording(sweep, stopped_too=True)
    names = [state.name for state in recording.states]
    made = [(names[d.trial], *d[1:]) for d in replay_live(recording, sweep.study.scheduler)]
    rows = read_table(sweep.folder, "decisions")
    columns = ["trial", "epoch", "rung", "bracket", "value", "cutoff", "action"]
    expected = [tuple(None if v != v else v for v in row) for row in rows[columns].itertuples(index=False)]
    assert sorted(made, key=str) == sorted(expected, key=str)
    assert {"stop", "continue"} <= set(rows["action"])


def test_curves_that_are_not_whole_are_refused():
    with pytest.raises(UserError, match=r"3 of 7 trials were stopped early: .*--stopped-too"):
        read_recording(opened("asha-finished"))
    with pytest.raises(UserError, match="went on from others' weights"):
        read_recording(opened("pbt-finished"), stopped_too=True)
    with pytest.raises(UserError, match="has stages"):
        read_recording(opened("kd_swa-finished"))


def test_trials_that_have_not_ended_are_left_out_and_counted():
    sweep = opened("grid-killed")
    statuses = sweep.statuses()
    recording = read_recording(sweep)
    ended = [trial.name for trial in sweep.trials() if statuses.get(trial.name, "pending") == "completed"]
    assert [state.name for state in recording.states] == ended
    assert recording.left_out == len(sweep.trials()) - len(ended) > 0


def sweep_of(tmp_path, curves, **columns):
    """A sweep and its tables: robust and natural accuracy alone, as curves from elsewhere may have."""
    study = make_study(tmp_path, "{name: fifo}", "{optim.lr: [0.1, 0.2, 0.3]}", "[0]")
    sweep = Sweep(SweepFolder.of(tmp_path / "s"), study)
    trials = study.trials()[: len(curves)]
    rows = [
        {"sweep": "s", "study": "x", "stage": "main", "trial": t.name, "seed": 0, "status": "completed", "epochs": 12,
         "selection": "validation", "config": "{}", "config_hash": ""}
        for t in trials
    ]  # fmt: skip
    epochs = [
        {"trial": trial.name, "epoch": epoch, "lr": 0.1, **dict.fromkeys(columns, value)}
        for trial, curve in zip(trials, curves, strict=True)
        for epoch, value in enumerate(curve, 1)
    ]
    tables = {"trials": build_table("trials", rows), "epochs": build_table("epochs", epochs)}
    assert all(isinstance(table, pa.Table) for table in tables.values())
    return sweep, Snapshot(tables)


def test_a_metric_that_no_trial_reports_is_not_asked_for(tmp_path):
    sweep, snapshot = sweep_of(tmp_path, [[0.1, 0.2], [0.3, 0.1], [0.2, 0.2]], val_natural_accuracy=0)
    recording = read_recording(sweep, snapshot)
    assert recording.metrics == ["natural_accuracy"]
    assert recording.score == recording.find_metric("") == "natural_accuracy"
    assert recording.states[1].metrics == {1: {"natural_accuracy": 0.3}, 2: {"natural_accuracy": 0.1}}
    with pytest.raises(UserError, match="--metric: robust_loss has no value in this sweep; it has natural_accuracy"):
        recording.find_metric("robust_loss")
    with pytest.raises(UserError, match="--metric: 'loss' is never reported"):
        recording.find_metric("loss")


def test_one_trial_or_no_evaluation_leaves_nothing_to_choose(tmp_path):
    with pytest.raises(UserError, match="has 1 point whose trials have ended: there is nothing to choose from"):
        read_recording(*sweep_of(tmp_path, [[0.1, 0.2]], val_robust_accuracy=0))
    with pytest.raises(UserError, match="no epoch has been evaluated"):
        read_recording(*sweep_of(tmp_path, [[None], [None]], val_robust_accuracy=0))
