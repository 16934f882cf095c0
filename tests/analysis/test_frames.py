"""Trials' columns beside their epochs are what pandas' own merge makes, and cost a large sweep no memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import frames
from analysis.frames import beside, join
from analysis.loaded import _own
from analysis.recorded import config_leaves
from tune_at.config.tree import leaves
from tune_at.config.trial import TrialConfig
from tune_at.store.reader import read_results

V1 = Path(__file__).parent.parent / "stores" / "v1"
RECORDED = sorted(path.parent for path in V1.glob("*/study.yaml"))


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_as_merge_has_it(folder, monkeypatch):
    monkeypatch.setattr(frames, "MANY", 1)
    results = read_results(folder)
    trials, found = join(results.frame("trials"), results.frame("epochs"))
    expected = results.frame("epochs").merge(trials, on="trial", validate="many_to_one")
    pd.testing.assert_frame_equal(found, expected)


def test_values_of_all_kinds_and_trials_of_which_there_is_no_row(monkeypatch):
    monkeypatch.setattr(frames, "MANY", 1)
    monkeypatch.setattr(frames, "BLOCK", 4)
    trials = pd.DataFrame(
        {
            "trial": ["b", "a", "c"], "same": ["x"] * 3, "other": ["x", "y", None], "one": [1.5] * 3,
            "none": [np.nan] * 3, "mixed": pd.Series([1, True, 1], dtype=object), "lists": [[1], [1], [1]],
            "flags": [True, True, False], "when": pd.to_datetime(["2026-01-01"] * 3, utc=True),
            "gone": pd.Series([None, None, None], dtype=object),
        }
    )  # fmt: skip
    epochs = pd.DataFrame({"trial": ["a"] * 3 + ["z"] + ["b"] * 6, "epoch": range(10), "v": np.arange(10.0)})
    expected = epochs.merge(trials, on="trial", validate="many_to_one")
    pd.testing.assert_frame_equal(beside(epochs, trials), expected)
    assert len(expected) == 9
    with pytest.raises(ValueError, match="stands twice"):
        beside(epochs, pd.concat([trials, trials]))


def test_what_all_trials_share_is_there_once_and_can_be_changed_in_one_row(monkeypatch):
    monkeypatch.setattr(frames, "MANY", 1)
    trials = pd.DataFrame({"trial": ["a", "b"], "eps": [0.5, 0.5], "name": ["trades", "trades"]})
    epochs = pd.DataFrame({"trial": np.repeat(["a", "b"], 50_000), "epoch": np.tile(np.arange(50_000), 2)})
    found = beside(epochs, trials)
    assert found["eps"].to_numpy().strides == (0,)
    found = _own(found)  # as a reader's frames are
    found.loc[7, ["eps", "name"]] = [0.25, "sat"]
    assert found["eps"].value_counts().to_dict() == {0.5: 99_999, 0.25: 1}
    assert found["name"].value_counts().to_dict() == {"trades": 99_999, "sat": 1}


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_the_leaves_of_a_config_are_those_of_the_whole(folder):
    configs = list(read_results(folder).frame("trials")["config"])
    configs += [TrialConfig.parse({"objective": "trades", "seed": seed}).as_json() for seed in (0, 1)]
    for text in configs:
        assert list(config_leaves(text).items()) == list(leaves(TrialConfig.tree_from_json(text)))
