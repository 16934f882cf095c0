"""Units are asked for, and held against what was said."""

import numpy as np
import pytest

from tune_at.errors import UserError
from tune_at.exchange.asked import Asked
from tune_at.exchange.curves import to_curves
from tune_at.exchange.rows import Rows, as_numbers

MAPPED = {"acc": "test_robust_accuracy"}


def rows(acc, epoch=None, **columns):
    epoch = list(range(1, len(acc) + 1)) if epoch is None else epoch
    columns = {"epoch": epoch, "acc": acc, **columns}
    return Rows.of("a.csv", columns, np.arange(2, len(acc) + 2), trials=("a",))


def converted(acc, epoch=None, **said):
    asked = Asked(MAPPED, **{"epochs_from": 1, **said})
    return to_curves(rows(acc, epoch), asked, "a.csv").epochs


def refused(acc, epoch=None, **said):
    with pytest.raises(UserError) as error:
        converted(acc, epoch, **said)
    return str(error.value)


def test_both_are_asked_for_at_once():
    line = refused([0.1, 0.87], [0, 1], epochs_from=None)
    assert "2 problems: (1) accuracies: are they fractions or percentages? acc is 0.1 to 0.87" in line
    assert "(2) epochs: is the first epoch 0 or 1? 'epoch' is 0 to 1; say --epochs-from 0 or --epochs-from 1" in line


def test_a_column_of_both_units_says_where_while_it_is_asked():
    assert "acc is 0.2 to 45 (a.csv line 3 below 1, a.csv line 2 above)" in refused(["45", "0.2"])


def test_percentages_and_fractions_mean_the_same():
    assert converted([12.5, 50, 100, 0], percent=()).equals(converted([0.125, 0.5, 1, 0], fractions=()))


@pytest.mark.parametrize(
    ("acc", "said", "line"),
    [
        ([0.5, 1.01], {"fractions": ()}, "a.csv line 3: acc 1.01 is not a fraction; the column has fractions, too"),
        ([50, 100.1], {"percent": ()}, "a.csv line 3: acc 100.1 is not a percentage"),
        ([-1, 50], {"percent": ()}, "a.csv line 2: acc -1 is not a percentage"),
        ([45, 0.46], {"percent": ()}, "a.csv line 3: acc 0.46 may be a fraction: at a.csv line 2 it is 45; convert it"),
        (
            [0.4, 0.46],
            {"percent": ()},
            "a.csv line 2: acc 0.4 may be a fraction: no value is above 1; convert it, or say",
        ),
        ([45, "x"], {"percent": ()}, "a.csv line 3: acc 'x' is not a number"),
        ([45], {"percent": ("nat",)}, "--percent: 'nat' is no column of accuracies; those are acc"),
    ],
)
def test_what_is_in_other_units_is_named_by_its_line(acc, said, line):
    assert refused(acc, **said).startswith(line)


def test_a_column_that_is_named_may_have_percentages_below_one():
    assert converted([45, 0.46], percent=("acc",))["test_robust_accuracy"].tolist() == [0.45, 0.0046]


def test_a_column_of_its_own_overrules_the_others():
    mapped = {**MAPPED, "nat": "test_natural_accuracy"}
    asked = Asked(mapped, percent=(), fractions=("nat",), epochs_from=1)
    epochs = to_curves(rows([45], nat=[0.8]), asked, "a.csv").epochs
    assert epochs[["test_robust_accuracy", "test_natural_accuracy"]].to_numpy().tolist() == [[0.45, 0.8]]


def test_epochs_from_zero_are_one_more_here():
    assert converted([1, 2], [0, 1], percent=("acc",), epochs_from=0)["epoch"].tolist() == [1, 2]
    line = refused([1, 2], [0, 1], percent=("acc",))
    assert line == "a.csv line 2: epoch 0 is not a whole number from 1"
    assert refused([1], ["1.5"], percent=("acc",)).startswith("a.csv line 2: epoch 1.5 is not a whole number from 1")


def test_lines_are_told_in_their_order():
    line = refused([0.1] * 8 + [2, 3], fractions=())
    assert line.index("line 10") < line.index("line 11")


def test_what_is_a_number():
    cells = ["1", "nan", "-Inf", "", None, "x", True, 2, float("nan"), "NA"]
    found = as_numbers(rows(cells).frame["acc"])
    assert np.flatnonzero(found.missing).tolist() == [3, 4, 9]
    assert np.flatnonzero(found.wrong).tolist() == [5, 6]
    assert found.values[[0, 2, 7]].tolist() == [1, -np.inf, 2]
