"""What of accuracies under attacks should give pause: the rules against the paper's own tables."""

import json

import pytest

from analysis.paper import VALUES
from analysis.robustness import accuracies, reordered, strength, suspicions
from tune_at.store.schema import build_table

ROWS = {}
"""The paper's robust accuracies, of 1, by attack, of each network: (data set, method, best or final)."""
for value in VALUES:
    if value.table in ("1a", "1b", "1c", "2") and value.attack != "natural":
        ROWS.setdefault((value.data, value.method, value.checkpoint), {})[value.attack] = value.value / 100


def test_of_the_papers_networks_those_of_trades_on_svhn_mask_their_gradients():
    found = {network: suspicions(robust) for network, robust in ROWS.items()}
    assert len(found) == 2 * 15
    assert {key for key, lines in found.items() if lines} == {("svhn", "trades", "best"), ("svhn", "trades", "final")}
    below = sorted(min(robust["pgd-1000"], robust["cw-1000"]) - robust["autoattack"] for robust in ROWS.values())
    assert below[-3:] == pytest.approx([0.0461, 0.1129, 0.1240]), "as the docstring of MASKED says"
    (line,) = found["svhn", "trades", "best"]
    assert "autoattack finds far more than cw-1000 (40.4% against 52.8%)" in line


@pytest.mark.parametrize(
    ("robust", "expected"),
    [
        ({"pgd-10": 0.40, "pgd-1000": 0.44}, "pgd-10 finds more than pgd-1000"),
        ({"pgd-10": 0.40, "pgd-1000": 0.405}, None),
        ({"pgd-10": 0.40, "cw-1000": 0.44}, None),  # another loss: neither is stronger
        ({"cw-100": 0.40, "autoattack": 0.44}, "cw-100 finds more than autoattack"),
        ({"pgd-10 eps=4/255": 0.50, "autoattack": 0.30}, None),  # another radius
        ({"pgd-10": 0.40, "pgd-1000 eps=4/255": 0.60}, None),
        ({"autoattack": 0.30, "pgd-10": 0.55, "pgd-1000": 0.37}, None),  # the longest counts
        ({"autoattack eps=4/255": 0.30, "pgd-1000 eps=4/255": 0.39}, "far more than pgd-1000 eps=4/255"),
        ({"autoattack": 0.30}, None),
        ({"fgsm": 0.1, "autoattack": 0.30}, None),
    ],
)
def test_each_rule(robust, expected):
    lines = suspicions(robust)
    assert (len(lines) == 1 and expected in lines[0]) if expected else not lines


def test_strength():
    assert strength("cw-1000 eps=4/255") == ("cw eps=4/255", 1000)
    assert strength("pgd-10") == ("pgd", 10)
    assert strength("pgd") is strength("autoattack") is None


def test_a_pair_that_changes_places():
    # Under PGD-1000 SAT is behind TRADES at its best, and before it at the end.
    best, final = (
        {method: robust["pgd-1000"] for (data, method, at), robust in ROWS.items() if (data, at) == ("cifar10", which)}
        for which in ("best", "final")
    )
    pairs = reordered(best, final)
    assert all(best[a] > best[b] + 0.01 and final[b] > final[a] + 0.01 for a, b in pairs)
    assert reordered({"a": 0.5, "b": 0.4, "c": 0.1}, {"a": 0.4, "b": 0.5}) == [("a", "b")]
    assert reordered({"a": 0.5, "b": 0.4}, {"a": 0.40, "b": 0.405}) == []


def row(batch, correct, trial="t", settings=None, n=100):
    return {
        "trial": trial, "checkpoint": "best", "epoch": 3, "split": "test", "attack": "pgd-10", "batch": batch, "n": n,
        "natural_correct": 90, "correct": correct, "accuracy": correct / n, "settings": json.dumps(settings or {}),
    }  # fmt: skip


def test_accuracies_of_what_is_whole():
    table = build_table("evaluations", [row(0, 50), row(1, 40), row(2, 9, n=60), row(0, 3, trial="u")])
    key = ("t", "best", 3, "pgd-10")
    whole = accuracies(table, "test", {"t": 3, "u": 2})
    assert list(whole) == [key]  # of u a batch is missing
    assert (whole[key].n, whole[key].robust) == (260, 99 / 260)
    assert accuracies(table, "test", {"t": 1})[key].robust == 0.5
    assert accuracies(table, "val", {"t": 1}) == {}
    other = build_table("evaluations", [row(0, 50), row(1, 40, settings={"eps": 1})])
    assert accuracies(other, "test", {"t": 2}) == {}
