"""Rules that say whether the paper's finding shows, on small tables in which it does and in which it does not."""

import pandas as pd
import pytest

from analysis.findings import DOES_NOT, RULES, SHOWS, UNKNOWN, find
from tune_at.study.file import SHIPPED


def frames(objectives, curves, column="train_natural_accuracy", **columns):
    trials = pd.DataFrame(
        {"trial": list("abcdef")[: len(objectives)], "objective": objectives, "status": "completed", **columns}
    )
    rows = [
        {"trial": trial, "epoch": epoch, column: value}
        for trial, curve in zip(trials["trial"], curves, strict=True)
        for epoch, value in enumerate(curve, 1)
    ]
    return {"trials": trials, "epochs": pd.DataFrame(rows), "probes": pd.DataFrame(), "samples": pd.DataFrame()}


@pytest.mark.parametrize(
    ("pgd_at", "trades", "outcome"),
    [(0.12, 0.96, SHOWS), (0.25, 0.96, DOES_NOT), (0.12, 0.8, DOES_NOT)],
)
def test_random_labels(pgd_at, trades, outcome):
    made = frames(
        ["pgd_at", "trades", "pgd_at", "trades"], [[0.5, 1.0], [0.5, 1.0], [0.1, pgd_at], [0.2, trades]],
        **{"data.noise_rate": [0.0, 0.0, 1.0, 1.0]},
    )  # fmt: skip
    found = find("random_labels", made)
    assert found.outcome == outcome
    assert f"PGD-AT fits {pgd_at:.1%}, TRADES {trades:.1%}" in found.numbers
    made["trials"].loc[0, "status"] = "running"
    assert find("random_labels", made) == (UNKNOWN, "1 trials are not completed")


def test_a_trial_that_the_rule_needs_is_missing():
    assert find("random_labels", frames(["pgd_at"], [[0.1]])).outcome == UNKNOWN
    assert find("tradeoff", frames(["pgd_at"], [[0.1]])).outcome == UNKNOWN


@pytest.mark.parametrize(("te", "outcome"), [([0.7, 0.69], SHOWS), ([0.7, 0.55], DOES_NOT)])
def test_mitigation(te, outcome):
    made = frames(["pgd_at", "pgd_at_te"], [[0.7, 0.5], te], "test_robust_accuracy")
    found = find("mitigation", made)
    assert found.outcome == outcome
    assert "20.0 points with PGD-AT" in found.numbers


def test_a_method_that_does_not_overfit_shows_no_mitigation():
    assert (
        find("mitigation", frames(["pgd_at", "pgd_at_te"], [[0.7, 0.69], [0.7, 0.7]], "test_robust_accuracy")).outcome
        == DOES_NOT
    )


@pytest.mark.parametrize(("small", "outcome"), [(0.69, SHOWS), (0.6, DOES_NOT)])
def test_small_balls(small, outcome):
    made = frames(["pgd_at"] * 2, [[0.7, small], [0.7, 0.5]], "test_robust_accuracy", **{"attack.eps": [0.01, 0.1]})
    assert find("eps_overfitting", made).outcome == outcome


@pytest.mark.parametrize(
    ("study", "probe", "quantity"),
    [("gradient_norms", "gradient_ratio", "ratio"), ("gradient_stability", "gradient_stability", "objective")],
)
@pytest.mark.parametrize(("trades", "outcome"), [(0.1, SHOWS), (0.4, DOES_NOT)])
def test_gradients(study, probe, quantity, trades, outcome):
    made = frames(["pgd_at", "trades"], [[0.1], [0.1]])
    made["probes"] = pd.DataFrame(
        {"trial": ["a", "a", "b", "b"], "probe": probe, "quantity": quantity, "x": [-1.0, 1.0] * 2,
         "value": [0.3, 0.3, trades, trades]}
    )  # fmt: skip
    assert find(study, made).outcome == outcome


@pytest.mark.parametrize(("order", "outcome"), [([1, 2, 3, 4, 5], SHOWS), ([5, 4, 3, 2, 1], DOES_NOT)])
def test_hard_examples(order, outcome):
    made = frames(["pgd_at"] * 2, [[0.1], [0.1]])
    made["samples"] = pd.DataFrame(
        {"trial": ["a"] * 5 + ["b"] * 5, "origin": "adversarial_losses", "epoch": 4,
         "example": [*range(5), *range(5)], "robust_loss": [1.0, 2, 3, 4, 5, *order]}
    )  # fmt: skip
    found = find("hard_examples", made)
    assert found.outcome == outcome
    assert "1.00" in found.numbers


@pytest.mark.parametrize("study", RULES)
def test_each_rule_is_of_a_shipped_study(study):
    assert (SHIPPED / f"{study}.yaml").is_file()
