"""Schedulers judge a trial only against those that are measured on the same."""

import random

import pytest
from processes import difference
from simulation import Simulation

from tune_at.store import read_table
from tune_at.study.study import Study

SCHEDULERS = {
    "asha": "{name: asha, grace: 1, eta: 2}",
    "hyperband": "{name: hyperband, eta: 2}",
    "median": "{name: median, grace: 2, min_trials: 2}",
}
GRID = """\
title: x
base: {data: {name: digits, subset: 64}, train: {epochs: 8, batch_size: 32}}
axes: %s
seeds: [0]
scheduler: %s
"""
LR = "optim.lr: [0.1, 0.2, 0.3, 0.4, 0.5]"
EASY, HARD = 0.01, 0.2
QUALITY = {0.1: 0.2, 0.2: 0.1, 0.3: 0.25, 0.4: 0.0, 0.5: 0.15}
"""What a learning rate adds to accuracy, in either ball."""


def curve(spec, epoch):
    """The easy ball has the higher robust accuracy, whatever the learning rate; within a ball it depends on both."""
    lr, eps = spec.config["optim"]["lr"], spec.config["attack"]["eps"]
    noise = random.Random(f"{lr} {eps} {epoch}").random()
    return round((0.6 if eps == EASY else 0.1) + QUALITY[lr] + 0.03 * noise + 0.01 * epoch, 3)


def resolved(folder, axes, scheduler, **options):
    path = folder / "x.yaml"
    path.write_text(GRID % (axes, scheduler))
    return Study.resolve(str(path), **options)


def finish(simulation):
    while simulation.step():
        pass
    return simulation.folder


def played(folder, study):
    return finish(Simulation(folder, study, 1, random.Random(0), curve))


def decisions(folder):
    """Of each ball: (lr, epoch) → what was compared with what, and what followed."""
    trials = read_table(folder, "trials").set_index("trial")
    found = {}
    for row in read_table(folder, "decisions").itertuples():
        eps = 0.2 if "eps=0.2" in row.trial else 0.01
        key = (trials.loc[row.trial, "optim.lr"], row.epoch)
        cutoff = None if row.cutoff != row.cutoff else row.cutoff
        found.setdefault(eps, {})[key] = (row.rung, row.value, cutoff, row.action)
    return found


@pytest.mark.parametrize("order", [f"attack.eps: [{EASY}, {HARD}], {LR}", f"{LR}, attack.eps: [{HARD}, {EASY}]"])
@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_each_ball_is_judged_as_in_a_sweep_of_its_own(tmp_path, scheduler, order):
    both = decisions(played(tmp_path / "both", resolved(tmp_path, f"{{{order}}}", scheduler)))
    for eps in (EASY, HARD):
        alone = resolved(tmp_path, f"{{attack.eps: [{eps}, 0.5], {LR}}}", scheduler, overrides={"attack.eps": [eps]})
        folder = played(tmp_path / f"alone-{eps}", alone)
        names = read_table(folder, "trials").set_index("trial")["optim.lr"]
        expected = {
            (names[r.trial], r.epoch): (r.rung, r.value, None if r.cutoff != r.cutoff else r.cutoff, r.action)
            for r in read_table(folder, "decisions").itertuples()
        }
        assert both[eps] == expected
        assert {"stop", "continue"} <= {action for *_, action in expected.values()}


@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_a_weak_trial_in_a_large_ball_is_not_stopped_because_a_small_ball_is_easy(tmp_path, scheduler):
    axes = f"{{attack.eps: [{EASY}, {HARD}], {LR}}}"
    ran = {}
    for schema in (1, 2):
        folder = played(tmp_path / f"schema-{schema}", resolved(tmp_path, axes, scheduler, schema=schema))
        trials = read_table(folder, "trials")
        completed = trials[trials["status"] == "completed"]
        ran[schema] = set(completed["attack.eps"])
    assert ran[2] == {EASY, HARD}
    if "hyperband" not in scheduler:  # whose first brackets are of one ball in this order
        assert ran[1] == {EASY}  # a sweep of version 1 goes on as it began


@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_neither_order_nor_kills_change_what_is_decided(tmp_path, scheduler):
    study = resolved(tmp_path, f"{{{LR}, attack.eps: [{EASY}, {HARD}]}}", scheduler)
    whole = played(tmp_path / "whole", study)
    for seed in range(2):
        order, kills = random.Random(seed), 0
        cut = Simulation(tmp_path / f"cut-{seed}", study, order.choice([3, 7]), order, curve)
        while cut.step():
            if order.random() < 0.15:
                cut.restart()
                kills += 1
        assert kills > 0
        for table in ("trials", "epochs", "decisions"):
            assert not difference(cut.folder, whole, table), (seed, table)


def test_a_trial_waits_only_for_those_that_it_is_compared_with(tmp_path):
    study = resolved(tmp_path, f"{{attack.eps: [{EASY}, {HARD}], {LR}}}", SCHEDULERS["asha"])
    run = Simulation(tmp_path / "s", study, 6, random.Random(0), curve).run
    states = run.board.states
    for place in (1, 5):
        states[place].report(1, {f"val_{m}_{k}": 0.5 for m in ("robust", "natural") for k in ("accuracy", "loss")})
    assert run.policy.waits_for(run.board, states[1]) == [states[0]]
    assert run.policy.waits_for(run.board, states[5]) == []
    assert [state for state, _ in run.policy.decide(run.board)] == [states[5]]
