"""Learning curves as means over seeds, and the figures that draw them."""

import pytest
from made_frames import frames

from analysis.curves import lines_of, mean_curves
from analysis.figures.budget_curves import draw_budget_curves, prepare_budget_curves
from analysis.figures.noise_curves import draw_noise_curves, prepare_noise_curves
from analysis.figures.overfitting_curves import draw_overfitting_curves, prepare_overfitting_curves
from analysis.figures.test_curves import draw_test_curves, prepare_test_curves
from tune_at.errors import UserError

NAN = float("nan")


def test(objective, natural, robust, **keys):
    return (objective, keys, {"test_natural_accuracy": natural, "test_robust_accuracy": robust})


test.__test__ = False

TWO = (
    test("pgd_at", [0.5, 0.7, 0.6], [0.3, 0.5, 0.2], seed=0, best_epoch=2),
    test("pgd_at", [0.7, 0.7, 0.8], [0.5, 0.3, 0.4], seed=1, best_epoch=1),
)


def robust(made):
    frame = mean_curves(made, {"test_robust_accuracy": ("robust",)}, ["kind"])
    return frame[["series", "epoch", "value", "seeds", "mark"]].round(6).to_numpy().tolist()


def test_means_over_seeds_with_best_and_final():
    assert robust(frames(*TWO)) == [
        ["pgd_at", 1, 0.4, 2, ""],
        ["pgd_at", 2, 0.4, 2, ""],
        ["pgd_at", 3, 0.3, 2, ""],
        ["pgd_at", 1.5, 0.5, 2, "best"],
        ["pgd_at", 3, 0.3, 2, "final"],
    ]
    frame = mean_curves(frames(*TWO), {"test_robust_accuracy": ("robust",)}, ["kind"])
    assert frame["spread"].tolist() == pytest.approx([0.2 / 2**0.5] * 2 + [0.2 / 2**0.5] + [0.0] + [0.2 / 2**0.5])


def test_a_curve_ends_where_one_of_its_seeds_has_not_come_yet_and_has_no_final_value():
    running = test("pgd_at", [0.7, 0.7], [0.5, 0.3], seed=1, status="running")
    found = robust(frames(TWO[0], running))
    assert [row[1] for row in found if not row[4]] == [1, 2]
    assert [row[1:] for row in found if row[4] == "final"] == [[3, 0.2, 1, "final"]]


def test_a_trial_that_was_cut_short_is_in_no_mean_of_those_that_were_not():
    cut = test("pgd_at", [0.9, 0.9], [0.9, 0.9], seed=2, status="stopped")
    assert robust(frames(*TWO, cut)) == robust(frames(*TWO))
    alone = robust(frames(cut))
    assert [row[1:3] for row in alone if not row[4]] == [[1, 0.9], [2, 0.9]]
    assert not [row for row in alone if row[4] == "final"]  # a stopped trial's last value is no final one


def test_an_epoch_without_a_value_is_no_zero():
    gap = test("pgd_at", [0.5, NAN, 0.6], [0.3, NAN, 0.2])
    assert [row[1:3] for row in robust(frames(gap)) if not row[4]] == [[1, 0.3], [3, 0.2]]
    with pytest.raises(UserError, match="no epoch has a test natural accuracy or a test robust accuracy; wait"):
        prepare_test_curves(frames(("pgd_at", {}, {"train_natural_accuracy": [0.5]})))
    with pytest.raises(UserError, match=r"a training natural accuracy; set evaluation\.train_samples"):
        mean_curves(frames(gap), {"train_natural_accuracy": ("natural",)}, ["kind"])
    early = test("pgd_at", [NAN], [NAN], evaluation__train_samples=64, status="running")
    early = (early[0], {key.replace("__", "."): value for key, value in early[1].items()}, early[2])
    with pytest.raises(UserError, match=r"a training natural accuracy; wait for the first evaluation$"):
        mean_curves(frames(early), {"train_natural_accuracy": ("natural",)}, ["kind"])


def test_test_curves_are_drawn_with_a_band_and_marks():
    frame = prepare_test_curves(frames(*TWO, test("trades", [0.5] * 3, [0.4] * 3)))
    figure = draw_test_curves(frame)
    natural, right = figure.axes
    assert (natural.get_title(), right.get_title()) == ("(a) natural accuracy", "(b) robust accuracy")
    assert list(right.lines[0].get_ydata()) == pytest.approx([40, 40, 30])
    assert [list(line.get_xdata()) for line in right.lines[1:3]] == [[1.5], [3]]
    assert len(right.collections) == 1  # one seed has no band
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["PGD-AT", "TRADES"]


def test_overfitting_curves_have_training_and_test_in_one_panel():
    keys = {f"{split}_{kind}_accuracy": [0.1, 0.2] for split in ("train", "test") for kind in ("natural", "robust")}
    frame = prepare_overfitting_curves(frames(("pgd_at", {}, keys)))
    assert set(zip(frame["split"], frame["kind"], strict=True)) == {
        (split, kind) for split in ("train", "test") for kind in ("natural", "robust")
    }
    figure = draw_overfitting_curves(frame)
    assert len(figure.axes) == 1
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert names == {"training, natural", "training, robust", "test, natural", "test, robust"}


def test_budget_curves_have_a_line_an_eps():
    cases = [test("pgd_at", [0.5], [value], **{"attack.eps": n / 255, "attack.step": n / 1020})
             for n, value in ((8, 0.3), (1, 0.6))]  # fmt: skip
    frame = prepare_budget_curves(frames(*cases))
    assert set(frame["series"]) == {"pgd_at"}  # a step that follows from eps makes no series
    assert lines_of(frame).set_index("eps")["value"].to_dict() == {1 / 255: 0.6, 8 / 255: 0.3}
    figure = draw_budget_curves(frame)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ε = 1/255", "ε = 8/255"]


def test_noise_curves_have_a_line_a_rate_and_a_panel_a_split():
    curves = {"train_natural_accuracy": [0.3, 0.9], "test_natural_accuracy": [0.5, 0.4]}
    cases = [(name, {"data.noise_rate": rate}, curves) for name in ("pgd_at", "trades") for rate in (0.0, 0.8)]
    frame = prepare_noise_curves(frames(*cases))
    assert len(lines_of(frame)) == 2 * 2 * 2 * 2
    figure = draw_noise_curves(frame)
    assert [axis.get_title() for axis in figure.axes] == [
        f"{name}: natural {split}" for name in ("PGD-AT", "TRADES") for split in ("training", "test")
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true labels", "80% noise"]


def test_series_are_named_by_what_tells_them_apart():
    def case(**keys):
        return test("pgd_at", [0.5], [0.5], **{key.replace("__", "."): value for key, value in keys.items()})

    named = [
        case(model__name="small_cnn", model__width=16), case(model__name="small_cnn", model__width=32),
        case(model__name="vgg16", model__dropout=0.0),
    ]  # fmt: skip
    assert list(dict.fromkeys(prepare_test_curves(frames(*named))["series"])) == [
        "pgd_at, small_cnn, width 16", "pgd_at, small_cnn, width 32", "pgd_at, vgg16",
    ]  # fmt: skip
    # One changed at a time: what most trials share goes without saying.
    usual = {"optim__name": "sgd", "optim__lr": 0.1, "optim__nesterov": False}
    changed = [case(**usual), case(**usual | {"optim__lr": 0.01}), case(**usual | {"optim__nesterov": True}),
               case(**usual | {"optim__name": "adam"})]  # fmt: skip
    assert set(prepare_test_curves(frames(*changed))["series"]) == {
        "pgd_at", "pgd_at, lr 0.01", "pgd_at, nesterov True", "pgd_at, adam",
    }  # fmt: skip
