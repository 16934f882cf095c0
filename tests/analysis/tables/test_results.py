"""Tables 1, 2 and C.1: each cell from counts small enough to work out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_sweeps import BEST, LAST, both, config, frames, trial

from analysis.tables import prepare_table
from tune_at.config.tree import leaves
from tune_at.errors import UserError
from tune_at.study.study import Study


def cell(frame, column, part, **row):
    """The one cell of a row."""
    for key, value in row.items():
        frame = frame[frame[key] == value]
    (found,) = frame[(frame["column"] == column) & (frame["part"] == part)].to_dict("records")
    return found


def values(frame, column, **row):
    return [cell(frame, column, part, **row)["value"] for part in ("best", "final", "diff")]


def test_one_seed_has_no_spread():
    frame = prepare_table(frames(trial("a", config(), both(50, 44))), "1")
    assert values(frame, "pgd-10") == [50, 44, 6]
    assert values(frame, "natural") == [90, 80, 10]
    assert frame["spread"].isna().all()
    assert set(frame[frame["column"] == "pgd-10"]["seeds"]) == {1}
    assert list(frame["panel"].unique()) == ["digits, l-inf (eps 0.1), small_cnn"]


def test_two_seeds_have_their_mean_and_standard_deviation():
    made = frames(trial("a", config(), both(50, 44)), trial("b", config(seed=1), both(54, 40)), seeds=2)
    frame = prepare_table(made, "1")
    assert values(frame, "pgd-10") == [52, 42, 10]  # diffs 6 and 14
    spreads = [cell(frame, "pgd-10", part)["spread"] for part in ("best", "final", "diff")]
    assert spreads == pytest.approx([math.sqrt(8), math.sqrt(8), math.sqrt(32)])
    assert (frame["planned"] == 2).all()


def test_batches_are_summed_over_their_images():
    counts = [(50, 90), (20, 70), (38, 80)]
    made = frames(trial("a", config(), [("pgd-10", "best", counts), ("pgd-10", "final", counts)]))
    frame = prepare_table(made, "1")
    assert cell(frame, "pgd-10", "best")["value"] == pytest.approx(36)
    assert cell(frame, "natural", "best")["value"] == pytest.approx(80)
    assert cell(frame, "pgd-10", "best")["images"] == 300
    first = prepare_table(made, "1", images=200)
    assert (cell(first, "pgd-10", "best")["value"], cell(first, "pgd-10", "best")["images"]) == (35, 200)


def test_a_missing_attack_is_nan_and_says_so():
    frame = prepare_table(frames(trial("a", config(), both(50, 44))), "1")
    for part in ("best", "final", "diff"):
        found = cell(frame, "autoattack", part)
        assert np.isnan(found["value"]) and found["seeds"] == 0 and found["missing"] == "not evaluated"


def test_a_network_that_was_attacked_on_fewer_images_than_others_is_not_in():
    whole = [("pgd-10", at, [(50, 90), (30, 90)]) for at in ("best", "final")]
    part = [("pgd-10", "best", [(90, 90), (90, 90)]), ("pgd-10", "final", [(90, 90)])]
    made = frames(trial("a", config(), whole), trial("b", config("trades"), part))
    frame = prepare_table(made, "1")
    late = cell(frame, "pgd-10", "final", method="TRADES")
    assert np.isnan(late["value"]) and late["missing"] == "evaluated on 100 images, not on 200"
    assert np.isnan(cell(frame, "pgd-10", "diff", method="TRADES")["value"])
    assert values(prepare_table(made, "1", images=100), "pgd-10", method="TRADES") == [90, 90, 0]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"epoch": BEST - 1}, "the best network is another by now"),
        ({"batch": 1}, "the first batch is not there"),
        ({"split": "val"}, "other images"),
    ],
)
def test_rows_that_are_not_of_the_network(changed, why):
    made = frames(trial("a", config(), both(50, 44)), trial("b", config("trades"), both(50, 44)))
    rows = made.evaluations
    here = (rows["trial"] == "a") & (rows["checkpoint"] == "best")
    for key, value in changed.items():
        rows.loc[here, key] = value
    assert np.isnan(cell(prepare_table(made, "1"), "pgd-10", "best", method="PGD-AT")["value"]), why
    assert values(prepare_table(made, "1"), "pgd-10", method="TRADES") == [50, 44, 6]


def test_batches_under_different_settings_are_not_put_together():
    made = frames(
        trial("a", config(), [("pgd-10", "best", [(50, 90), (60, 90)])]), trial("b", config("trades"), both(1, 2))
    )
    made.evaluations.loc[0, "settings"] = '{"steps": 20}'
    assert np.isnan(cell(prepare_table(made, "1"), "pgd-10", "best", method="PGD-AT")["value"])


@pytest.mark.parametrize(
    ("status", "said"),
    [("stopped", "stopped early"), ("diverged", "diverged"), ("running", "running"), ("failed", "failed")],
)
def test_only_completed_trials_count(status, said):
    made = frames(trial("a", config(), both(50, 44)), trial("b", config(seed=1), both(10, 10), status=status), seeds=3)
    frame = prepare_table(made, "1")
    found = cell(frame, "pgd-10", "final")
    assert (found["value"], found["seeds"], found["planned"]) == (44, 1, 3)
    assert found["missing"] == f"1 of 3 {said}, 1 of 3 not started"


def test_natural_accuracy_and_pgd_10_come_from_training_where_nothing_was_evaluated():
    curves = {BEST: (0.9, 0.8, 0.7, 0.5), LAST: (1.0, 0.9, 0.75, 0.375)}
    frame = prepare_table(frames(trial("a", config(), trained=curves)), "1")
    assert values(frame, "natural") == [70, 75, -5]
    assert values(frame, "pgd-10") == [50, 37.5, 12.5]
    assert set(frame[frame["column"] == "pgd-10"]["source"]) == {"training"}
    assert np.isnan(cell(frame, "pgd-1000", "best")["value"])
    # Training's attack is not PGD-10 there.
    for other in ({"evaluation__steps": 20}, {"evaluation__keep_attacking": False}):
        frame = prepare_table(frames(trial("a", config(**other), trained=curves)), "1")
        assert np.isnan(cell(frame, "pgd-10", "best")["value"])
    some = prepare_table(frames(trial("a", config(evaluation__test_samples=500), trained=curves)), "1")
    assert cell(some, "pgd-10", "best")["images"] == 500


def test_both_parts_of_a_column_come_from_one_source():
    curves = {BEST: (0.9, 0.8, 0.7, 0.5), LAST: (1.0, 0.9, 0.75, 0.375)}
    only_best = [("pgd-10", "best", [(49, 71)])]
    frame = prepare_table(frames(trial("a", config(), only_best, curves)), "1")
    assert values(frame, "pgd-10") == [50, 37.5, 12.5]
    frame = prepare_table(frames(trial("a", config(), both(49, 36, (71, 74)), curves)), "1")
    assert (values(frame, "pgd-10"), values(frame, "natural")) == ([49, 36, 13], [71, 74, -3])


def test_natural_accuracy_is_that_of_the_attack_that_covers_most():
    """Both networks before one on more images, so that a diff is of the same images."""
    best_alone = ("autoattack", "best", [(9, 70), (9, 70)])
    frame = prepare_table(frames(trial("a", config(), [best_alone, *both(50, 44)])), "1")
    assert values(frame, "natural") == [90, 80, 10]
    whole = [("cw-1000", at, [(9, 70), (9, 60)]) for at in ("best", "final")]
    frame = prepare_table(frames(trial("a", config(), [*both(50, 44), *whole])), "1")
    assert values(frame, "natural") == [65, 65, 0]


def test_nan_is_never_a_number():
    curves = {BEST: (0.9, 0.8, 0.7, 0.5), LAST: (1.0, 0.9, float("nan"), float("nan"))}
    frame = prepare_table(frames(trial("a", config(), trained=curves)), "1")
    assert values(frame, "natural")[0] == 70
    assert all(np.isnan(values(frame, column)[1:]).all() for column in ("natural", "pgd-10"))
    assert cell(frame, "natural", "final")["seeds"] == 0


def test_a_stopped_trials_last_epoch_is_not_final():
    """Nor is an epoch that is not the run's last."""
    curves = {BEST: (0.9, 0.8, 0.7, 0.5), LAST - 1: (1.0, 0.9, 0.9, 0.9)}
    made = frames(trial("a", config(), trained=curves), trial("b", config("trades"), trained=curves, status="stopped"))
    frame = prepare_table(made, "1")
    assert np.isnan(cell(frame, "natural", "final", method="PGD-AT")["value"])
    assert np.isnan(cell(frame, "natural", "best", method="TRADES")["value"])


def test_weights_from_elsewhere_have_a_best_network_alone():
    """Their trial has no epoch: its best one is 0."""
    made = frames(trial("a", config(), [("pgd-10", "best", [(50, 90)])], best_epoch=0))
    made.evaluations["epoch"] = 0
    made = replace(made, epochs=made.epochs.iloc[:0])
    frame = prepare_table(made, "1")
    assert values(frame, "pgd-10")[0] == 50 and np.isnan(values(frame, "pgd-10")[1:]).all()
    assert values(frame, "natural")[0] == 90


def test_rows_stand_in_the_papers_order_and_further_attacks_after_its_own():
    names = ["trades_te", "standard", "trades", "pgd_at_te", "pgd_at"]
    made = frames(*(trial(name, config(name), both(9, 8) + both(7, 6, attack="pgd-20 eps=4/255")) for name in names))
    frame = prepare_table(made, "1")
    assert list(frame["method"].unique()) == ["PGD-AT", "PGD-AT+TE", "TRADES", "TRADES+TE", "ST"]
    assert list(frame["column"].unique())[-2:] == ["autoattack", "pgd-20 eps=4/255"]
    frame = prepare_table(
        frames(*(trial(name, config(name), both(9, 8)) for name in ["co_teaching", "kd_swa", "sat"])), "2"
    )
    assert list(frame["method"].unique()) == ["SAT", "KD-SWA", "Co-teaching"]


def test_what_may_not_be_compared_stands_in_panels_of_its_own():
    rates = (0.0, 0.2)
    made = frames(*(trial(f"t{rate}", config(data__noise_rate=rate), both(50, 44)) for rate in rates))
    panels = list(prepare_table(made, "1")["panel"].unique())
    assert panels == [f"digits, l-inf (eps 0.1), small_cnn, data.noise_rate {rate}" for rate in rates]


def test_another_value_is_another_row_and_no_seed():
    made = frames(
        trial("a", config("trades", objective__beta=1.0), both(50, 44)),
        trial("b", config("trades", objective__beta=6.0), both(30, 20)),
        trial("c", config("trades", objective__beta=6.0, seed=1), both(34, 20)),
    )
    frame = prepare_table(made, "1")
    assert list(frame["method"].unique()) == ["TRADES, beta 1", "TRADES, beta 6"]
    assert cell(frame, "pgd-10", "best", method="TRADES, beta 6")["value"] == 32


def test_c1_has_rows_by_network_and_ball():
    l2 = {"attack__norm": "l2", "attack__eps": 128 / 255}
    made = frames(
        trial("a", config(model__name="wrn-34-10", model__dropout=0.0), both(50, 44)),
        trial("b", config(model__name="vgg16"), both(40, 34)),
        trial("c", config(model__name="vgg16", **l2, attack__step=15 / 255), both(30, 24)),
        trial("d", config(model__name="vgg16", **l2, attack__step=20 / 255), both(20, 14)),
    )
    frame = prepare_table(made, "C.1")
    rows = frame[["method", "network", "ball"]].drop_duplicates().to_numpy().tolist()
    assert rows == [
        ["PGD-AT", "WRN-34-10", "l-inf (eps 0.1)"],
        ["PGD-AT", "VGG-16", "l-inf (eps 0.1)"],
        ["PGD-AT", "VGG-16", "l2 (eps 128/255), step 15/255"],
        ["PGD-AT", "VGG-16", "l2 (eps 128/255), step 20/255"],
    ]
    assert list(frame["column"].unique()) == ["natural", "pgd-10"]
    assert values(frame, "pgd-10", network="VGG-16", ball="l-inf (eps 0.1)") == [40, 34, 6]


def of_paper(study, *names, preset="paper", **overrides):
    """The frames of a shipped study's trials, each evaluated at 50 and 44% under each attack."""
    study = Study.resolve(study, preset, {key.replace("__", "."): value for key, value in overrides.items()})
    attacks = ("pgd-10", "pgd-1000", "cw-1000", "autoattack")
    made = []
    for item in study.trials():
        if not names or item.config.objective.name in names:
            row, epochs, batches = trial(item.name, config(), [one for a in attacks for one in both(50, 44, attack=a)])
            for batch in batches:
                if batch["checkpoint"] != "best":
                    last = item.config.train.epochs
                    batch.update(checkpoint=f"epoch-{last:06d}", epoch=last)
            made.append(({**row, "config": item.config.as_json(), "seed": item.config.seed}, epochs, batches))
    return frames(*made, seeds=len(study.seeds))


def test_the_papers_numbers_stand_beside_what_was_trained_as_the_papers():
    frame = prepare_table(of_paper("mitigation"), "1")
    assert len(frame["panel"].unique()) == 3
    best = cell(frame, "autoattack", "best", panel="SVHN, l-inf (eps 8/255), ResNet-18", method="TRADES")
    assert (best["paper"], best["difference"]) == (40.36, pytest.approx(50 - 40.36))
    assert np.isnan(best["printed"]) and best["unlike"] == ""
    odd = cell(frame, "cw-1000", "diff", panel="CIFAR-10, l-inf (eps 8/255), ResNet-18", method="PGD-AT")
    assert (odd["paper"], odd["printed"]) == (6.48, 7.48)
    assert odd["difference"] == pytest.approx(6 - 6.48)
    other = cell(frame, "pgd-10", "best", method="PGD-AT+TE, weight 30")
    assert np.isnan(other["paper"]) and other["unlike"] == "objective.weight is 30, in the paper 3"
    assert frame["printed"].notna().sum() == 1


def test_every_number_of_the_papers_tables_finds_its_place():
    for study, table, count in (
        ("mitigation", "1", 120),
        ("comparison", "2", 52),
        ("architectures_and_norms", "C.1", 32),
    ):
        frame = prepare_table(of_paper(study), table)
        assert (frame[frame["part"] != "diff"]["paper"].notna()).sum() == count, study


def test_what_was_trained_otherwise_has_no_number_of_the_paper_beside_it():
    frame = prepare_table(of_paper("mitigation", preset="gpu"), "1")
    assert frame["paper"].isna().all() and frame["difference"].isna().all()
    assert frame["unlike"].str.startswith("train.epochs is 30, in the paper 200").all()
    frame = prepare_table(of_paper("comparison", "standard", "pgd_at"), "2")
    assert set(frame[frame["method"] == "ST"]["unlike"]) == {"the paper has no such row"}


def test_the_footnotes_co_teaching_stands_in_table_2():
    frame = prepare_table(of_paper("comparison", "co_teaching"), "2")
    assert [cell(frame, "pgd-10", part)["paper"] for part in ("best", "final", "diff")] == [51.38, 50.78, 0.6]
    assert np.isnan(cell(frame, "autoattack", "best")["paper"])


def test_a_part_of_table_1():
    made = of_paper("mitigation", "trades")
    frame = prepare_table(made, "1b")
    assert list(frame["panel"].unique()) == ["CIFAR-100, l-inf (eps 8/255), ResNet-18"]
    with pytest.raises(UserError, match="no trial is on SVHN; --table 1 has the sweep's own data sets"):
        prepare_table(frames(trial("a", config(), both(50, 44))), "1c")


def test_nothing_to_tell():
    with pytest.raises(UserError, match=r"no trial has been evaluated on test images; .*`evaluate`"):
        prepare_table(frames(trial("a", config())), "1")
    with pytest.raises(UserError, match=r"'C1' is unknown; did you mean C.1"):
        prepare_table(frames(trial("a", config())), "C1")


def test_the_made_configs_have_the_programs_keys():
    """What these tests make of configs are keys that real ones have."""
    (real, *_) = Study.resolve("mitigation", "paper").trials()
    assert set(dict(leaves(config()))) <= set(dict(leaves(real.config.as_tree())))
