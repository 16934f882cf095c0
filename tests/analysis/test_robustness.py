"""What of accuracies under attacks should give pause: the rules against the paper's own tables."""

import json

import pytest

from analysis.robustness import accuracies, reordered, strength, suspicions
from tune_at.store.schema import build_table

ATTACKS = ("pgd-10", "pgd-1000", "cw-1000", "autoattack")
# Tables 1 (a to c) and 2: best and final under each of the four attacks.
PAPER = """
cifar10 PGD-AT 52.64 44.92 51.22 42.74 50.11 43.63 47.74 41.84
cifar10 PGD-AT+TE 55.79 54.83 54.65 53.30 52.30 51.73 50.59 49.62
cifar10 TRADES 53.32 50.25 52.44 48.67 49.88 48.14 49.03 46.80
cifar10 TRADES+TE 55.15 54.42 53.74 53.03 50.77 50.63 49.77 49.20
cifar100 PGD-AT 29.40 21.75 28.54 20.63 27.06 21.17 24.72 19.34
cifar100 PGD-AT+TE 31.74 30.24 31.27 29.80 28.27 27.36 26.30 25.34
cifar100 TRADES 29.93 27.70 29.51 26.93 25.46 24.42 24.61 23.40
cifar100 TRADES+TE 31.09 30.12 30.54 29.45 26.61 25.94 25.27 24.55
svhn PGD-AT 54.51 46.97 52.22 42.85 48.66 44.13 46.61 38.24
svhn PGD-AT+TE 59.74 59.05 57.71 56.46 54.55 53.94 51.44 50.61
svhn TRADES 59.50 57.04 52.78 50.17 52.76 50.53 40.36 38.88
svhn TRADES+TE 59.81 58.49 58.24 56.66 54.00 53.24 51.45 50.16
cifar10 PGD-AT+LS 53.70 48.90 52.56 46.31 50.41 46.06 49.02 44.39
cifar10 SAT 53.81 53.31 52.41 52.00 51.99 51.71 50.21 49.73
cifar10 KD-SWA 54.89 53.80 53.31 52.45 51.48 50.91 50.42 49.83
"""
ROWS = [line.split() for line in PAPER.strip().splitlines()]


def of_paper(row, which):
    return dict(zip(ATTACKS, [float(value) / 100 for value in row[2 + which :: 2]], strict=True))


def test_of_the_papers_networks_those_of_trades_on_svhn_mask_their_gradients():
    found = {(row[0], row[1], which): suspicions(of_paper(row, which)) for row in ROWS for which in (0, 1)}
    assert {key for key, lines in found.items() if lines} == {("svhn", "TRADES", 0), ("svhn", "TRADES", 1)}
    (line,) = found["svhn", "TRADES", 0]
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
    by_name = {row[1]: row for row in ROWS if row[0] == "cifar10"}
    best, final = ({name: of_paper(row, w)["pgd-1000"] for name, row in by_name.items()} for w in (0, 1))
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
