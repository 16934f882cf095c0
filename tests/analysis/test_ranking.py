"""What a sweep's end says of its best trials, from tables small enough to work out by hand."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from analysis.exploits import values_at
from analysis.ranking import rank, undominated
from analysis.summary import summary
from tune_at.cli.results import results_tables
from tune_at.study.points import in_turn, point_name
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
    """`cases`: (status, best epoch, [(validation natural, validation robust), …], swept values) by trial."""
    trials, epochs = [], []
    for name, (status, best, values, *swept) in cases.items():
        row = {"trial": name, "status": status, "best_epoch": best, "epochs": len(values), "selection": "validation"}
        row |= {"stage": "main", **dict(*swept)}
        config = {"train": {"selection": "validation"}, "data": {"name": "digits"}, "attack": {"eps": 0.1}}
        for path, value in dict(*swept).items():
            section, key = path.split(".")
            config.setdefault(section, {})[key] = value
        trials.append(row | {"config": json.dumps(config)})
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
    assert [point.name for point in rank(*tables(CASES)[:2]).points if point.measured] == ["b", "a", "d", "e"]
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
    assert len(lines) == 1 + size + drawn  # each trial of the front is named
    assert [line.strip() for line in lines[1 + size :]] == ["`report` draws it: r/report/pareto_front.png"] * drawn


def test_the_trials_of_a_front_are_named_with_their_values(study):
    def lines(objectives, score):
        return [line.strip() for line in summary(study(SEVERAL % (objectives, score)), *tables(CASES), "p")[1:]]

    assert lines("[natural_accuracy, robust_loss]", "best") == [
        "d: 90.0% natural accuracy, 0.7 robust loss",
        "a: 70.0% natural accuracy, 0.6 robust loss",
    ]
    assert lines("[robust_accuracy, natural_accuracy]", "last") == [
        "a: 40.0% robust accuracy, 70.0% natural accuracy",
        "d: 10.0% robust accuracy, 95.0% natural accuracy",
    ]
    many = {f"{n:02d}": ("completed", 1, [(n / 100, 1 - n / 100)]) for n in range(30)}
    found = summary(study(SEVERAL % ("[natural_accuracy, robust_accuracy]", "best")), *tables(many), "p")
    assert found[0].startswith("front       30 of 30 completed trials")
    assert [line.split(":")[0].strip() for line in found[1:9]] == ["29", "25", "21", "17", "12", "08", "04", "00"]
    assert found[9].strip() == "and 22 more trials"


SEEDS = {
    "00-beta=1-s0": ("completed", 1, [(0.8, 0.794)], {"objective.beta": 1.0}),
    "01-beta=1-s1": ("completed", 1, [(0.8, 0.726)], {"objective.beta": 1.0}),
    "02-beta=6-s0": ("completed", 1, [(0.8, 0.77)], {"objective.beta": 6.0}),
    "03-beta=6-s1": ("stopped", 2, [(0.8, 0.1), (0.8, 0.78)], {"objective.beta": 6.0}),
}


@pytest.fixture
def seeded(tmp_path):
    """A grid of several seeds."""
    path = tmp_path / "seeds.yaml"
    path.write_text("title: x\naxes: {objective.beta: [1, 6]}\nbase: {objective: trades}\nseeds: [0, 1]\n")
    return Study.resolve(str(path))


def test_a_point_is_the_mean_over_its_seeds(seeded):
    """The lucky seed, 79.4%, is of the worse point."""
    assert summary(seeded, *tables(SEEDS), "") == [
        "best        beta=6: highest mean robust accuracy on validation data, 77.5% ± 0.7% (2 seeds)",
        "            its trials: 02-beta=6-s0 at epoch 1 (77.0%), 03-beta=6-s1 at epoch 2 (78.0%)",
        "            1 of its trials was stopped early",
    ]
    first, second = rank(*tables(SEEDS)[:2], 2).points
    assert (first.name, second.name) == ("beta=6", "beta=1")
    assert second.score == pytest.approx(0.76)
    assert second.spread("score") == pytest.approx(0.068 / 2**0.5)  # two values, n - 1


def test_a_point_that_lacks_a_seed_is_second_and_said_to(seeded):
    lucky = {**SEEDS, "03-beta=6-s1": ("failed", None, [], {"objective.beta": 6.0})}
    assert summary(seeded, *tables(lucky), "") == [
        "best        beta=1: highest mean robust accuracy on validation data, 76.0% ± 4.8% (2 seeds)",
        "            its trials: 00-beta=1-s0 at epoch 1 (79.4%), 01-beta=1-s1 at epoch 1 (72.6%)",
        "            a higher mean without all of its seeds: beta=6: 77.0% (1 of 2 seeds, 1 failed)",
    ]
    under_way = {name: case for name, case in SEEDS.items() if not name.startswith(("01", "03"))}
    assert summary(seeded, *tables(under_way), "")[0] == (
        "best        beta=1: highest mean robust accuracy on validation data, 79.4% (1 of 2 seeds)"
    )
    worse = {name: (*(("diverged",) if name.endswith("s0") else case[:1]), *case[1:]) for name, case in SEEDS.items()}
    assert summary(seeded, *tables(worse), "") == ["best        none: every point has a seed that diverged or failed"]


def balls(*eps, beta=False):
    cases = {}
    for n, value in enumerate(eps):
        for m, b in enumerate((1.0, 6.0) if beta else (1.0,)):
            at = {"attack.eps": value, "objective.beta": b}
            cases[f"{2 * n + m:02d}"] = ("completed", 1, [(0.9, 0.9 - value - 0.1 * (m == n % 2))], at)
    return cases


def test_a_grid_over_the_ball_has_a_best_for_each_and_not_the_smallest(study):
    assert summary(study(), *tables(balls(16 / 255, 0.2)), "") == [
        "best        none: attack.eps differs from trial to trial, so that each value has only its own trial"
    ]
    assert summary(study(), *tables(balls(16 / 255, 0.2, beta=True)), "") == [
        "best        for each attack.eps, by robust accuracy on validation data:",
        "            attack.eps=16/255: 01 at epoch 1: 83.7%",
        "            attack.eps=0.2: 02 at epoch 1: 70.0%",
    ]
    many = summary(study(), *tables(balls(*(n / 100 for n in range(1, 31)), beta=True)), "")
    assert len(many) == 10
    assert many[-1] == "            and 22 more groups"


def test_of_many_trials_the_best_of_each_group_come_first():
    ranking = rank(*tables(balls(0.1, 0.2, 0.3, beta=True))[:2])
    assert [point.name for point in in_turn(ranking)] == ["01", "02", "05", "00", "03", "04"]


def test_natural_accuracy_is_compared_over_balls(study):
    search = study(SEVERAL % ("[natural_accuracy, natural_loss]", "best"))
    trials, epochs, decisions = tables(balls(0.1, 0.2))
    epochs = epochs.assign(val_natural_loss=0.5)
    assert summary(search, trials, epochs, decisions, "")[0].startswith("front       2 of 2 completed trials")
    robust = study(SEVERAL % ("[natural_accuracy, robust_accuracy]", "best"))
    assert summary(robust, trials, epochs, decisions, "")[0].endswith("on validation data for each attack.eps:")


@pytest.mark.parametrize(
    ("trial", "name"),
    [("00-pgd_at-s0", "pgd_at"), ("0004-lr=0.05-beta=6-s12", "lr=0.05-beta=6"), ("00-s0", "all seeds")],
)
def test_a_points_name_is_what_its_trials_have_in_common(trial, name):
    assert point_name(trial) == name


def test_undominated_agrees_with_its_definition():
    rng = np.random.default_rng(0)
    for size, values in ((1, 2), (40, 2), (60, 3), (30, 1)):
        points = rng.integers(0, 6, (size, values)).tolist()
        expected = [not any(o != p and all(a >= b for a, b in zip(o, p, strict=True)) for o in points) for p in points]
        assert undominated(points) == expected
    assert undominated([]) == []


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


def test_the_table_lists_values_that_exploits_changed(study):
    def shown(*found):
        console = Console(width=120, file=io.StringIO())
        console.print(results_tables(study(), *found))
        return [line.split() for line in console.file.getvalue().splitlines()]

    epochs = tables(CASES)[1].assign(test_natural_accuracy=0.5, test_robust_accuracy=0.5)
    epochs = epochs.assign(train_natural_accuracy=0.5, train_robust_accuracy=0.5)
    trials, _, decisions = tables(CASES, EXPLOITS)
    lines = shown(trials, epochs, decisions)
    assert ["a", "1,", "2", "optim.lr=0.123457,", "objective.beta=2"] in lines
    assert ["d", "2", "optim.lr=0.5,", "objective.beta=3"] in lines
    assert not any("exploits" in line for line in shown(trials, epochs, decisions[:0]))
