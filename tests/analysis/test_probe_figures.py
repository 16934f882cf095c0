"""Figures of what probes measure."""

import pandas as pd
import pytest
from made_frames import frames

from analysis.figures import gradients
from analysis.figures.complexity import draw_complexity, prepare_complexity
from analysis.figures.group_gradients import draw_group_gradients, prepare_group_gradients
from analysis.figures.hard_examples import draw_hard_examples, prepare_hard_examples
from tune_at.errors import UserError


def case(objective, **keys):
    curves = {"train_robust_accuracy": [0.5, 0.9], "test_robust_accuracy": [0.4, 0.3]}
    return (objective, {key.replace("__", "."): value for key, value in keys.items()}, curves)


def probed(*rows):
    columns = ["trial", "epoch", "probe", "quantity", "x", "value"]
    return pd.DataFrame([(*row, "")[:7] for row in rows], columns=[*columns, "checkpoint"])


SEEDS = (case("pgd_at", seed=0), case("pgd_at", seed=1), case("trades"))


def test_gradient_norms_are_means_over_seeds():
    rows = probed(
        ("a", 5, "gradient_norms", "adversarial_ce", None, 1.0),
        ("b", 5, "gradient_norms", "adversarial_ce", None, 3.0),
        ("c", 5, "gradient_norms", "ce", None, 100.0), ("c", 5, "gradient_norms", "kl", None, float("nan")),
        ("c", 5, "gradient_norms", "kl", None, 0.5), ("a", 10, "gradient_cosine", "cosine", None, 0.5),
    )  # fmt: skip
    frame = gradients.prepare_gradient_norms(frames(*SEEDS, probes=rows)).set_index(["series", "quantity"])
    assert frame["value"].to_dict() == {
        ("pgd_at", "adversarial_ce"): 2.0,
        ("trades", "ce"): 100.0,
        ("trades", "kl"): 0.5,
    }
    assert frame.loc[("pgd_at", "adversarial_ce"), ["spread", "seeds"]].tolist() == [pytest.approx(2**0.5), 2]
    figure = gradients.draw_gradient_norms(frame.reset_index())
    assert figure.axes[0].get_yscale() == "log"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["PGD-AT, adversarial CE", "TRADES, CE", "TRADES, KL"]
    cosine = gradients.prepare_gradient_cosine(frames(*SEEDS, probes=rows))
    assert cosine[["series", "epoch", "value"]].to_numpy().tolist() == [["pgd_at", 10, 0.5]]
    assert gradients.draw_gradient_cosine(cosine).axes[0].get_ylabel() == "cosine between epochs' gradients"


def test_what_was_not_measured_in_training_is_said():
    with pytest.raises(UserError, match="gradient_norms: has no rows in this sweep; name it in the study's `probes`"):
        gradients.prepare_gradient_norms(frames(*SEEDS))
    with pytest.raises(UserError, match=r"measure it afterwards: .* probe DIR/N --probe spectral_norm"):
        prepare_complexity(frames(*SEEDS))


def test_the_ratio_is_smoothed_by_series():
    rows = probed(*((t, 1, "gradient_ratio", "ratio", x, v) for t, v in (("a", 4.0), ("c", 1.0)) for x in (1, 2, 3)))
    rows.loc[1, "value"] = 1.0
    frame = gradients.prepare_gradient_ratio(frames(*SEEDS, probes=rows))
    assert frame["smooth"].tolist() == pytest.approx([4.0, 2.5, 3.0, 1.0, 1.0, 1.0])
    axis = gradients.draw_gradient_ratio(frame).axes[0]
    assert list(axis.lines[1].get_ydata()) == pytest.approx([4.0, 2.5, 3.0])


def test_clean_ce_is_one_line_beside_the_objectives():
    rows = probed(
        *(
            (trial, 0, "gradient_stability", quantity, x, abs(x) * factor)
            for trial, factor in (("a", 3.0), ("b", 3.0), ("c", 2.0))
            for quantity in ("ce", "objective")
            for x in (-0.05, 0.0, 0.05)
        )
    )
    frame = gradients.prepare_gradient_stability(frames(*SEEDS, probes=rows))
    at_end = frame[frame["x"] == 0.05].set_index("series")["value"]
    # Clean CE: seed 0 is the mean of a (0.15) and c (0.10), seed 1 is b (0.15).
    assert at_end.to_dict() == pytest.approx({"ce": 0.1375, "pgd_at": 0.15, "trades": 0.1})
    assert [text.get_text() for text in gradients.draw_gradient_stability(frame).legends[0].get_texts()] == [
        "clean CE", "PGD-AT", "TRADES",
    ]  # fmt: skip


def test_groups_are_told_apart():
    rows = probed(
        ("a", 5, "group_gradient_norms", "clean_adversarial_ce", None, 1.0),
        ("a", 5, "group_gradient_norms", "mislabelled_adversarial_ce", None, 2.0),
    )
    frame = prepare_group_gradients(frames(SEEDS[0], probes=rows))
    assert frame[["group", "loss", "value"]].to_numpy().tolist() == [
        ["clean", "adversarial_ce", 1.0], ["mislabelled", "adversarial_ce", 2.0],
    ]  # fmt: skip
    figure = draw_group_gradients(frame)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["right labels", "wrong labels"]


def test_complexity_is_of_the_last_network_and_says_where_it_is_not_defined():
    made = (case("trades", data__noise_rate=0.0), case("trades", data__noise_rate=1.0))
    rows = probed(
        ("a", 1, "spectral_norm", "log_product_over_margin", None, 9.0),
        ("a", 2, "spectral_norm", "log_product_over_margin", None, 7.0),
        ("b", 2, "spectral_norm", "log_product_over_margin", None, float("nan")),
        ("b", 2, "spectral_norm", "margin", None, -1.0),
        ("a", 2, "weight_flatness", "weight_flatness", 0.1, 1.0),
        ("a", 2, "weight_flatness", "weight_flatness", 0.2, 3.0),
    )  # fmt: skip
    rows = pd.concat([rows, rows[1:2].assign(checkpoint="best", value=5.0)])
    frame = prepare_complexity(frames(*made, probes=rows))
    assert frame["measure"].unique().tolist() == ["spectral norm over margin (log)", "weight flatness"]
    found = frame.set_index(["measure", "trial"])["value"]
    assert found["spectral norm over margin (log)", "a"] == 7.0
    assert found["spectral norm over margin (log)", "b"] != found["spectral norm over margin (log)", "b"]
    assert found["weight flatness", "a"] == 2.0
    assert frame["gap"].tolist() == pytest.approx([0.6] * 3)
    figure = draw_complexity(frame)
    assert figure.axes[0].get_title() == "(a) spectral norm over margin (log)\n1 not defined: margin ≤ 0"


def test_complexity_of_another_network_than_the_last_is_not_drawn_against_the_last_gap():
    made = frames(case("trades"), probes=probed(("a", 0, "input_curvature", "input_curvature", None, 1.0, "initial")))
    with pytest.raises(UserError, match=r"no rows of any trial's last network.*probe DIR/N --probe"):
        prepare_complexity(made)


def test_complexity_without_a_gap_says_what_is_missing():
    untested = ("pgd_at", {}, {"train_robust_accuracy": [0.5], "test_robust_accuracy": [float("nan")]})
    with pytest.raises(UserError, match="complexity: the trials' data has no test split"):
        prepare_complexity(frames(untested))


def test_hard_examples_pair_seeds_before_architectures():
    made = [case("pgd_at", model__name=name, seed=seed) for name in ("dla", "vgg16") for seed in (0, 1)]
    rows = pd.DataFrame(
        [
            {"trial": trial, "origin": "adversarial_losses", "epoch": 2, "split": "train", "checkpoint": "final",
             "attack": "pgd-10", "label": 0, "trained_label": 0, "example": example, "robust_loss": loss}
            for trial, losses in zip("abcd", ([1.0, 2, 3], [2.0, 3, 4], [3.0, 2, 1], [1.0, 3, 2]), strict=True)
            for example, loss in enumerate(losses)
        ]
    )  # fmt: skip
    frame = prepare_hard_examples(frames(*made, samples=rows))
    pairs = frame.drop_duplicates(["first", "second"])
    assert pairs[["first", "second", "differ"]].to_numpy().tolist()[:4] == [
        ["a", "b", "seed"], ["c", "d", "seed"], ["a", "c", "model.name"], ["b", "d", "model.name"],
    ]  # fmt: skip
    assert len(pairs) == 6
    assert pairs["tau"].tolist()[:3] == pytest.approx([1.0, -1 / 3, -1.0])
    assert frame[(frame["first"] == "a") & (frame["second"] == "c")]["second_loss"].tolist() == [3, 2, 1]
    figure = draw_hard_examples(frame)
    assert figure.axes[0].get_title() == "(a) a\nand b: τ = 1.00"
