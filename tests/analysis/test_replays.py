"""The numbers and the figure of a replay."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from boards import make_curves, make_study, recording
from scipy.stats import kendalltau

from analysis import load
from analysis.figures.replay import FIGURE, draw_replay
from analysis.replays import OUTCOMES, prepare_replays, ranks, summarise
from tune_at.config.scheduler import ASHA, Median
from tune_at.errors import UserError
from tune_at.scheduling.replay import Replays
from tune_at.store.status import Status

V1 = Path(__file__).parents[1] / "stores" / "v1"


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    study = make_study(tmp_path_factory.mktemp("r"), "{name: fifo}", seeds="[0]")
    whole = recording(study, make_curves(study.trials(), 4))
    replays = Replays(whole, [ASHA(grace=2, eta=2), Median(grace=5, smooth=2)], 3, seed=0)
    done = replays.run()
    return whole, replays, done, prepare_replays(replays, done)


def test_each_order_has_each_number(replayed):
    _, _, done, frame = replayed
    rows = frame[frame["quantity"].isin(OUTCOMES)]
    assert len(rows) == 2 * 3 * len(OUTCOMES)
    for replay in done:
        part = rows[rows["scheduler"] == replay.scheduler.name]
        wide = part.pivot(index="order", columns="quantity", values="value")
        for order, outcome in enumerate(replay.outcomes):
            for name in OUTCOMES:
                assert wide.loc[order, name] == pytest.approx(getattr(outcome, name), nan_ok=True)
    assert rows[rows["scheduler"] == "median"]["eta"].isna().all()


def test_a_setting_is_summed_up_by_mean_and_spread_over_orders(replayed):
    _, _, done, frame = replayed
    found = summarise(frame)
    assert found["scheduler"].tolist() == ["asha", "median"]
    for row, replay in zip(found.to_dict("records"), done, strict=True):
        saved = [outcome.saved for outcome in replay.outcomes]
        assert row["saved"] == pytest.approx(np.mean(saved))
        assert row["saved_spread"] == pytest.approx(np.std(saved, ddof=1))
        finals = [outcome.regret_final for outcome in replay.outcomes]
        assert row["unchosen"] == pytest.approx(np.mean(np.isnan(finals)))


def test_a_rungs_tau_is_scipys_over_completed_trials(replayed):
    whole, _, _, frame = replayed
    rows = ranks(frame)
    assert rows[rows["judged"] == "score"]["epoch"].tolist() == [2, 4, 8]
    assert rows[rows["judged"] == "best so far"]["epoch"].tolist() == list(range(5, 13))
    completed = [state for state in whole.states if state.status is Status.COMPLETED]
    value = [{e: m["robust_accuracy"] for e, m in state.metrics.items()} for state in completed]
    for row in rows.to_dict("records"):
        if row["judged"] == "score":
            there = [curve[row["epoch"]] for curve in value]
        else:  # the median rule judges the best mean of two evaluations so far
            there = [
                max((curve[e] + curve[e - 1]) / 2 if e > 1 else curve[e] for e in range(1, row["epoch"] + 1))
                for curve in value
            ]
        for side, last in (("best", [max(curve.values()) for curve in value]), ("final", [c[12] for c in value])):
            assert row[f"tau_{side}"] == pytest.approx(kendalltau(there, last).statistic, nan_ok=True)
            assert row[f"trials_{side}"] == len(completed)


def test_the_figure_of_a_sweep_is_drawn_from_what_replay_writes():
    frames = load(V1 / "grid-finished").frames
    frame, figure = FIGURE(frames)
    assert set(frame["scheduler"]) == {"asha", "hyperband", "median"}
    left, right = figure.axes
    assert left.get_xlabel() == "epochs saved (%)" and "robust accuracy (points)" in left.get_ylabel()
    best, final = [line for line in right.get_lines() if len(line.get_xdata()) > 2]
    rows = ranks(frame)
    rows = rows[rows["judged"] == "score"]
    assert best.get_xdata().tolist() == rows["epoch"].tolist()
    assert best.get_ydata().tolist() == pytest.approx(rows["tau_best"].tolist())
    assert final.get_ydata().tolist() == pytest.approx(rows["tau_final"].tolist())
    assert len(figure.axes[0].containers) == 6  # three schedulers, by the best epoch and by the last


def test_a_sweep_that_cannot_be_replayed_has_no_such_figure():
    with pytest.raises(UserError, match="were stopped early"):
        FIGURE(load(V1 / "asha-finished").frames)


def test_numbers_that_are_nan_are_drawn_as_nothing():
    frame = FIGURE.prepare(load(V1 / "grid-finished").frames)
    frame.loc[frame["quantity"].isin(["regret_final", "tau_final"]), "value"] = math.nan
    assert isinstance(summarise(frame), pd.DataFrame)
    draw_replay(frame)
