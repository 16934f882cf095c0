"""What is told of where trials stand is the same by the few rows that tell as by all."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.brief import telling_epochs, told
from analysis.ranking import rank
from analysis.summary import summary
from tests.support.simulation import Simulation
from tune_at.cli.results import results_tables
from tune_at.cli.terminal import console
from tune_at.store.reader import read_results
from tune_at.store.schema import build_table
from tune_at.store.snapshot import Snapshot
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

V1 = Path(__file__).parent.parent / "stores" / "v1"
RECORDED = sorted(path.parent for path in V1.glob("*/study.yaml"))


def printed(study, results, epochs):
    """All that `status` says that depends on epochs."""
    trials, decisions = results.frame("trials"), results.frame("decisions")
    terminal = console(wide=True)
    with terminal.capture() as shown:
        terminal.print(results_tables(study, trials, epochs, decisions))
    return shown.get(), summary(study, trials, epochs, decisions, "x.png")


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_a_recorded_sweep(folder):
    study, everything = Sweep.open(folder).study, read_results(folder)
    few = telling_epochs(read_results(folder, told(study)))
    assert printed(study, everything, few) == printed(study, everything, everything.frame("epochs"))
    assert len(few) <= 2 * len(everything.frame("trials"))


def test_trials_in_every_state_some_epochs_of_which_are_not_measured(tmp_path):
    path = tmp_path / "s.yaml"
    base = "{data: {subset: 64}, train: {epochs: 12, batch_size: 32}, evaluation: {every: 2}}"
    axes = "{optim.lr: [0.01, 0.02, 0.03, 0.04], attack.eps: [0.1, 0.2]}"
    path.write_text(f"title: x\nbase: {base}\naxes: {axes}\nseeds: [0, 1]\n")
    sweep = Simulation(tmp_path / "sweep", Study.resolve(str(path)), 3, random.Random(0))
    for _ in range(60):
        sweep.step()
    results, study = read_results(tmp_path / "sweep"), Study.resolve(str(path))
    assert results.frame("trials")["status"].nunique() > 1
    epochs = results.frame("epochs")
    assert epochs["val_robust_accuracy"].isna().any()
    few = telling_epochs(results)
    assert len(few) < len(epochs)
    assert printed(study, results, few) == printed(study, results, epochs)
    ours, all_ = (rank(results.frame("trials"), rows, 2) for rows in (few, epochs))
    assert [point.name for point in ours.points] == [point.name for point in all_.points]


def test_the_rows_by_hand():
    nan = float("nan")
    val = {"a": [0.1, 0.3, 0.2, nan], "b": [nan, nan], "c": [0.5]}
    test = {"a": [nan, nan, nan, 0.4], "b": [nan, nan], "c": [nan]}
    rows = [
        {"trial": t, "epoch": n + 1, "lr": 0.1, "val_robust_accuracy": v, "test_robust_accuracy": test[t][n]}
        for t, curve in val.items() for n, v in enumerate(curve)
    ]  # fmt: skip
    trial = {"sweep": "s", "study": "s", "stage": "main", "seed": 0, "status": "running", "epochs": 2}
    trial |= {"selection": "validation", "config": "{}", "config_hash": "0"}
    trials = [{**trial, "trial": t, "best_epoch": best} for t, best in (("a", 2), ("b", None), ("c", 1), ("d", None))]
    results = Snapshot({"epochs": build_table("epochs", rows), "trials": build_table("trials", trials)})
    few = telling_epochs(results)
    assert list(zip(few["trial"], few["epoch"], strict=True)) == [("a", 2), ("a", 3), ("a", 4), ("c", 1)]
    pd.testing.assert_frame_equal(few, results.frame("epochs").iloc[[1, 2, 3, 6]].reset_index(drop=True))
    assert telling_epochs(Snapshot()).empty
    assert np.isnan(few["test_robust_accuracy"].iloc[0])
