"""Trials of imported curves: by what they are compared, and nothing that was not told."""

from imported_curves import MAPPED, imported, table  # noqa: F401

from tune_at.study.groups import groups_of
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep


def trials_of(folder):
    sweep = Sweep.open(folder)
    assert [trial.name for trial in sweep.trials(sweep.read())] == [trial.name for trial in sweep.trials()]
    return sweep.trials()


def test_trials_have_what_was_told_of_them(imported):  # noqa: F811
    frame = table().assign(eps=["4/255"] * 6 + ["8/255"] * 6)
    trials = trials_of(imported(frame, {**MAPPED, "eps": "attack.eps"}, config_columns=("lr0",)))
    assert [trial.name for trial in trials] == ["a", "b", "c", "d"]
    assert [trial.config.seed for trial in trials] == [0, 1, 0, 1]
    assert [trial.config.attack.eps for trial in trials] == [4 / 255, 4 / 255, 8 / 255, 8 / 255]
    assert trials[0].swept == {"attack.eps": 4 / 255, "config.lr0": 0.1}
    assert groups_of(trials, "robust_accuracy") == [[0, 1], [2, 3]]
    assert groups_of(trials, "natural_accuracy") == [[0, 1, 2, 3]]


def test_a_schedule_is_as_long_as_a_whole_curve(imported):  # noqa: F811
    frame = table(seeds=1).iloc[:-1]
    folder = imported(frame, shorter="stopped", name="a")
    assert [trial.config.train.epochs for trial in trials_of(folder)] == [3, 3, 3, 3]
    folder = imported(frame, shorter="completed", name="b")
    assert [trial.config.train.epochs for trial in trials_of(folder)] == [3, 3, 3, 2]


def test_evaluations_every_few_epochs_are_known_as_such(imported):  # noqa: F811
    frame = table(trials=2, epochs=7, seeds=1)
    some = frame.assign(acc=frame["acc"].where(frame["epoch"].isin([2, 4, 6, 7])), nat=None)
    assert {trial.config.evaluation.every for trial in trials_of(imported(some, name="a"))} == {2}
    odd = frame.assign(acc=frame["acc"].where(frame["epoch"].isin([2, 3, 6, 7])), nat=None)
    assert {trial.config.evaluation.every for trial in trials_of(imported(odd, name="b"))} == {1}


def test_the_record_is_read_back_as_it_was_written(imported):  # noqa: F811
    study = Sweep.open(imported(table(seeds=1))).study
    text = study.as_yaml()
    assert Study.from_yaml(text, "study.yaml").as_yaml() == text
    assert (study.size, study.selection, study.notes) == (4, "test", [])
