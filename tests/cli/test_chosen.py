"""`--trials`: which trials the words name, on tables that are written here, without any training."""

import pytest
from processes import planned

from tune_at.cli.chosen import choose
from tune_at.errors import UserError
from tune_at.recording.rows import write_trial
from tune_at.recording.spec import TrialSpec
from tune_at.store.status import Status
from tune_at.store.writer import write_rows

BASE = "title: x\nbase: {data: {name: digits, subset: 64}, train: {epochs: 2, batch_size: 32}}\n"
METHODS = BASE + "axes: {objective: [pgd_at, trades, sat, pgd_at_te]}\nseeds: [0, 1]\n"
NOISE = BASE + "axes: {data.noise_rate: [0.0, 0.4], objective: [pgd_at, trades, sat]}\n"
RADII = BASE + "axes: {attack.eps: [8/255, 16/255]}\n"


@pytest.fixture
def build(tmp_path):
    """A function (study, a line a trial: `status` or `status score`, in the study's order) → its sweep."""

    def make(text, states):
        (tmp_path / "s.yaml").write_text(text)
        sweep = planned(tmp_path / "s.yaml", tmp_path, "a")
        for trial, state in zip(sweep.study.trials(), states, strict=False):
            status, _, score = state.partition(" ")
            if status == "pending":
                continue
            config, swept = trial.config.as_tree(), dict(trial.swept)
            spec = TrialSpec(str(sweep.folder), "a", "s", trial.stage, trial.name, config, swept)
            write_trial(spec, Status(status), epochs=1, best_epoch=1 if score else None)
            if score:
                row = {"trial": trial.name, "epoch": 1, "lr": 0.1, "val_robust_accuracy": float(score)}
                write_rows(sweep.folder, "epochs", trial.name, [row])
        return sweep

    return make


def chosen(sweep, *words):
    trials, lines, named = choose(sweep, sweep.read(), words)
    return " ".join(trial.name.partition("-")[0] for trial in trials), lines, named


# pgd_at 0.4 and 0.5; trades 0.7 and a lost seed; sat 0.6 and 0.6; pgd_at_te unfinished and not started.
STATES = [
    "completed 0.4",
    "stopped 0.5",
    "completed 0.7",
    "diverged 0.9",
    "completed 0.6",
    "completed 0.6",
    "running 0.8",
]
ALL = [
    "passed over: 03-trades-s1: it has diverged, and its last weights may be NaN",
    "passed over: 06-pgd_at_te-s0: it has not ended yet",
    "passed over: 07-pgd_at_te-s1: it has not been started yet",
]


@pytest.mark.parametrize(
    ("words", "expected", "lines"),
    [
        (["all"], "00 01 02 04 05", ALL),
        # A point that lacks a seed comes after those that are whole, and one that has lost a seed last.
        (["best:1"], "04 05", []),
        (["best:2"], "00 01 04 05", []),
        # One that runs on cannot be evaluated: it is said, and another is taken.
        (["best:3"], "00 01 02 04 05", [ALL[1], ALL[0]]),
        (["best:4"], "00 01 02 04 05", [ALL[1], ALL[0], "note: best:4: there are 3 points to choose from"]),
        (["01-pgd_at-s1", "best:1"], "01 04 05", []),
        (["05-sat-s1", "00-pgd_at-s0"], "00 05", []),
        (["03-trades-s1"], "03", ["note: 03-trades-s1: it has diverged, and its last weights may be NaN"]),
        (["all", "03-trades-s1"], "00 01 02 03 04 05", [*ALL[1:], ALL[0].replace("passed over", "note")]),
    ],
)
def test_what_the_words_name(build, words, expected, lines):
    found, said, named = chosen(build(METHODS, STATES), *words)
    assert (found, said) == (expected, lines)
    assert named == {word for word in words if "-" in word}


def test_the_best_of_each_group_come_first(build):
    sweep = build(NOISE, [f"completed {score}" for score in (0.9, 0.8, 0.7, 0.1, 0.3, 0.2)])
    assert [chosen(sweep, f"best:{number}")[0] for number in (1, 2, 3, 4)] == ["00", "00 04", "00 01 04", "00 01 04 05"]


def test_a_name_as_the_tables_show_it(build):
    sweep = build(RADII, ["completed 0.4", "failed"])
    assert chosen(sweep, "00-eps=8/255-s0")[0] == chosen(sweep, "00-eps=8_255-s0")[0] == "00"
    assert chosen(sweep, "01-eps=16/255-s0")[1] == ["note: 01-eps=16/255-s0: it has failed"]


@pytest.mark.parametrize(
    ("states", "words", "line"),
    [
        (STATES, ["best:0"], "--trials: 'best:0' names no number above 0; write best:5 for the five best points"),
        (STATES, ["best:²"], "--trials: 'best:²' names no number above 0; write best:5 for the five best points"),
        (STATES, ["best"], "--trials: 'best' is unknown; write best:5 for the five best points"),
        (STATES, ["al"], "--trials: 'al' is unknown; did you mean all?"),
        (STATES, ["00-pgd_at-s2"], "--trials: '00-pgd_at-s2' is unknown; did you mean 00-pgd_at-s0 or"),
        (
            STATES,
            ["06-pgd_at_te-s0"],
            "--trials 06-pgd_at_te-s0: it has not ended yet; wait for it, or resume the sweep",
        ),
        (STATES, ["all", "07-pgd_at_te-s1"], "--trials 07-pgd_at_te-s1: it has not been started yet; wait for it, or"),
        (["running 0.3"], ["best:1"], "--trials: no trial has ended well: 8 not ended; wait for one, or resume"),
        (
            ["diverged", "failed", "diverged"],
            ["all"],
            "--trials: no trial has ended well: 2 diverged, 1 failed, 5 not ended; wait for one, name one that",
        ),
        (["completed"], ["best:1"], "--trials best:1: of the trials that have ended well none was evaluated while it"),
    ],
)
def test_what_names_no_trial_is_one_line(build, states, words, line):
    with pytest.raises(UserError) as caught:
        chosen(build(METHODS, states), *words)
    assert str(caught.value).startswith(line)


def test_of_many_trials_a_command_names_them(build):
    sweep = build(METHODS.replace("[0, 1]", "[0, 1, 2, 3, 4, 5]"), STATES)
    with pytest.raises(UserError, match=r"'nothing like it' is unknown; `.* status .*/a` names them"):
        chosen(sweep, "nothing like it")
