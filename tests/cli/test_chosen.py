"""Which trials `--trials` means."""

import pytest
from processes import planned
from two_trials import STUDY

from tune_at.cli.chosen import choose
from tune_at.errors import UserError
from tune_at.store.writer import write_rows

NAMES = ["00-pgd_at-s0", "01-pgd_at-s1", "02-standard-s0", "03-standard-s1"]


@pytest.fixture
def sweep(tmp_path):
    """A function (status, robust accuracy on validation data or None) by trial → a sweep of two points."""

    def build(*cases):
        (tmp_path / "s.yaml").write_text(STUDY + "seeds: [0, 1]\n")
        made = planned(tmp_path / "s.yaml", tmp_path, "a")
        for trial, (status, score) in zip(made.study.trials(), cases, strict=False):
            row = {"sweep": "a", "study": "s", "stage": "main", "trial": trial.name, "seed": trial.config.seed}
            row |= {"status": status, "selection": "validation", "config": trial.config.as_json(), "config_hash": "x"}
            row |= {"objective": trial.config.objective.name, "best_epoch": 1, "epochs": int(score is not None)}
            write_rows(made.folder, "trials", trial.name, [row])
            if score is not None:
                values = {"lr": 0.1, "val_robust_accuracy": score, "val_natural_accuracy": score}
                write_rows(made.folder, "epochs", trial.name, [{"trial": trial.name, "epoch": 1, **values}])
        return made

    return build


def chosen(sweep, *words):
    trials, lines, named = choose(sweep, sweep.read(), words)
    return [trial.name for trial in trials], lines, named


def test_all_that_have_ended_well_and_the_best_of_them(sweep):
    made = sweep(("completed", 0.4), ("stopped", 0.5), ("completed", 0.6), ("diverged", 0.9))
    over = f"passed over: {NAMES[3]}: it has diverged, and its last weights may be NaN"
    assert chosen(made, "all") == (NAMES[:3], [over], frozenset())
    assert chosen(made, "best:1") == (NAMES[:2], [], frozenset())  # a point that has lost a seed is second
    assert chosen(made, "best:9") == (NAMES[:3], [over], frozenset())
    note = f"note: {NAMES[3]}: it has diverged, and its last weights may be NaN"
    assert chosen(made, "best:1", NAMES[3]) == ([*NAMES[:2], NAMES[3]], [note], frozenset([NAMES[3]]))


@pytest.mark.parametrize(
    ("cases", "words", "line"),
    [
        ([], ["all"], "none of the 4 trials of .* has ended; wait for one, or resume the sweep"),
        ([("running", 0.4)], ["all"], "none of the 4 trials of .* has ended; wait for one, or resume the sweep"),
        ([("running", 0.4)], [NAMES[0]], "it has not ended yet; wait for it, or resume the sweep"),
        ([], [NAMES[1]], "it has not been started yet; wait for it, or resume the sweep"),
        ([("diverged", 0.4), ("failed", None)], ["all"], "none of the 4 trials of .* has ended well; name one that"),
        ([("completed", None)], ["best:1"], "was evaluated while it trained, so none is best; name them, or say all"),
        ([("completed", 0.4)], ["best:0"], "'best:0'; write best:5 for the five best points"),
        ([("completed", 0.4)], ["best"], "'best' is unknown"),
    ],
)
def test_what_cannot_be_chosen_is_said(sweep, cases, words, line):
    with pytest.raises(UserError, match=line):
        chosen(sweep(*cases), *words)
