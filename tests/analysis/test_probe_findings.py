"""Rules on what probes measure: gradients, and complexity."""

import pandas as pd
import pytest
from made_frames import frames

from analysis.findings import DOES_NOT, SHOWS, UNKNOWN, find

ROBUST_TEST = "test_robust_accuracy"


def outcome(study, *cases, **tables):
    return find(study, frames(*cases, **tables)).outcome


def fitted(objective, value):
    return (objective, {}, {"train_natural_accuracy": [0.1, value]})


def probed(*rows):
    columns = ["trial", "epoch", "probe", "quantity", "x", "value"]
    return pd.DataFrame([(*row, "")[:7] for row in rows], columns=[*columns, "checkpoint"])


MEASURES = (
    ("spectral_norm", "log_product_over_margin"), ("l1_norm", "log_product_over_margin"),
    ("input_curvature", "input_curvature"), ("weight_flatness", "weight_flatness"),
)  # fmt: skip
GROUPS = ("clean", "mislabelled")

TWO = (fitted("pgd_at", 0.1), fitted("trades", 0.9))


@pytest.mark.parametrize(("trades", "expected"), [(0.1, SHOWS), (0.4, DOES_NOT)])
def test_gradient_ratio(trades, expected):
    rows = probed(("a", 1, "gradient_ratio", "ratio", 1, 0.3), ("b", 1, "gradient_ratio", "ratio", 1, trades))
    assert outcome("gradient_norms", *TWO, probes=rows) == expected
    assert outcome("gradient_norms", *TWO, probes=rows[:1]) == UNKNOWN
    assert outcome("gradient_norms", *TWO) == UNKNOWN


@pytest.mark.parametrize(
    ("moved", "cosine", "expected"), [(0.1, 0.9, SHOWS), (0.4, 0.9, DOES_NOT), (0.1, 0.2, DOES_NOT)]
)
def test_gradient_stability(moved, cosine, expected):
    rows = [
        (trial, 0, "gradient_stability", "objective", x, value if x else 9.0)
        for trial, value in (("a", 0.3), ("b", moved))
        for x in (-1.0, 0.0, 1.0)
    ]
    rows += [("a", 2, "gradient_cosine", "cosine", None, 0.5), ("b", 2, "gradient_cosine", "cosine", None, cosine)]
    assert outcome("gradient_stability", *TWO, probes=probed(*rows)) == expected
    # What was measured from a checkpoint afterwards is of another network.
    later = ("b", 2, "gradient_stability", "objective", 1.0, 99.0, "final")
    assert outcome("gradient_stability", *TWO, probes=probed(*rows, later)) == expected


@pytest.mark.parametrize(
    ("value", "ratio", "expected"), [(0.1, 1.0, SHOWS), (0.8, 1.0, DOES_NOT), (0.1, 0.5, DOES_NOT)]
)
def test_noisy_gradients(value, ratio, expected):
    rows = [
        ("a", epoch, "group_gradient_norms", f"{group}_adversarial_ce", None, norm)
        for epoch in (5, 10)
        for group, norm in zip(GROUPS, (3 * ratio, 3.0), strict=True)
    ]
    found = find("noisy_gradients", frames(fitted("pgd_at", value), fitted("standard", 1.0), probes=probed(*rows)))
    assert found.outcome == expected
    assert f"{ratio:.2f} times" in found.numbers


@pytest.mark.parametrize(("random", "expected"), [(1.0, SHOWS), (3.0, DOES_NOT)])
def test_complexity(random, expected):
    def case(rate, train, test):
        return ("trades", {"data.noise_rate": rate}, {"train_robust_accuracy": [train], ROBUST_TEST: [test]})

    rows = [(t, 1, *m, None, value) for m in MEASURES for t, value in (("a", 2.0), ("b", 2.5), ("c", random))]
    rows[2] = (*rows[2][:5], float("nan"))  # a margin that is not positive
    found = find(
        "complexity", frames(case(0.0, 0.9, 0.7), case(0.0, 0.9, 0.6), case(1.0, 0.9, 0.1), probes=probed(*rows))
    )
    assert found.outcome == expected
    assert (
        f"by {3 if expected == SHOWS else 0} of 4 measures: spectral norm tau 1.00, 0 such pairs of 0" in found.numbers
    )


def test_complexity_is_of_the_last_networks_as_in_its_figure():
    def case(rate, test):
        return ("trades", {"data.noise_rate": rate}, {"train_robust_accuracy": [0.5, 0.9], ROBUST_TEST: [test, test]})

    cases = [case(0.0, 0.7), case(1.0, 0.1)]
    rows = [(t, 2, *m, None, value) for m in MEASURES for t, value in (("a", 2.0), ("b", 3.0))]
    # Before training, after an earlier epoch and at the best one random labels look simpler.
    others = [("b", *at, *m, None, -50.0, "kept") for m in MEASURES for at in ((0,), (1,))]
    others += [("b", 1, *m, None, -50.0, "best") for m in MEASURES]
    found = find("complexity", frames(*cases, probes=probed(*rows, *others)))
    assert found.outcome == DOES_NOT
    assert found.numbers.startswith("by 0 of 4 measures: spectral norm tau 1.00, 0 such pairs of 1")
    assert outcome("complexity", *cases, probes=probed(*others)) == UNKNOWN
    # A measure that is defined for no network hides none of the others.
    margins = [("a", 2, probe, "margin", None, -1.0) for probe in ("spectral_norm", "l1_norm")]
    found = find("complexity", frames(*cases, probes=probed(*margins, *rows[4:])))
    assert found.outcome == DOES_NOT
    assert found.numbers.startswith(
        "by 0 of 4 measures: spectral norm 0 such pairs of 0; l1 norm 0 such pairs of 0; in"
    )


def test_complexity_cannot_be_told_without_a_network_of_each_kind():
    case = ("trades", {"data.noise_rate": 0.0}, {"train_robust_accuracy": [0.9], ROBUST_TEST: [0.7]})
    found = find("complexity", frames(case, probes=probed(*(("a", 1, *m, None, 2.0) for m in MEASURES))))
    assert found == (UNKNOWN, "no measure is there of both a network of random labels and one of true labels")


def test_a_probe_that_was_repeated_from_a_checkpoint_is_no_part_of_what_training_measured():
    rows = [("a", 1, "gradient_ratio", "ratio", 1, 0.3, ""), ("b", 1, "gradient_ratio", "ratio", 1, 0.1, "")]
    again = ("b", 1, "gradient_ratio", "ratio", 1, 9.0, "best")
    assert outcome("gradient_norms", *TWO, probes=probed(*rows, again)) == SHOWS
    groups = [("a", 1, "group_gradient_norms", f"{group}_adversarial_ce", None, 0.0) for group in GROUPS]
    found = find("noisy_gradients", frames(TWO[0], probes=probed(*groups)))
    assert found == (UNKNOWN, "no epoch has gradients of both right and wrong labels")
