"""Table A.1 from epochs small enough to work out by hand."""

import numpy as np
import pytest
from made_sweeps import LAST, config, frames, trial

from analysis.tables import draw_table, prepare_table
from tune_at.errors import UserError
from tune_at.study.study import Study

NAMES = ["labels", "augmentation", "weight decay", "dropout"]


def at_end(*four):
    return {1: (0.1, 0.1, 0.1, 0.1), LAST: four}


def value(frame, column, part, **row):
    for key, wanted in row.items():
        frame = frame[frame[key] == wanted]
    (found,) = frame[(frame["column"] == column) & (frame["part"] == part)].to_dict("records")
    return found


def test_training_test_and_gap_at_the_last_epoch():
    made = frames(
        trial("a", config("trades"), trained=at_end(1.0, 0.75, 0.5, 0.25)),
        trial("b", config("trades", seed=1), trained=at_end(0.5, 0.25, 0.5, 0.25)),
        seeds=2,
    )
    frame = prepare_table(made, "A.1")
    found = {(row["column"], row["part"]): row for row in frame.to_dict("records")}
    assert {key: row["value"] for key, row in found.items()} == {
        ("training", "natural"): 75, ("training", "robust"): 50, ("test", "natural"): 50, ("test", "robust"): 25,
        ("gap", "natural"): 25, ("gap", "robust"): 25,
    }  # fmt: skip
    assert found["gap", "natural"]["spread"] == pytest.approx(np.sqrt(1250))
    assert found["test", "natural"]["spread"] == 0
    assert list(frame["panel"].unique()) == ["digits, l-inf (eps 0.1), small_cnn, TRADES"]


def test_rows_by_labels_and_regularisers():
    cases = [
        {"data__noise_rate": 1.0},
        {"optim__weight_decay": 2e-4},
        {"data__crop": 4, "data__flip": True},
        {"data__crop": 1},
        {"data__noise_rate": 0.8, "model__dropout": 0.2},
    ]
    made = frames(
        *(trial(f"t{n}", config("trades", **keys), trained=at_end(1, 1, 0.5, 0.5)) for n, keys in enumerate(cases))
    )
    frame = prepare_table(made, "A.1")
    assert frame[NAMES].drop_duplicates().to_numpy().tolist() == [
        ["true", "crop 4, flip", "–", "–"],
        ["true", "–", "0.0002", "–"],
        ["random", "–", "–", "–"],
        ["true", "crop 1", "–", "–"],  # no row of the paper's: after them
        ["80% random", "–", "–", "0.2"],
    ]


def of_paper(**overrides):
    made = []
    for item in Study.resolve("regularisers", "paper", overrides).trials():
        row, epochs, batches = trial(item.name, config(), trained=at_end(0.99, 0.98, 0.8, 0.4))
        epochs[-1]["epoch"] = item.config.train.epochs
        made.append(({**row, "config": item.config.as_json()}, epochs, batches))
    return frames(*made)


def test_the_papers_rows_and_what_it_misprints():
    frame = prepare_table(of_paper(), "A.1")
    assert len(frame) == 12 * 6 and frame["paper"].notna().all()
    row = {"labels": "random", "augmentation": "crop 4, flip", "weight decay": "0.0002"}
    found = value(frame, "training", "robust", **row)
    assert (found["paper"], found["difference"]) == (69.62, pytest.approx(98 - 69.62))
    (odd,) = frame[frame["printed"].notna()].to_dict("records")
    assert [odd[key] for key in ("labels", "augmentation", "column", "part")] == [
        "true",
        "crop 4, flip",
        "gap",
        "natural",
    ]
    assert (odd["paper"], odd["printed"]) == (16.66, 16.93)
    assert "prints 16.93 for true labels, crop 4, flip, Generalization gap natural; its own numbers give 16.66" in (
        draw_table(frame)
    )


def test_without_the_papers_numbers():
    assert prepare_table(of_paper(**{"train.epochs": 200}), "A.1")["paper"].isna().all()
    frame = prepare_table(of_paper(**{"data.crop": 4, "data.flip": False}), "A.1")  # a crop alone is no row of it
    assert set(frame[frame["paper"].isna()]["augmentation"]) >= {"crop 4"}


def test_what_is_missing():
    made = frames(
        trial("a", config("trades"), trained=at_end(1.0, 0.75, 0.5, 0.25)),
        trial("b", config("trades", data__noise_rate=1.0), trained=at_end(1.0, None, 0.5, float("nan"))),
        trial("c", config("trades", optim__weight_decay=1e-3), trained=at_end(1, 1, 1, 1), status="diverged"),
    )
    frame = prepare_table(made, "A.1")
    assert np.isnan(value(frame, "gap", "robust", labels="random")["value"])
    assert value(frame, "gap", "natural", labels="random")["value"] == 50
    drawn = draw_table(frame)
    assert "Left out: true labels, weight decay 0.001 (diverged)." in drawn
    assert "Not measured at its last epoch: random labels (Training accuracy robust" in drawn
    assert "`evaluate`" not in drawn and "nan" not in drawn
    with pytest.raises(UserError, match="no trial has training and test accuracies"):
        prepare_table(frames(trial("a", config("trades"), trained={1: (1, 1, 1, 1)})), "A.1")
