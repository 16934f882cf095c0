"""How trials ended: as their files say, as their numbers say, or as the user says."""

import numpy as np
from imported_curves import MAPPED, imported, refused, table  # noqa: F401

from analysis import load
from tune_at.store import read_table


def test_trials_that_end_early_are_asked_for(imported):  # noqa: F811
    frame = table(seeds=1).iloc[:-1]
    line = refused(imported, frame)
    assert line.startswith("trials: 1 of 4 trials end before epoch 3, d after epoch 2 for one: why?; say --shorter")
    assert read_table(imported(frame, shorter="stopped"), "trials")["status"].tolist() == ["completed"] * 3 + [
        "stopped"
    ]


def test_what_the_files_say_of_ends_goes_first(imported):  # noqa: F811
    frame = table(seeds=1).iloc[:-1]
    frame["state"] = ["finished"] * 3 + ["crashed"] * 3 + ["PRUNED"] * 3 + ["running"] * 2
    trials = read_table(imported(frame, {**MAPPED, "state": "status"}), "trials")
    assert trials["status"].tolist() == ["completed", "failed", "stopped", "running"]
    assert trials["error"].fillna("").tolist() == ["", "failed where it was trained; no more is known", "", ""]
    frame["state"] = "odd"
    assert "c.csv line 2: state 'odd' is no status; known: completed, diverged" in refused(
        imported, frame, {**MAPPED, "state": "status"}, name="b"
    )


def test_a_trial_whose_last_metric_is_not_finite_has_diverged_and_wins_nothing(imported):  # noqa: F811
    frame = table(seeds=1).assign(loss=1.0)
    frame["acc"] = np.where(frame["trial"] == "a", 1.0, 0.5)
    frame["loss"] = ["1"] * 2 + ["nan"] + ["1", "inf", "1"] + [""] * 6  # b has got over it
    folder = imported(frame, {**MAPPED, "loss": "test_robust_loss"})
    assert read_table(folder, "trials")["status"].tolist() == ["diverged"] + ["completed"] * 3
    assert "a" not in set(load(folder).best()["trial"])
