"""Imported curves are replayed as our own are, as far as their configs are told."""

import copy

import pytest
from boards import make_curves, make_study, recording

from analysis.figures.replay import FIGURE
from analysis.frames import load_frames
from tune_at.cli.main import main
from tune_at.config.scheduler import ASHA
from tune_at.errors import UserError
from tune_at.scheduling.curves import read_recording
from tune_at.scheduling.regret import Judge
from tune_at.scheduling.replay import replay_live, settings
from tune_at.store.status import Status
from tune_at.study.sweep import Sweep


@pytest.fixture
def imported(tmp_path):
    """A study of two balls, its curves, and the same as a sweep that was made of a CSV file."""

    def make(scheduler, *options, told=True):
        study = make_study(tmp_path, scheduler, "balls")
        curves = {name: (rows, Status.COMPLETED) for name, (rows, status) in make_curves(study.trials(), 3).items()}
        curves = {name: (rows, status) for name, (rows, status) in curves.items() if len(rows) == 12 and rows[12]}
        lines = ["trial,eps,lr,seed,epoch,robust,natural"]
        for trial in study.trials():
            for epoch, row in curves.get(trial.name, ({}, ""))[0].items():
                values = [row["val_robust_accuracy"], row["val_natural_accuracy"]]
                config = [trial.config.attack.eps, trial.config.optim.lr, trial.config.seed]
                lines.append(",".join(map(str, [trial.name, *config, epoch, *values])))
        (tmp_path / "c.csv").write_text("\n".join(lines) + "\n")
        mapped = ["robust=val_robust_accuracy", "natural=val_natural_accuracy", "lr=optim.lr"]
        keys = ["eps=attack.eps"] if told else []
        where = [str(tmp_path / "c.csv"), "--into", str(tmp_path / "s")]
        with pytest.raises(SystemExit) as ended:
            main(["import", *where, "--fractions", "--epochs-from", "1", *options, "--map", *mapped, *keys])
        assert ended.value.code == 0
        return study, curves, read_recording(Sweep.open(str(tmp_path / "s")))

    return make


@pytest.mark.parametrize(
    "scheduler", ["{name: asha, eta: 2}", "{name: median, min_trials: 2}", "{name: hyperband, eta: 2}"]
)
def test_they_are_judged_as_if_they_had_been_trained_here(imported, scheduler):
    study, curves, theirs = imported(scheduler)
    names = [state.name for state in theirs.states]
    assert names == sorted(curves) and theirs.metrics == ["robust_accuracy", "natural_accuracy"]
    ours = recording(make_like(study, curves), curves)
    assert [state.name for state in ours.states] == names
    made, expected = ([*map(tuple, replay_live(known, study.scheduler))] for known in (theirs, ours))
    assert made == expected
    assert "stop" in {action for *_, action in made}
    for stops in ({}, {0: 1, 3: 2}):
        assert Judge(theirs).outcome(stops) == Judge(ours).outcome(stops)


def make_like(study, curves):
    """The study with those trials alone that have curves."""
    trials = [trial for trial in study.trials() if trial.name in curves]
    copied = copy.copy(study)
    copied.__dict__.update(_resolved=trials, _samples=trials)
    return copied


def test_what_is_not_told_tells_no_groups_apart(imported):
    _, _, theirs = imported("{name: fifo}", "--config-columns", "eps", told=False)
    assert len(Judge(theirs).groups) == 1


def test_a_grace_that_no_recorded_epoch_follows_is_refused(imported):
    _, _, theirs = imported("{name: fifo}")
    assert settings(theirs, ["asha"], "robust_accuracy", {"grace": (11,), "eta": (2,)}) == [ASHA(grace=11, eta=2)]
    with pytest.raises(UserError, match="--grace 12: with asha no epoch from 12 on is evaluated before the last"):
        settings(theirs, ["asha"], "robust_accuracy", {"grace": (12,)})


def test_the_figure_of_imported_curves(imported, tmp_path):
    imported("{name: fifo}")
    frame, _ = FIGURE(load_frames(str(tmp_path / "s")))
    assert {"saved", "regret_final", "tau_best"} <= set(frame["quantity"])
