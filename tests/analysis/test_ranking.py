"""What a sweep's end says of its best trials, from tables small enough to work out by hand."""

import io
import json

import pandas as pd
import pytest
from rich.console import Console

from analysis.ranking import best_trials, summary, undominated, values_at
from tune_at.cli.results import results_tables
from tune_at.study.study import Study

STUDY = """\
title: Best
base: {data: {name: digits, subset: 64}, objective: trades, train: {epochs: 3, batch_size: 32}}
search: %s
scheduler: %s
figures: [pareto_front]
"""
RANDOM = "{algorithm: random, trials: 3, space: {optim.lr: {uniform: [0.01, 0.1]}}}"
SEVERAL = "{algorithm: optuna, trials: 3, space: {optim.lr: {uniform: [0.01, 0.1]}}, objectives: %s, score: %s}"


@pytest.fixture
def study(tmp_path):
    """A function (search, scheduler) → Study."""

    def make(search=RANDOM, scheduler="fifo"):
        path = tmp_path / "best.yaml"
        path.write_text(STUDY % (search, scheduler))
        return Study.resolve(str(path))

    return make


def tables(cases, decisions=()):
    """`cases`: (status, best epoch, [(validation natural, validation robust), …]) by trial."""
    trials, epochs = [], []
    for name, (status, best, values) in cases.items():
        row = {"trial": name, "status": status, "best_epoch": best, "epochs": len(values), "selection": "validation"}
        trials.append(row)
        for epoch, (natural, robust) in enumerate(values, 1):
            row = {"trial": name, "epoch": epoch, "val_natural_accuracy": natural, "val_robust_accuracy": robust}
            epochs.append({**row, "val_robust_loss": 1 - robust, "test_robust_accuracy": None})
    columns = ["trial", "epoch", "action", "changes"]
    return pd.DataFrame(trials), pd.DataFrame(epochs), pd.DataFrame(decisions, columns=columns)


CASES = {
    "a": ("completed", 3, [(0.5, 0.2), (0.6, 0.3), (0.7, 0.4)]),
    "b": ("stopped", 2, [(0.3, 0.3), (0.4, 0.5)]),
    "c": ("diverged", 1, [(0.9, 0.9)]),
    "d": ("completed", 2, [(0.6, 0.2), (0.9, 0.3), (0.95, 0.1)]),
    "e": ("completed", 1, [(0.7, 0.3), (0.1, 0.1), (0.1, 0.1)]),
}


def test_best_is_by_robust_accuracy_and_says_so(study):
    assert best_trials(*tables(CASES)[:2])["trial"].tolist() == ["b", "a", "d", "e"]
    first = "best        b at epoch 2: highest robust accuracy on validation data, 50.0%"
    stopped = "            {}this trial was stopped after epoch 2"
    assert summary(study(), *tables(CASES), "f.png") == [first, stopped.format("")]
    assert summary(study(scheduler="{name: asha}"), *tables(CASES), "f.png") == [first, stopped.format("")]
    natural = study(scheduler="{name: asha, metric: val_natural_accuracy}")
    assert summary(natural, *tables(CASES), "f.png") == [
        first,
        stopped.format("the scheduler judged natural_accuracy; "),
    ]
    search = study(SEVERAL % ("[natural_accuracy]", "best"))
    assert summary(search, *tables({n: CASES[n] for n in "ad"}), "f.png")[1:] == [
        "            the search was for natural_accuracy"
    ]
    assert summary(study(), *tables({"a": CASES["a"]}), "f.png") == []
    assert summary(study(), *tables({"c": CASES["c"], "d": ("failed", None, [(0.1, 0.1)])}), "f.png") == []


@pytest.mark.parametrize(
    ("objectives", "score", "size", "drawn"),
    [
        ("[natural_accuracy, robust_accuracy]", "best", 2, True),  # e is beaten by d; b was stopped
        ("[robust_accuracy, natural_accuracy]", "last", 2, False),
        ("[natural_accuracy, robust_loss]", "best", 2, False),
    ],
)
def test_a_search_for_several_objectives_has_a_front_and_no_best(study, objectives, score, size, drawn):
    lines = summary(study(SEVERAL % (objectives, score)), *tables(CASES), "r/report/pareto_front.png")
    assert lines[0].startswith(f"front       {size} of 3 completed trials are on the Pareto front of ")
    assert not any("best" in line for line in lines)
    assert [line.strip() for line in lines[1:]] == ["`report` draws it: r/report/pareto_front.png"] * drawn


def test_undominated_keeps_equal_points():
    assert undominated([(1, 2), (2, 1), (1, 2), (1, 1), (2, 0)]) == [True, True, True, False, False]


EXPLOITS = [
    ("a", 1, "exploit", json.dumps({"optim.lr": 0.25, "objective.beta": 2.0})),
    ("a", 2, "exploit", json.dumps({"optim.lr": 0.123456789, "objective.beta": 2.0})),
    ("d", 1, "continue", None),
    ("d", 2, "exploit", json.dumps({"optim.lr": 0.5, "objective.beta": 3.0})),
]


def test_values_that_exploits_changed_are_those_of_the_epoch(study):
    trials, epochs, decisions = tables(CASES, EXPLOITS)
    assert [values_at(decisions, "a", epoch).get("optim.lr") for epoch in (1, 2, 3)] == [None, 0.25, 0.123456789]
    lines = summary(study(), *(t[t["trial"] != "b"] for t in (trials, epochs, decisions)), "f.png")
    assert lines == [
        "best        a at epoch 3: highest robust accuracy on validation data, 40.0%",
        "            trained there with optim.lr=0.123457, objective.beta=2, from the exploit after epoch 2",
    ]
    # d is best at epoch 2, before it was changed.
    assert len(summary(study(), *(t[t["trial"].isin(("d", "e"))] for t in (trials, epochs, decisions)), "f.png")) == 1


def test_the_table_lists_values_that_exploits_changed():
    def shown(*found):
        console = Console(width=120, file=io.StringIO())
        console.print(results_tables(*found))
        return [line.split() for line in console.file.getvalue().splitlines()]

    epochs = tables(CASES)[1].assign(test_natural_accuracy=0.5, test_robust_accuracy=0.5)
    epochs = epochs.assign(train_natural_accuracy=0.5, train_robust_accuracy=0.5)
    trials, _, decisions = tables(CASES, EXPLOITS)
    lines = shown(trials, epochs, decisions)
    assert ["a", "1,", "2", "optim.lr=0.123457,", "objective.beta=2"] in lines
    assert ["d", "2", "optim.lr=0.5,", "objective.beta=3"] in lines
    assert not any("exploits" in line for line in shown(trials, epochs, decisions[:0]))
