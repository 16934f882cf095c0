"""What `evaluate` prints of accuracies that are known."""

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from analysis.robustness import Accuracy
from tune_at.cli.evaluation_table import Evaluated, tables, warnings
from tune_at.study.comparison import compare
from tune_at.study.points import arrange

TRIAL_CONFIG = SimpleNamespace(attack=SimpleNamespace(eps=8 / 255))


def evaluated(robust, seeds=2, attacks=("pgd-10",)):
    """`robust`: {(trial, stage): {checkpoint: accuracy under `pgd-10`}}; a trial's point is its name without seed."""
    rows = [{"trial": name, "status": "completed", "stage": stage, "score": 0.5} for name, stage in robust]
    keys = [(row["stage"], row["trial"].split("-")[1]) for row in rows]
    ranking = arrange(rows, compare([{"data.name": "digits"} for _ in rows]), keys, seeds)
    targets, known = [], {}
    for (name, _), values in robust.items():
        trial = SimpleNamespace(name=name, config=TRIAL_CONFIG)
        for asked, value in values.items():
            target = SimpleNamespace(trial=trial, asked=asked, checkpoint=asked, epoch={"best": 3, "final": 9}[asked])
            targets.append(target)
            settings = json.dumps({"eps": 8 / 255})
            known[name, asked, target.epoch, "pgd-10"] = Accuracy(100, 0.8, value, settings)
    return Evaluated(targets, list(attacks), "test", known, ranking, seeds)


def printed(table):
    out = io.StringIO()
    Console(file=out, width=200).print(table)
    return [line.split() for line in out.getvalue().splitlines()]


TWO_STAGES = {
    ("00-pgd_at-s0", "none"): {"best": 0.50, "final": 0.40},
    ("01-pgd_at-s1", "none"): {"best": 0.52, "final": 0.44},
    ("02-pgd_at-s0", "decay"): {"best": 0.40, "final": 0.50},
    ("03-pgd_at-s1", "decay"): {"best": 0.42, "final": 0.54},
}


def test_points_of_two_stages_with_one_name_are_told_apart():
    _, points = tables(evaluated(TWO_STAGES), None)
    assert [row for row in printed(points) if row and row[0] == "pgd_at"] == [
        ["pgd_at", "(none)", "best", "2", "80.0", "±", "0.0", "51.0", "±", "1.4"],
        ["pgd_at", "(none)", "final", "2", "80.0", "±", "0.0", "42.0", "±", "2.8"],
        ["pgd_at", "(decay)", "best", "2", "80.0", "±", "0.0", "41.0", "±", "1.4"],
        ["pgd_at", "(decay)", "final", "2", "80.0", "±", "0.0", "52.0", "±", "2.8"],
    ]
    (line,) = [line for line in warnings(evaluated(TWO_STAGES)) if "rank differently" in line]
    assert line == (
        "warning: pgd-10: best and final rank differently: pgd_at (none) before pgd_at (decay) at the best checkpoint"
        " (51.0 and 41.0%), behind it at the final one (42.0 and 52.0%)"
    )


def test_points_of_one_stage_keep_their_names():
    cases = {("00-pgd_at-s0", "main"): {"best": 0.5}, ("01-trades-s0", "main"): {"best": 0.4}}
    assert [name for name, _, _ in evaluated(cases).points("best")] == ["pgd_at", "trades"]


@pytest.mark.parametrize("eps", [8 / 255, 4 / 255])
def test_a_radius_unlike_the_trainings_is_said(eps):
    given = evaluated({("00-pgd_at-s0", "main"): {"best": 0.5}}, seeds=1)
    cell = given.known["00-pgd_at-s0", "best", 3, "pgd-10"]
    given.known["00-pgd_at-s0", "best", 3, "pgd-10"] = Accuracy(cell.n, 0.8, 0.5, json.dumps({"eps": eps}))
    said = [line for line in warnings(given) if "eps is" in line]
    same = eps == 8 / 255
    assert said == ([] if same else ["note: pgd-10: eps is 4/255, and 8/255 in the training of 1 trial"])
