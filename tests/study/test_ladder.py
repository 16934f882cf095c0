"""Points with several complete runs: which trials there are, and what is refused."""

import pytest

from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.study.ladder import Ladder
from tune_at.study.study import Study
from tune_at.study.trials import Trial

STUDY = """\
title: x
base: {data: {name: digits, subset: 64}, train: {epochs: 18, batch_size: 32}}
axes: {optim.lr: [0.1, 0.2], objective: [pgd_at, {name: trades, beta: 3}]}
seeds: [0, 7]
scheduler: {name: asha, grace: 2, eta: 3, fidelity: schedule}
"""


def resolve(folder, text=STUDY, **overrides):
    path = folder / "x.yaml"
    path.write_text(text)
    return Study.resolve(str(path), overrides=overrides)


def test_a_sweep_starts_with_the_shortest_run_of_each_point(tmp_path):
    study = resolve(tmp_path)
    assert study.lengths == (2, 6, 18)
    assert (study.size, study.points, len(study.trials())) == (24, 8, 8)
    assert {trial.config.train.epochs for trial in study.trials()} == {2}
    assert [trial.name for trial in study.trials()][:2] == [
        "00-02epochs-lr=0.1-pgd_at-s0",
        "01-02epochs-lr=0.1-pgd_at-s7",
    ]
    plain = resolve(tmp_path, **{"scheduler.fidelity": "epochs"})
    assert plain.lengths == () and plain.ladder is None and plain.size == 8


def test_a_point_s_runs_differ_in_their_length_alone(tmp_path):
    study = resolve(tmp_path)
    plain = resolve(tmp_path, **{"scheduler.fidelity": "epochs"}).trials()
    assert len({trial.name for trial in study.ladder.all()}) == 24
    for whole, runs in zip(plain, study.ladder.runs, strict=True):
        assert runs[-1].config == whole.config
        for run, epochs in zip(runs, (2, 6, 18), strict=True):
            tree = whole.config.as_tree()
            assert run.config.as_tree() == {**tree, "train": {**tree["train"], "epochs": epochs}}
            assert run.swept == {"train.epochs": epochs, **whole.swept}
        names = [run.name for run in runs]
        assert names == sorted(names)
        assert [study.ladder.before.get(name) for name in names] == [None, *runs[:2]]
        assert [study.ladder.after.get(name) for name in names] == [*runs[1:], None]


def test_a_long_name_keeps_what_tells_its_runs_apart():
    long = Trial(f"0003-{'key=0.123-' * 8}s0", TrialConfig(train={"epochs": 9}), {})
    names = [run.name for run in Ladder([long], (1, 3, 9), lambda config: None).all()]
    assert len({name[:40] for name in names}) == 3


def known(ladder, promoted=(), begun=()):
    return [trial.name for trial in ladder.known(promoted, begun)]


def test_which_trials_there_are_follows_from_what_was_promoted(tmp_path):
    ladder = resolve(tmp_path).ladder
    first, second = ([trial.name for trial in runs] for runs in ladder.runs[:2])
    rest = [trial.name for trial in ladder.firsts()[2:]]
    assert known(ladder) == [first[0], second[0], *rest]
    assert known(ladder, {first[0]}) == [*first[:2], second[0], *rest]
    assert known(ladder, {first[0], first[1], second[0]}) == [*first, *second[:2], *rest]
    # The decision's row was damaged, but the trial has rows: it is there.
    assert known(ladder, begun={first[1]}) == [*first[:2], second[0], *rest]
    assert known(ladder, begun={first[2]}) == [*first, second[0], *rest]


def test_how_many_trials_there_may_yet_be(tmp_path):
    ladder = resolve(tmp_path).ladder
    first = [trial.name for trial in ladder.runs[0]]
    assert ladder.open((), (), ()) == 16
    assert ladder.open({first[0]}, (), ()) == 15
    assert ladder.open((), (), {first[0]}) == 14
    assert ladder.open({first[0]}, (), {first[1]}) == 14
    assert ladder.open({first[0], first[1]}, (), {first[2]}) == 14
    assert [ladder.above(epochs) for epochs in ladder.lengths] == [2, 1, 0]


@pytest.mark.parametrize(
    ("overrides", "where", "problem"),
    [
        ({"scheduler.brackets": 2}, "scheduler.brackets", "have one ladder"),
        ({"scheduler.grace": 7}, "scheduler.grace", "7 times eta 3 is more than train.epochs, 18"),
        ({"train.epochs": 5}, "scheduler.grace", "2 times eta 3 is more than train.epochs, 5"),
        ({"optim.schedule.milestones": [9]}, "optim.schedule.milestones", "after the last epoch, 2 (in the run of 2"),
        ({"scheduler": {"name": "hyperband", "fidelity": "schedule"}}, "scheduler.fidelity", "no such key"),
        ({"scheduler": {"name": "median", "fidelity": "schedule"}}, "scheduler.fidelity", "no such key"),
        (
            {"scheduler": {"name": "pbt", "fidelity": "schedule", "mutations": {"optim.lr": {"uniform": [0.1, 1]}}}},
            "scheduler.fidelity",
            "no such key",
        ),
    ],
)  # fmt: skip
def test_what_complete_runs_do_not_go_with_is_one_line(tmp_path, overrides, where, problem):
    with pytest.raises(UserError) as caught:
        resolve(tmp_path, **overrides)
    assert caught.value.where.endswith(where)
    assert problem in caught.value.problem
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (STUDY.replace("optim.lr: [0.1, 0.2]", "train.epochs: [9, 18]"), "axes.train.epochs"),
        (STUDY.replace("optim.lr: [0.1, 0.2]", "train: [{epochs: 9}, {epochs: 18}]"), "train.epochs"),
        (
            STUDY.replace("axes: {", "search: {name: random, trials: 3, space: {train.epochs: {int: [9, 18]}}}\n#"),
            "search.space.train.epochs",
        ),
        (
            STUDY.replace("axes: {", "search: {name: optuna, trials: 3, space: {optim.lr: {uniform: [0.1, 1]}}}\n#"),
            "search.name",
        ),
    ],
)
def test_who_sets_the_length_of_a_run_and_who_proposes_by_results(tmp_path, text, where):
    with pytest.raises(UserError) as caught:
        resolve(tmp_path, text)
    assert caught.value.where == f"x.yaml: {where}"
    assert "scheduler.fidelity=epochs" in caught.value.remedy


def test_remedies_work(tmp_path):
    resolve(tmp_path, **{"optim.schedule.milestones": [9], "scheduler.fidelity": "epochs"})
    resolve(tmp_path, **{"optim.schedule.milestones": [2], "scheduler.grace": 3})
    resolve(tmp_path, **{"train.epochs": 6})


def test_each_run_of_each_drawn_point_is_valid_before_anything_starts(tmp_path):
    # Only the short run of a `sat` that starts in a late epoch is invalid.
    space = "{objective: {choice: [pgd_at, {name: sat, start: 5}]}, optim.lr: {uniform: [0.1, 1]}}"
    text = STUDY.replace("axes: {", f"search: {{name: random, trials: 3, space: {space}}}\n#")
    with pytest.raises(UserError, match=r"objective.start: 5 is after the last epoch, 2 .in the run of 2 epochs"):
        resolve(tmp_path, text)


def config_with(objective, schedule, **optim):
    return TrialConfig.parse(
        {"objective": objective, "optim": {"schedule": schedule, **optim}, "train": {"epochs": 20}}
    )


@pytest.mark.parametrize(
    ("objective", "schedule", "shared"),
    [
        ("pgd_at", {"name": "piecewise", "milestones": [0.5, 0.75]}, 10),
        ("pgd_at", {"name": "piecewise", "milestones": [8]}, 19),  # the same epoch in both; the last is evaluated
        ("trades", {"name": "constant"}, 19),
        ("trades", {"name": "step", "every": 1 / 4}, 5),
        ("trades", {"name": "cosine"}, 1),  # both begin at the top
        ("trades", {"name": "cyclic"}, 0),
        ("pgd_at_te", {"name": "piecewise", "milestones": [0.5]}, 8),  # p is kept from epoch 9 of 20 on
        ({"name": "pgd_at_te", "start": 3, "full": 6}, {"name": "constant"}, 19),
        ({"name": "pgd_at_te", "start": 3, "full": 0.5}, {"name": "constant"}, 3),  # w = w exp(-5) in the third
        ({"name": "sat", "start": 0.35}, {"name": "constant"}, 6),
        ("mixed_pgd_at", {"name": "constant"}, 1),  # g is 0 in the first, then grows at another rate
        ({"name": "mixed_pgd_at", "ramp_end": 4}, {"name": "constant"}, 19),
        ("co_teaching", {"name": "constant"}, 19),  # nine epochs, whatever the length
        ({"name": "co_teaching", "warmup": 0.5}, {"name": "constant"}, 0),
        ("kd_swa", {"name": "constant"}, 5),  # averaged from epoch 6 of 20
    ],
)  # fmt: skip
def test_runs_agree_until_anything_of_them_depends_on_their_length(objective, schedule, shared):
    config = config_with(objective, schedule)
    assert config.shared_epochs(60) == shared
    assert config.lasting(60).shared_epochs(20) == shared


def test_every_objective_with_a_moment_of_the_run_says_what_it_changes():
    from tune_at.config.objective import OBJECTIVES, ObjectiveSection

    for entry in OBJECTIVES.values():
        if list(entry.config().moments()):
            assert entry.config.phase is not ObjectiveSection.phase, entry.name
