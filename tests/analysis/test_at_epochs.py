"""Trials at their best and final epochs, by hand."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from made_frames import frames

from analysis.at_epochs import MEASURED, best_points, best_trials, final_trials
from tune_at.errors import UserError

NAN = float("nan")


def trial(objective, val, test, best_epoch=1, **keys):
    """`val` and `test`: robust accuracy by epoch; natural is 0.1 more."""
    keys = {
        "train.selection": "validation",
        "best_epoch": best_epoch,
        **{k.replace("__", "."): v for k, v in keys.items()},
    }
    curves = {"val_robust_accuracy": val, "test_robust_accuracy": test}
    curves |= {
        f"{split}_natural_accuracy": [v + 0.1 for v in curves[f"{split}_robust_accuracy"]] for split in ("val", "test")
    }
    return objective, keys, curves


MADE = frames(
    trial("pgd_at", [0.3, 0.5, 0.4], [0.2, 0.4, 0.6], best_epoch=2, seed=0),
    trial("pgd_at", [0.4, 0.6, NAN], [0.4, 0.8, NAN], best_epoch=2, seed=1),
    trial("trades", [0.7, 0.8], [0.6, 0.5], best_epoch=2, seed=0, status="stopped"),
    trial("trades", [0.9, NAN], [0.9, NAN], seed=1, status="diverged"),
    trial("te", [0.2], [0.3], seed=0, status="running"),
    trial("te", [NAN], [NAN], best_epoch=NAN, seed=1, status="running"),
    swept=("objective.name",), seeds=2,
)  # fmt: skip


def rows(frame, *columns):
    return frame[list(columns)].round(6).to_numpy().tolist()


def test_each_trial_at_its_best_epoch_on_both_splits():
    found = best_trials(MADE)
    assert rows(found, "trial", "status", "epoch", "robust_accuracy", "test_robust_accuracy") == [
        ["c", "stopped", 2, 0.8, 0.5], ["b", "completed", 2, 0.6, 0.8],
        ["a", "completed", 2, 0.5, 0.4], ["e", "running", 1, 0.2, 0.3],
    ]  # fmt: skip
    assert rows(found, "natural_accuracy", "test_natural_accuracy")[0] == [0.9, 0.6]
    assert found["train_robust_accuracy"].isna().all()


def test_a_final_epoch_is_the_last_evaluated_one_of_completed_trials_alone():
    assert rows(final_trials(MADE), "trial", "epoch", "robust_accuracy", "test_robust_accuracy") == [
        ["a", 3, 0.4, 0.6], ["b", 2, 0.6, 0.8],
    ]  # fmt: skip


def test_the_selection_split_is_each_trials_own_and_test_may_be_missing():
    made = frames(
        trial("pgd_at", [0.3], [0.2], train__selection="test"),
        ("pgd_at", {"train.selection": "validation"}, {"val_robust_accuracy": [0.4], "val_natural_accuracy": [0.5]}),
    )
    assert dict(rows(final_trials(made), "trial", "robust_accuracy")) == {"a": 0.2, "b": 0.4}
    assert final_trials(made)["test_robust_accuracy"].isna().tolist() == [False, True]


def test_points_are_means_over_seeds_and_a_lost_seed_wins_nothing():
    found = best_points(MADE, 5)
    assert rows(found, "objective", "seeds", "planned", "robust_accuracy", "test_robust_accuracy") == [
        ["pgd_at", 2, 2, 0.55, 0.6], ["te", 1, 2, 0.2, 0.3],
    ]  # fmt: skip
    assert found["robust_accuracy_spread"].tolist() == pytest.approx([0.1 / 2**0.5, NAN], nan_ok=True)
    assert found["test_robust_accuracy_spread"].iloc[0] == pytest.approx(0.4 / 2**0.5)
    assert sorted(found["trials"].iloc[0]) == ["a", "b"]
    assert len(best_points(MADE, 1)) == 1


def test_trials_that_do_not_compare_stand_apart_and_the_best_of_each_come_first():
    made = frames(
        trial("pgd_at", [0.9], [0.9], data__noise_rate=0.0, optim__lr=0.1),
        trial("pgd_at", [0.8], [0.8], data__noise_rate=0.0, optim__lr=0.2),
        trial("pgd_at", [0.1], [0.1], data__noise_rate=0.5, optim__lr=0.1),
        swept=("data.noise_rate", "optim.lr"),
    )  # fmt: skip
    assert rows(best_points(made, 2), "measured_on", "robust_accuracy", "optim.lr") == [
        ["data.noise_rate=0", 0.9, 0.1], ["data.noise_rate=0.5", 0.1, 0.1],
    ]  # fmt: skip
    assert final_trials(made)["measured_on"].tolist() == ["data.noise_rate=0"] * 2 + ["data.noise_rate=0.5"]


def test_a_value_that_an_exploit_changed_is_the_one_of_that_epoch():
    made = frames(trial("pgd_at", [0.3, 0.5, 0.4], [0.2, 0.4, 0.6], best_epoch=2, optim__lr=1), swept=("optim.lr",))
    changes = [(1, {"optim.lr": 0.2}), (2, {"optim.lr": 0.4})]
    decided = pd.DataFrame(
        [{"trial": "a", "epoch": epoch, "action": "exploit", "changes": json.dumps(new)} for epoch, new in changes]
    )
    made = replace(made, decisions=decided)
    assert best_trials(made)["optim.lr"].tolist() == [0.2]
    assert final_trials(made)["optim.lr"].tolist() == [0.4]


@pytest.mark.parametrize("count", [0, -1, True, "3", 1.5])
def test_a_number_of_points_is_a_number(count):
    with pytest.raises(UserError, match="best"):
        best_points(MADE, count)


def test_without_a_value_there_are_columns_and_no_rows():
    made = frames(trial("pgd_at", [NAN], [NAN], best_epoch=NAN, status="running"))
    for frame in (best_trials(made), final_trials(made), best_points(made, 1)):
        assert len(frame) == 0
        assert {*MEASURED, "objective", "measured_on"} <= set(frame)
