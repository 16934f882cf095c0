"""Rows from elsewhere become one row a (trial, epoch); what cannot be is one line."""

import numpy as np
import pytest

from tune_at.errors import UserError
from tune_at.exchange.asked import Asked
from tune_at.exchange.curves import to_curves
from tune_at.exchange.rows import Rows

SAID = {"epochs_from": 1, "fractions": ()}
MAPPED = {"run": "trial", "acc": "test_robust_accuracy"}


def read(columns, mapped=MAPPED, trials=("a",), repeats=False, **said):
    lines = np.arange(2, len(next(iter(columns.values()))) + 2)
    rows = Rows.of("a.csv", columns, lines, trials=trials, repeats=repeats)
    return to_curves(rows, Asked(mapped, **{**SAID, **said}), "a.csv")


def refused(columns, mapped=MAPPED, **said):
    with pytest.raises(UserError) as error:
        read(columns, mapped, **said)
    return str(error.value)


COLUMNS = {"run": ["b", "a", "a"], "epoch": [1, 2, 1], "acc": [0.1, 0.3, 0.2], "grad": [1.0, 2.0, 3.0]}


def test_rows_are_sorted_by_trial_and_epoch_and_the_rest_is_kept():
    epochs = read(COLUMNS).epochs
    assert epochs[["trial", "epoch", "test_robust_accuracy", "grad"]].to_numpy().tolist() == [
        ["a", 1, 0.2, 3.0], ["a", 2, 0.3, 2.0], ["b", 1, 0.1, 1.0],
    ]  # fmt: skip


def test_without_a_column_of_epochs_the_columns_are_named():
    columns = {**COLUMNS, "step": COLUMNS["epoch"]}
    del columns["epoch"]
    assert refused(columns) == (
        "a.csv: has no column of epochs; say --map THEIRS=epoch; its columns are run, acc, grad, step"
    )


def test_without_a_metric_the_columns_are_named():
    assert "a.csv: has no column that is a metric of ours; say --map THEIRS=test_robust_accuracy" in refused(
        COLUMNS, {}
    )


def test_an_epoch_that_stands_twice_is_named_by_both_lines():
    columns = {"run": ["a", "a", "a"], "epoch": [1, 2, 1], "acc": [0.1, 0.2, 0.1]}
    line = refused(columns)
    assert line.startswith("a.csv line 4: epoch 1 of a has its test_robust_accuracy at a.csv line 2, too; keep one row")
    assert "if they are several trials, name their column with --map THEIRS=trial" in line


def test_rows_of_one_epoch_with_different_metrics_are_one():
    mapped = {**MAPPED, "train": "train_robust_accuracy"}
    columns = {"run": ["a", "a"], "epoch": [1, 1], "acc": [None, 0.2], "train": [0.4, None], "step": [10, 11]}
    epochs = read(columns, mapped).epochs
    assert epochs.to_dict("records") == [
        {"trial": "a", "epoch": 1, "test_robust_accuracy": 0.2, "train_robust_accuracy": 0.4, "step": 11.0}
    ]


def test_a_history_of_wandb_s_has_a_row_a_call_and_words_for_what_is_not_finite():
    columns = {
        "run": ["r"] * 5, "epoch": [0, 0, 1, 1, None], "_step": [0, 1, 2, 3, 4], "acc": [None, 0.4, None, 0.5, None],
        "loss": [1.5, None, "NaN", None, None], "lr": [None, None, None, None, 0.1],
    }  # fmt: skip
    curves = read(columns, {**MAPPED, "loss": "train_robust_loss"}, epochs_from=0)
    assert curves.epochs[["epoch", "test_robust_accuracy", "_step"]].to_numpy().tolist() == [[1, 0.4, 1], [2, 0.5, 3]]
    assert curves.lost.tolist() == [False, True]
    assert curves.notes == ["left out, for they have no epoch and no metric: 1 row"]


def test_where_a_format_writes_epochs_again_the_last_counts():
    columns = {"run": ["a", "a", "a"], "epoch": [1, 2, 2], "acc": [0.1, 0.2, 0.3]}
    curves = read(columns, repeats=True)
    assert curves.epochs["test_robust_accuracy"].tolist() == [0.1, 0.3]
    assert curves.notes == ["1 epoch written again after a restart: the last counts"]


def test_a_row_without_an_epoch_is_bad_only_if_it_has_a_metric():
    assert read({**COLUMNS, "epoch": [1, 2, None], "acc": [0.1, 0.3, None]}).notes == [
        "left out, for they have no epoch and no metric: 1 row"
    ]
    assert refused({**COLUMNS, "epoch": [1, None, 1]}) == "a.csv line 3: has no epoch"
    assert refused({**COLUMNS, "run": ["b", "", "a"]}) == "a.csv line 3: has no trial"


def test_trials_of_which_no_metric_is_mapped_are_left_out():
    curves = read({**COLUMNS, "acc": [None, 0.3, 0.2]})
    assert set(curves.epochs["trial"]) == {"a"}
    assert curves.notes == ["left out, for no metric of theirs is mapped: b"]


def test_without_a_column_of_trials_a_file_is_one():
    columns = {"epoch": [1, 2], "acc": [0.1, 0.3]}
    assert set(read(columns, {"acc": "test_robust_accuracy"}).epochs["trial"]) == {"a"}


def test_names_that_readers_have_for_something_else_are_marked():
    columns = {**COLUMNS, "Status_": [1, 2, 3], "node": ["x", "y", "z"], "Epoch": [7, 8, 9], "series": [1, 1, 1]}
    assert read(columns).roles.kept == {
        "grad": "grad", "Status_": "Status_", "imported_node": "node", "imported_Epoch": "Epoch",
        "imported_series": "series",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mapped", "line"),
    [
        (
            {"accc": "test_robust_accuracy"},
            "--map accc=test_robust_accuracy: there is no column 'accc'; did you mean acc?",
        ),
        (
            {"acc": "test_robust_acc"},
            "--map acc=test_robust_acc: 'test_robust_acc' is no column and no key of ours; did you mean test_robust",
        ),
        (
            {"acc": "test_robust_accuracy", "grad": "test_robust_accuracy"},
            "--map grad=test_robust_accuracy: test_robust_accuracy is 'acc' already; map one column alone",
        ),
    ],
)
def test_what_cannot_be_mapped_is_one_line(mapped, line):
    assert refused(COLUMNS, mapped).startswith(line)


@pytest.mark.parametrize(
    ("columns", "said", "selection"),
    [
        ({"test_robust_accuracy": [0.1]}, {}, "test"),
        ({"test_robust_accuracy": [0.1], "val_robust_accuracy": [0.2]}, {}, "validation"),
        ({"test_robust_accuracy": [0.1], "val_robust_accuracy": [0.2]}, {"selection": "test"}, "test"),
        ({"test_robust_accuracy": [0.1], "val_natural_accuracy": [0.2]}, {}, "test"),
    ],
)
def test_validation_data_judges_where_it_is_there(columns, said, selection):
    assert read({"epoch": [1], **columns}, {}, **said).selection == selection


def test_a_split_that_was_not_measured_cannot_judge():
    line = refused({"epoch": [1], "test_robust_accuracy": [0.1]}, {}, selection="validation")
    assert line.startswith("--selection: no column is of validation data")
