"""ASHA whose rungs are complete runs, against the rule written out by hand, and what a sweep of it says of itself."""

import itertools
import json
import math
import random

import numpy as np
import pytest
from simulation import Simulation, make_study

from analysis.ranking import rank
from tune_at.errors import UserError
from tune_at.scheduling.curves import read_recording
from tune_at.store import read_table
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

RULE = "{name: asha, grace: 2, eta: 3, fidelity: schedule}"
LENGTHS = (2, 6, 20)


def score(lr, seed, epochs):
    """A point's accuracy at the end of a run: which point is good changes with the length."""
    return round(random.Random(f"{lr} {seed} {epochs}").random(), 2)


def curve(spec, epoch):
    """Its curve: known at the end alone, so that whoever judges before it judges noise. Every ninth point diverges."""
    config = spec.config
    lr, seed, epochs = config["optim"]["lr"], config["seed"], config["train"]["epochs"]
    if random.Random(f"{lr}").random() < 0.1 and epoch > 3:
        return math.nan
    return score(lr, seed, epochs) if epoch == epochs else 0.5


def finish(simulation):
    while simulation.step():
        pass
    return simulation


def by_hand(study, eta, sign=1):
    """The runs that there are, (lr, seed, epochs) → action, by the rule as docs/early_stopping.md states it."""
    found = {}
    seen = {epochs: [] for epochs in LENGTHS}
    for trial in study.trials():
        lr, seed = trial.config.optim.lr, trial.config.seed
        for epochs in LENGTHS:
            if random.Random(f"{lr}").random() < 0.1 and epochs > 3:
                found[lr, seed, epochs] = None
                break
            value = score(lr, seed, epochs)
            bar = np.quantile([sign * v for v in seen[epochs]], 1 - 1 / eta) if seen[epochs] else -math.inf
            seen[epochs].append(value)
            action = "completed" if epochs == LENGTHS[-1] else "promote" if sign * value >= bar else "stop"
            found[lr, seed, epochs] = action
            if action != "promote":
                break
    return found


def ran(folder):
    """What the tables say, in the same form."""
    trials, decisions = (read_table(folder, table) for table in ("trials", "decisions"))
    actions = dict(zip(decisions["trial"], decisions["action"], strict=True))
    return {
        (row["optim.lr"], row["seed"], row["train.epochs"]): actions.get(row["trial"])
        for row in trials.to_dict("records")
    }


@pytest.mark.parametrize(("metric", "sign"), [("robust_accuracy", 1), ("robust_loss", -1)])
def test_promotes_what_the_rule_promotes(tmp_path, metric, sign):
    rule = RULE.replace("eta", f"metric: {metric}, eta")
    study = make_study(tmp_path, rule, trials=40, epochs=20, seeds="[0, 5]")
    assert study.lengths == LENGTHS
    order = random.Random(3)
    folder = finish(Simulation(tmp_path / "sweep", study, 7, order, curve)).folder
    expected = by_hand(study, 3, sign)
    assert ran(folder) == expected
    assert set(expected.values()) == {"promote", "stop", "completed", None}
    rows = read_table(folder, "decisions")
    assert (rows["epoch"] == rows["rung"]).all()
    promoted = rows[rows["action"] == "promote"]
    longer = dict(itertools.pairwise(LENGTHS))
    assert [json.loads(changes) for changes in promoted["changes"]] == [
        {"train.epochs": longer[rung]} for rung in promoted["rung"]
    ]
    assert set(read_table(folder, "trials")["status"]) == {"completed", "diverged"}


def counted(run, sweep):
    """How many trials there may be, by the driver and by the tables, and how many are left."""
    return run.most, sweep.size(), sweep.left()


def test_the_number_of_trials_shrinks_to_those_that_there_are(tmp_path):
    study = make_study(tmp_path, RULE, trials=12, epochs=20)
    simulation = Simulation(tmp_path / "sweep", study, 2, random.Random(0), curve)
    sweep, numbers = Sweep.open(str(tmp_path / "sweep")), []
    assert counted(simulation.run, sweep) == (36, 36, 36)
    while simulation.step():
        most, size, _ = counted(simulation.run, sweep)
        assert most == size
        numbers.append(most)
    assert numbers == sorted(numbers, reverse=True)
    there = len(read_table(tmp_path / "sweep", "trials"))
    assert counted(simulation.run, sweep) == (there, there, 0)
    assert 12 < there < 36


def test_a_sweep_whose_last_decision_was_not_made_is_not_complete(tmp_path):
    study = make_study(tmp_path, RULE, trials=6, epochs=20)
    simulation = Simulation(tmp_path / "sweep", study, 1, random.Random(0), curve)
    simulation.run.policy.decide = lambda board: []  # killed before each decision
    with pytest.raises(AssertionError, match="nothing runs"):  # no run is longer without one
        for _ in range(6 * 2 + 1):
            simulation.step()
        assert not simulation.run.board.complete, "nothing runs"
    sweep = Sweep.open(str(tmp_path / "sweep"))
    assert sweep.unfinished() == [] and sweep.left() == 12
    simulation.restart()
    finish(simulation)
    assert ran(tmp_path / "sweep") == by_hand(study, 3)


def test_what_failed_is_passed_over_and_judged_by_what_there_is_when_it_is_tried_again(tmp_path):
    study = make_study(tmp_path, RULE, trials=8, epochs=20)
    simulation = Simulation(tmp_path / "sweep", study, 1, random.Random(0), lambda spec, epoch: 0.5)
    state = simulation.run.board.states[0]
    state.status = Status.FAILED
    simulation.run.launched.add(state.name)
    simulation.run.ended(state.name)
    finish(simulation)
    assert simulation.run.most == 8 * 3 - 2  # of equal scores all are promoted
    sweep = Sweep.open(str(tmp_path / "sweep"))
    assert [trial.name for trial in sweep.unfinished()] == [state.name]
    simulation.restart()
    finish(simulation)
    assert sweep.left() == 0 and len(read_table(tmp_path / "sweep", "trials")) == 24


def test_an_extended_search_keeps_what_was_decided(tmp_path):
    study = make_study(tmp_path, RULE, trials=6, epochs=20)
    first = finish(Simulation(tmp_path / "sweep", study, 2, random.Random(1), curve))
    before = ran(first.folder)
    sweep = first.sweep.extended(15)
    assert sweep.left() == (15 - 6) * 3
    sweep.save()
    first.restart()
    finish(first)
    whole = make_study(tmp_path, RULE, trials=15, epochs=20)
    assert ran(first.folder) == by_hand(whole, 3)
    assert before.items() <= ran(first.folder).items()


def test_the_longest_run_starts_first(tmp_path):
    study = make_study(tmp_path, RULE, trials=5, epochs=20)
    simulation = Simulation(tmp_path / "sweep", study, 1, random.Random(0), lambda spec, epoch: 0.5)
    started = []
    while simulation.step():
        epochs = [state.epochs for state in simulation.run.board.states if state.active]
        started += epochs if epochs != started[-1:] else []
    assert started[:6] == [2, 6, 20, 2, 6, 20]


def test_runs_of_different_lengths_do_not_rank_beside_each_other(tmp_path):
    study = make_study(tmp_path, RULE, trials=8, epochs=20)
    folder = finish(Simulation(tmp_path / "sweep", study, 2, random.Random(2), curve)).folder
    within = study.scheduler.compared_within
    ranking = rank(read_table(folder, "trials"), read_table(folder, "epochs"), within=within)
    assert ranking.comparison.keys == ("train.epochs",)
    assert sorted(value for (value,) in ranking.comparison.values) == list(LENGTHS)
    assert Study.from_yaml(study.as_yaml(), "x").lengths == LENGTHS


def test_its_curves_are_not_replayed(tmp_path):
    study = make_study(tmp_path, RULE, trials=4, epochs=20)
    folder = finish(Simulation(tmp_path / "sweep", study, 1, random.Random(0), curve)).folder
    with pytest.raises(UserError, match="runs of several lengths"):
        read_recording(Sweep.open(str(folder)))
