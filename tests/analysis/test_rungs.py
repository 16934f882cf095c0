"""The figure `rungs`: ranks at rungs and what ASHA picks by them, of sweeps whose every number is known."""

import random

import numpy as np
import pytest
from scipy.stats import kendalltau
from simulation import Simulation

from analysis.figures.rungs import ORDERS, draw_rungs, prepare_rungs
from analysis.frames import load_frames
from analysis.style import render
from tune_at.errors import UserError
from tune_at.study.study import Study

STUDY = """\
title: x
base: {data: {name: digits, subset: 64}, train: {batch_size: 32}, optim: {schedule: {milestones: [0.5]}}}
axes: {optim.lr: %s, train.epochs: %s}
seeds: [0]
"""
LRS = [0.01 * (place + 1) for place in range(6)]


def swept(folder, curve, epochs="[2, 6, 18]", lrs=LRS, more=""):
    path = folder / "x.yaml"
    path.write_text(STUDY % (lrs, epochs) + more)
    simulation = Simulation(folder / "sweep", Study.resolve(str(path)), 1, random.Random(0), curve)
    while simulation.step():
        pass
    return load_frames(str(folder / "sweep"))


def trap(spec, epoch):
    """The last shall be first: before the decay of its run a point is the better, the worse it ends."""
    lr, epochs = spec.config["optim"]["lr"], spec.config["train"]["epochs"]
    return 0.8 - lr if epoch <= epochs // 2 else 0.2 + lr


def number(frame, fidelity, quantity, rung=None):
    rows = frame[(frame["fidelity"] == fidelity) & (frame["quantity"] == quantity)]
    rows = rows if rung is None else rows[rows["rung"] == rung]
    (row,) = rows.to_dict("records")
    return row


def test_where_ranks_before_the_decay_mislead_complete_runs_do_not(tmp_path):
    frame = prepare_rungs(swept(tmp_path, trap))
    for rung in (2, 6):
        inside, whole = (number(frame, fidelity, "tau_final", rung) for fidelity in ("epochs", "schedule"))
        assert [inside[name] for name in ("value", "low", "high")] == pytest.approx([-1] * 3)
        assert [whole[name] for name in ("value", "low", "high")] == pytest.approx([1] * 3)
        # By its best epoch, before the decay, a point is the better, the worse it ends.
        assert number(frame, "epochs", "tau_best", rung)["value"] == pytest.approx(1)
        assert number(frame, "schedule", "tau_best", rung)["value"] == pytest.approx(-1)
    assert number(frame, "schedule", "regret_final")["value"] == pytest.approx(0)  # the best is never below a quantile
    assert number(frame, "epochs", "regret_final")["value"] > 0.005
    assert number(frame, "epochs", "regret_best")["value"] == pytest.approx(0)
    assert set(frame["points"]) == {6}
    figure = draw_rungs(frame)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["2", "6"]
    low, high = figure.axes[1].get_ylim()
    regrets = frame[frame["quantity"].str.startswith("regret")]["high"].max() * 100
    assert low <= 0 and high >= regrets  # in an axis of its own
    assert render(figure).startswith(b"\x89PNG")


def test_numbers_by_hand(tmp_path):
    def curve(spec, epoch):
        lr, epochs = spec.config["optim"]["lr"], spec.config["train"]["epochs"]
        return round(random.Random(f"{lr} {epochs} {epoch}").random(), 2)

    frames = swept(tmp_path, curve)
    frame = prepare_rungs(frames)
    value = {
        (row["optim.lr"], row["train.epochs"], row["epoch"]): row["val_robust_accuracy"]
        for row in frames.epochs.to_dict("records")
    }
    final = [value[lr, 18, 18] for lr in LRS]
    best = [max(value[lr, 18, epoch] for epoch in range(1, 19)) for lr in LRS]
    for name, end in (("final", final), ("best", best)):
        for rung in (2, 6):
            inside = kendalltau([value[lr, 18, rung] for lr in LRS], end).statistic
            whole = kendalltau([value[lr, rung, rung] for lr in LRS], end).statistic
            assert number(frame, "epochs", f"tau_{name}", rung)["value"] == pytest.approx(inside)
            assert number(frame, "schedule", f"tau_{name}", rung)["value"] == pytest.approx(whole)
            row = number(frame, "schedule", f"tau_{name}", rung)
            assert row["low"] <= row["value"] <= row["high"]
    # The first point of an order is promoted whatever it is: 2, 6 less the one epoch in common, 18 less three.
    assert number(frame, "schedule", "trained")["low"] >= (6 * 2 + 5 + 15) / (6 * 18)
    assert number(frame, "epochs", "trained")["low"] >= (5 * 2 + 18) / (6 * 18)
    assert ORDERS >= 100 and np.isfinite(frame["value"]).all()


@pytest.mark.parametrize(
    ("epochs", "lrs", "more", "problem"),
    [
        ("[6]", LRS, "", "no point has runs of several lengths"),
        ("[2, 6, 17]", LRS, "", "are not grace"),
        ("[2, 6]", LRS[:2], "", "2 points have completed each of their runs"),
    ],
)
def test_what_a_sweep_lacks_is_one_line(tmp_path, epochs, lrs, more, problem):
    with pytest.raises(UserError, match=problem):
        prepare_rungs(swept(tmp_path, trap, epochs, lrs, more))


def test_points_that_do_not_compare_are_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text((STUDY % (LRS[:2], "[2, 6]")).replace("axes: {", "axes: {attack.eps: [0.1, 0.2], "))
    simulation = Simulation(tmp_path / "sweep", Study.resolve(str(path)), 1, random.Random(0), trap)
    while simulation.step():
        pass
    with pytest.raises(UserError, match=r"points differ in attack.eps, and do not compare; fix it in base"):
        prepare_rungs(load_frames(str(tmp_path / "sweep")))
