"""Rules that say whether the paper's finding shows, on small tables in which it does and in which it does not."""

import pandas as pd
import pytest
from made_frames import frames

from analysis.findings import DOES_NOT, NO_RULE, RULES, SHOWS, UNKNOWN, find
from tune_at.study.file import SHIPPED

NATURAL = "train_natural_accuracy"
ROBUST_TEST = "test_robust_accuracy"


def outcome(study, *cases, **tables):
    return find(study, frames(*cases, **tables)).outcome


def fitted(objective, value, **keys):
    return (objective, {key.replace("__", "."): v for key, v in keys.items()}, {NATURAL: [0.1, value]})


def curve(objective, best, last, **keys):
    return (objective, {key.replace("__", "."): v for key, v in keys.items()}, {ROBUST_TEST: [best, last]})


def test_every_study_of_the_paper_has_a_rule():
    ours = {"asha_search", "early_stopping", "methods", "tradeoff"}
    assert {path.stem for path in SHIPPED.glob("*.yaml")} - ours == set(RULES)


@pytest.mark.parametrize("study", ["tradeoff", "asha_search", "a_study_of_ones_own"])
def test_a_study_without_a_rule_has_no_finding_that_could_fail(study):
    found = find(study, frames(fitted("pgd_at", 0.1)))
    assert found == (NO_RULE, "nothing of the paper has to show in this study")
    assert find(study, frames(fitted("pgd_at", 0.1)), left=1) == found


@pytest.mark.parametrize("study", ["random_labels", "threat_model", "datasets", "architectures"])
@pytest.mark.parametrize(
    ("pgd_at", "trades", "expected"), [(0.12, 0.96, SHOWS), (0.25, 0.96, DOES_NOT), (0.12, 0.8, DOES_NOT)]
)
def test_random_labels(study, pgd_at, trades, expected):
    made = frames(
        fitted("pgd_at", 1.0, data__noise_rate=0.0), fitted("trades", 1.0, data__noise_rate=0.0),
        fitted("pgd_at", pgd_at), fitted("trades", trades),
    )  # fmt: skip
    found = find(study, made)
    assert found == (expected, f"of random labels PGD-AT fits {pgd_at:.1%}, TRADES {trades:.1%}")
    made.trials.loc[0, "status"] = "running"
    assert find(study, made) == (UNKNOWN, "1 trial is not completed")
    assert find(study, made, left=2) == (UNKNOWN, "2 trials are left")


def test_what_a_rule_needs_is_named():
    found = find("random_labels", frames(fitted("pgd_at", 0.1)))
    assert found == (UNKNOWN, "no completed trial with objective.name trades, data.noise_rate 1")
    nothing = frames(("pgd_at", {}, {NATURAL: [None]}), fitted("trades", 1.0))
    assert find("random_labels", nothing) == (UNKNOWN, "a has no train natural accuracy")


@pytest.mark.parametrize(("second", "expected"), [(0.15, SHOWS), (0.9, DOES_NOT)])
def test_it_has_to_show_in_each_setting(second, expected):
    found = find(
        "architectures",
        frames(
            fitted("pgd_at", 0.1, model__name="dla"), fitted("trades", 0.95, model__name="dla"),
            fitted("pgd_at", second, model__name="vgg16", model__dropout=0.0),
            fitted("trades", 0.95, model__name="vgg16", model__dropout=0.0),
        ),
    )  # fmt: skip
    assert found.outcome == expected
    assert found.numbers.startswith(f"in {2 if expected == SHOWS else 1} of 2 settings: dla: of random labels PGD-AT")
    assert f"; vgg16: of random labels PGD-AT fits {second:.1%}" in found.numbers


def test_a_setting_without_its_trials_cannot_be_told():
    found = find(
        "datasets",
        frames(
            fitted("pgd_at", 0.1, data__name="svhn"), fitted("trades", 0.95, data__name="svhn"),
            fitted("pgd_at", 0.1, data__name="cifar100"),
        ),
    )  # fmt: skip
    assert found.outcome == UNKNOWN
    assert "cifar100: no completed trial with objective.name trades" in found.numbers


@pytest.mark.parametrize(("mixed", "expected"), [(0.99, SHOWS), (0.5, DOES_NOT)])
def test_refined(mixed, expected):
    assert outcome("refined_pgd_at", fitted("pgd_at", 0.1), fitted("mixed_pgd_at", mixed)) == expected


@pytest.mark.parametrize(("highest", "expected"), [(0.15, SHOWS), (0.3, DOES_NOT)])
def test_convergence(highest, expected):
    found = find("convergence", frames(fitted("pgd_at", 0.1), fitted("fast_at", highest)))
    assert found.outcome == expected
    assert ("not low: b 30.0%" in found.numbers) == (expected == DOES_NOT)


@pytest.mark.parametrize(("lowest", "expected"), [(0.95, SHOWS), (0.7, DOES_NOT)])
def test_regularisers(lowest, expected):
    cases = [fitted("trades", 1.0, stage="none"), fitted("trades", lowest, stage="dropout")]
    found = find("regularisers", frames(*cases))
    assert found == (expected, f"random labels fitted: none 100.0%, dropout {lowest:.1%}")


@pytest.mark.parametrize(
    ("middle", "trades", "expected"), [(0.1, 0.95, SHOWS), (0.5, 0.95, DOES_NOT), (0.1, 0.5, DOES_NOT)]
)
def test_random_labels_in_balls(middle, trades, expected):
    cases = [
        fitted("pgd_at", 0.99, attack__eps=0.01), fitted("pgd_at", middle, attack__eps=0.02),
        fitted("pgd_at", 0.1, attack__eps=0.05), fitted("trades", trades, attack__eps=0.05),
    ]  # fmt: skip
    larger = [fitted(name, 0.1, attack__eps=0.1, stage="larger") for name in ("pgd_at", "trades")]
    assert outcome("eps_random_labels", *cases, *larger) == expected
    assert outcome("eps_random_labels", *cases[:1]) == UNKNOWN


def gap(rate, natural, robust, train=1.0):
    values = {NATURAL: train, "train_robust_accuracy": train, "test_natural_accuracy": train - natural,
              ROBUST_TEST: train - robust}  # fmt: skip
    return ("pgd_at", {"data.noise_rate": rate}, {column: [0.1, value] for column, value in values.items()})


def test_the_gap_grows_while_training_converges():
    growing = [gap(0.0, 0.1, 0.2), gap(0.4, 0.3, 0.4), gap(0.8, 0.6, 0.7)]
    found = find("noise_rate", frames(*growing, gap(1.0, 0.0, 0.0, train=0.1)))
    assert found.outcome == SHOWS
    assert "PGD-AT up to 80% noise: natural 10 to 60 points, tau 1.00, robust 20 to 70 points" in found.numbers
    assert outcome("noise_rate", *growing[:2], gap(0.8, 0.2, 0.7)) == DOES_NOT
    assert outcome("noise_rate", *growing[:2], gap(0.8, 0.6, 0.1)) == DOES_NOT
    assert outcome("noise_rate", *growing[:2], gap(0.8, 0.6, 0.7, train=0.4)) == UNKNOWN


@pytest.mark.parametrize(
    ("test", "fails", "expected"),
    [([0.3, 0.6, 0.4], 0.2, SHOWS), ([0.3, 0.4, 0.6], 0.2, DOES_NOT), ([0.3, 0.6, 0.4], 0.8, DOES_NOT)],
)
def test_noise_curves(test, fails, expected):
    cases = [
        ("trades", {"data.noise_rate": 0.4}, {NATURAL: [0.4, 0.6, 0.95], "test_natural_accuracy": test}),
        ("pgd_at", {"data.noise_rate": 0.8}, {NATURAL: [0.1, 0.1, fails], "test_natural_accuracy": [0.1, 0.2, 0.1]}),
    ]
    assert outcome("noise_curves", *cases) == expected
    assert outcome("noise_curves", cases[1]) == UNKNOWN


@pytest.mark.parametrize("study", ["mitigation", "architectures_and_norms"])
def test_mitigation(study):
    plain = curve("pgd_at", 0.7, 0.5)
    assert outcome(study, plain, curve("pgd_at_te", 0.7, 0.69)) == SHOWS
    assert outcome(study, plain, curve("pgd_at_te", 0.7, 0.55)) == DOES_NOT
    assert outcome(study, curve("pgd_at", 0.7, 0.69), curve("pgd_at_te", 0.7, 0.7)) == DOES_NOT
    assert outcome(study, plain, curve("trades_te", 0.7, 0.7)) == UNKNOWN


def test_each_weight_of_te_is_judged_by_itself():
    weights = [curve("pgd_at_te", 0.7, last, objective__weight=w) for w, last in ((3.0, 0.69), (30.0, 0.5))]
    found = find("mitigation", frames(curve("pgd_at", 0.7, 0.5), *weights))
    assert found.outcome == DOES_NOT
    assert "with TE of weight 3 1.0; PGD-AT 20.0, with TE of weight 30 20.0" in found.numbers


def test_larger_networks_have_no_trades():
    small = [fitted(name, value, model__name="dla") for name, value in (("pgd_at", 0.1), ("trades", 0.95))]
    large = fitted("pgd_at", 0.1, model__name="wrn-34-20", stage="capacity")
    found = find("architectures", frames(*small, large))
    assert found.outcome == SHOWS
    assert "wrn-34-20: of random labels PGD-AT fits 10.0%" in found.numbers


def test_mitigation_over_seeds_and_methods():
    plain = [curve("pgd_at", 0.7, 0.5, seed=seed) for seed in (0, 1)]
    te = [curve("pgd_at_te", 0.7, last, seed=seed) for seed, last in enumerate((0.69, 0.55))]
    found = find("mitigation", frames(*plain, *te))
    assert found.outcome == UNKNOWN
    assert "PGD-AT 20.0 (20.0 to 20.0 by seed), with TE 8.0 (1.0 to 15.0 by seed): seeds disagree" in found.numbers
    trades = [curve("trades", 0.7, 0.69), curve("trades_te", 0.7, 0.69)]
    assert outcome("mitigation", *trades, plain[0], te[0]) == SHOWS
    worse = [curve("trades", 0.7, 0.6), curve("trades_te", 0.7, 0.6)]
    assert outcome("mitigation", *worse, curve("pgd_at", 0.7, 0.5), curve("pgd_at_te", 0.7, 0.7)) == DOES_NOT


@pytest.mark.parametrize(("last", "expected"), [((0.5, 0.6), SHOWS), ((0.69, 0.7), DOES_NOT), ((0.5, 0.7), DOES_NOT)])
def test_robust_overfitting(last, expected):
    cases = [curve("pgd_at", 0.7, value, seed=seed) for seed, value in enumerate(last)]
    found = find("robust_overfitting", frames(*cases, curve("pgd_at_te", 0.7, 0.65)))
    assert found.outcome == expected
    assert found.numbers.endswith("PGD-AT+TE 5.0")
    assert outcome("robust_overfitting", curve("trades", 0.7, 0.5)) == UNKNOWN


def test_the_fall_is_from_the_best_epoch_by_the_selection_split_as_in_tables():
    # Epoch 2 is the highest on test data; epoch 1 was chosen on validation data.
    case = ("pgd_at", {"best_epoch": 1}, {ROBUST_TEST: [0.6, 0.7, 0.55]})
    assert find("robust_overfitting", frames(case)).numbers.endswith("PGD-AT 5.0")
    unevaluated = ("pgd_at", {"best_epoch": 9}, {ROBUST_TEST: [0.6, 0.7, 0.55]})
    found = find("robust_overfitting", frames(unevaluated))
    assert (found.outcome, found.numbers) == (UNKNOWN, "a has no test robust accuracy of its best epoch")


@pytest.mark.parametrize(("small", "expected"), [(0.69, SHOWS), (0.55, DOES_NOT)])
def test_small_balls(small, expected):
    cases = [curve("pgd_at", 0.7, small, attack__eps=0.01), curve("pgd_at", 0.7, 0.5, attack__eps=0.1)]
    assert outcome("eps_overfitting", *cases) == expected
    close = [curve("pgd_at", 0.7, 0.68, attack__eps=0.01), curve("pgd_at", 0.7, 0.67, attack__eps=0.1)]
    assert outcome("eps_overfitting", *close) == UNKNOWN
    # As in Fig. 6b, a second small ball is like the first: it is the largest from which the smallest must differ.
    between = curve("pgd_at", 0.7, small + 0.005, attack__eps=4 / 255)
    found = find("eps_overfitting", frames(*cases, between))
    assert found.outcome == expected
    assert f"points at eps 0.01, {100 * (0.695 - small):.1f} points at eps 4/255, 20.0 points" in found.numbers


def test_a_method_that_does_not_overfit_is_told_beside_one_that_cannot_be_told():
    close = [curve("pgd_at", 0.7, 0.68, attack__eps=0.01), curve("pgd_at", 0.7, 0.67, attack__eps=0.1)]
    flat = [curve("trades", 0.7, 0.7, attack__eps=eps) for eps in (0.01, 0.1)]
    found = find("eps_overfitting", frames(*close, *flat))
    assert found.outcome == DOES_NOT
    assert "one seed does not tell the smallest ball from the largest; TRADES falls by 0.0 points" in found.numbers


@pytest.mark.parametrize(("te", "expected"), [((0.7, 0.68), SHOWS), ((0.7, 0.6), DOES_NOT), ((0.9, 0.65), DOES_NOT)])
def test_comparison(te, expected):
    others = [curve(name, 0.7, last) for name, last in (("pgd_at", 0.55), ("pgd_at_ls", 0.6), ("sat", 0.6))]
    footnote = curve("co_teaching", 0.9, 0.9)
    assert outcome("comparison", *others, curve("kd_swa", 0.7, 0.66), curve("pgd_at_te", *te), footnote) == expected
    assert outcome("comparison", *others, curve("pgd_at_te", *te)) == UNKNOWN


@pytest.mark.parametrize(("order", "expected"), [([1, 2, 3, 4, 5], SHOWS), ([5, 4, 3, 2, 1], DOES_NOT)])
def test_hard_examples(order, expected):
    rows = pd.DataFrame(
        {"trial": ["a"] * 5 + ["b"] * 5, "origin": "adversarial_losses", "epoch": 4, "split": "train",
         "checkpoint": "final", "attack": "pgd-10", "label": 0, "trained_label": 0,
         "example": [*range(5), *range(5)], "robust_loss": [1.0, 2, 3, 4, 5, *order]}
    )  # fmt: skip
    cases = [fitted("pgd_at", 0.1), fitted("pgd_at", 0.1, seed=1)]
    found = find("hard_examples", frames(*cases, samples=rows))
    assert found.outcome == expected
    assert "over 1 pairs of trials, 5 images" in found.numbers
    assert outcome("hard_examples", *cases, samples=rows[:0]) == UNKNOWN
