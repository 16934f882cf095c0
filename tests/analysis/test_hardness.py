"""Kendall's tau of two trials' losses, counted pair by pair."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from analysis.hardness import adversarial_losses, paired_losses, prepare_rank_correlations, shown
from tune_at.errors import UserError


def rows(
    trial,
    losses,
    checkpoint="",
    epoch=3,
    labels=None,
    trained=None,
    origin="adversarial_losses",
    split="train",
    attack="pgd-10",
):
    labels = labels or [0] * len(losses)
    return [
        {
            "trial": trial, "checkpoint": checkpoint, "epoch": epoch, "split": split, "origin": origin,
            "attack": attack, "example": 10 - place, "label": labels[place],
            "trained_label": (trained or labels)[place],
            "robust_loss": loss,
        }
        for place, loss in enumerate(losses)
    ]  # fmt: skip


def tau_b(a, b):
    """(concordant - discordant) / √((pairs untied in a) (pairs untied in b)), by going through all pairs."""
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    agreement = sum(one * other for one, other in signs)
    return agreement / np.sqrt(sum(one != 0 for one, _ in signs) * sum(other != 0 for _, other in signs))


def test_tau_is_that_of_all_pairs_of_samples_with_ties():
    rng = np.random.default_rng(0)
    a = rng.normal(size=10).round(1)
    b, c = (a + rng.normal(size=10)).round(0), -a
    table = pd.DataFrame([*rows("x", a), *rows("y", b), *rows("z", c)])
    found = prepare_rank_correlations(adversarial_losses(table))
    assert found[["first", "second"]].to_numpy().tolist() == [["x", "y"], ["x", "z"], ["y", "z"]]
    assert found["tau"].tolist() == pytest.approx([tau_b(a, b), -1, tau_b(b, c)])
    assert found["samples"].tolist() == [10, 10, 10]
    assert prepare_rank_correlations(adversarial_losses(table), ["z", "x"]).iloc[0]["first"] == "z"


def test_of_each_trial_the_last_measured_network_counts_or_the_best():
    table = pd.DataFrame(
        [
            *rows("x", [1.0, 2, 3], epoch=3),
            *rows("x", [4.0, 5, 6], epoch=7),
            *rows("x", [4.0, 5, 6], "epoch-000007", epoch=7),
            *rows("x", [7.0, 8, 9], "best", epoch=9),
            *rows("x", [0.0, 0, 0], epoch=9, origin="evaluate"),
            *rows("x", [0.0, 0, 0], epoch=9, split="test"),
        ]
    )
    assert sorted(adversarial_losses(table)["robust_loss"]) == [4, 5, 6]
    assert sorted(adversarial_losses(table, "best")["robust_loss"]) == [7, 8, 9]
    untrained = pd.DataFrame(rows("x", [1.0, 2, 3], "epoch-000000", epoch=0))
    with pytest.raises(UserError, match="adversarial losses are recorded of its final network; measure them"):
        adversarial_losses(untrained)
    elsewhere = pd.DataFrame(rows("x", [1.0, 2, 3], "best", epoch=0))  # weights that were imported
    assert len(adversarial_losses(elsewhere, "best")) == 3
    with pytest.raises(
        UserError, match=r"adversarial losses are recorded of its best network; measure them: .* probe DIR/N "
    ):
        adversarial_losses(table[table["checkpoint"] == ""], "best")


def test_losses_under_another_attack_are_not_mixed_in():
    a, other = [1.0, 2, 3, 4], [4.0, 3, 2, 1]
    table = pd.DataFrame(
        [*rows("x", a), *rows("y", a), *rows("x", other, attack="pgd-2"), *rows("y", a, attack="pgd-2")]
    )
    for order in (table, table[::-1]):
        assert prepare_rank_correlations(adversarial_losses(order))["tau"].tolist() == [1]
        assert prepare_rank_correlations(adversarial_losses(order, attack="pgd-2"))["tau"].tolist() == [-1]
    with pytest.raises(UserError, match="no losses under pgd-20 are recorded; there are some under pgd-10, pgd-2"):
        adversarial_losses(table, attack="pgd-20")


def test_samples_that_were_trained_with_different_labels_are_left_out():
    a, b = [1.0, 2, 3, 4], [1.0, 2, 4, 3]
    table = pd.DataFrame([*rows("x", a, trained=[0, 0, 0, 1]), *rows("y", b)])
    found = prepare_rank_correlations(adversarial_losses(table)).iloc[0]
    assert (found["tau"], found["samples"]) == (1, 3)
    table = pd.DataFrame([*rows("x", a[:2], trained=[1, 1]), *rows("y", b[:2])])
    found = prepare_rank_correlations(adversarial_losses(table)).iloc[0]
    assert np.isnan(found["tau"]) and found["samples"] == 0


def test_a_loss_that_is_not_a_number_makes_tau_none():
    table = pd.DataFrame([*rows("x", [1.0, 2, float("nan")]), *rows("y", [1.0, 2, 3])])
    assert np.isnan(prepare_rank_correlations(adversarial_losses(table))["tau"]).all()


def test_what_cannot_be_compared_is_said_in_a_line():
    one = pd.DataFrame(rows("x", [1.0, 2]))
    with pytest.raises(UserError, match="a comparison needs two"):
        prepare_rank_correlations(adversarial_losses(one))
    with pytest.raises(UserError, match="trial y: has no adversarial losses"):
        prepare_rank_correlations(adversarial_losses(one), ["x", "y"])
    for other in (rows("y", [1.0, 2, 3]), rows("y", [1.0, 2], labels=[0, 1])):
        with pytest.raises(UserError, match="trials x and y: were measured on different images"):
            prepare_rank_correlations(adversarial_losses(pd.concat([one, pd.DataFrame(other)])))


def test_the_samples_shown_are_sorted_by_the_first_trials_losses_and_spread_over_all():
    rng = np.random.default_rng(1)
    table = pd.DataFrame([*rows("x", rng.normal(size=300)), *rows("y", rng.normal(size=300))])
    pair = paired_losses(adversarial_losses(table), "x", "y")
    assert pair["first"].is_monotonic_increasing and len(pair) == 300
    by_example = table[table["trial"] == "y"].set_index("example")["robust_loss"]
    assert (by_example.loc[pair["example"]].to_numpy() == pair["second"].to_numpy()).all()
    few = shown(pair, 50)
    assert len(few) == 50 and len(shown(pair)) == 300
    assert (few["first"].iloc[0], few["first"].iloc[-1]) == (pair["first"].min(), pair["first"].max())
    assert few["example"].is_unique
