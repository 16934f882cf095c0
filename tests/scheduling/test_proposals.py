"""Searches by Optuna: what it is told, and that a restart proposes nothing again."""

import json
import math
import random

import optuna
import pytest
from optuna.trial import TrialState as OptunaState
from processes import difference
from simulation import Simulation, curve, make_study

from tune_at.scheduling.proposals import Proposer
from tune_at.store import read_table
from tune_at.study.study import Study


def finish(simulation):
    while simulation.step():
        pass
    return simulation


def told(simulation):
    """The trials as the next proposal's Optuna study knows them."""
    run = simulation.run
    proposer, per_point = run.proposer, len(simulation.sweep.study.seeds)
    states = run.board.states
    return [proposer._told(states[at : at + per_point]) for at in range(0, len(states), per_point)]


@pytest.mark.parametrize("scheduler", ["{name: fifo}", "{name: asha}"])
def test_a_restarted_search_is_the_uninterrupted_one(tmp_path, scheduler):
    study = make_study(tmp_path, scheduler, trials=24, epochs=5, search="optuna")
    whole = finish(Simulation(tmp_path / "whole", study, 1, random.Random(0)))
    cut, order, kills = Simulation(tmp_path / "cut", study, 1, random.Random(1)), random.Random(3), 0
    while cut.step():
        if order.random() < 0.15:
            cut.restart()
            kills += 1
    assert kills > 5
    for table in ("trials", "epochs", "decisions"):
        assert not difference(cut.folder, whole.folder, table), table
    rates = read_table(cut.folder, "trials")["optim.lr"]
    assert rates.nunique() == 24


def test_several_at_a_time_with_restarts_propose_no_point_twice(tmp_path):
    study = make_study(tmp_path, "{name: fifo}", trials=20, epochs=3, search="optuna")
    order = random.Random(5)
    cut = Simulation(tmp_path / "cut", study, 4, order)
    drawn = {}
    while cut.step():
        for state in cut.run.board.states:
            assert drawn.setdefault(state.name, state.trial.config) == state.trial.config
        if order.random() < 0.1:
            cut.restart()
    assert len(drawn) == 20
    assert read_table(cut.folder, "trials")["optim.lr"].nunique() == 20


def test_tpe_finds_what_random_search_does_not(tmp_path):
    def peak(spec, epoch):
        return 1 - abs(spec.config["optim"]["lr"] - 0.05)

    spread = {}
    for search in ("random", "optuna"):
        study = make_study(tmp_path, "{name: fifo}", trials=60, epochs=1, search=search)
        finish(Simulation(tmp_path / search, study, 1, random.Random(0), peak))
        rates = read_table(tmp_path / search, "trials")["optim.lr"][30:]
        spread[search] = (rates - 0.05).abs().median()
    assert spread["optuna"] < spread["random"] * 0.6


def test_optuna_is_told_how_each_trial_ended(tmp_path):
    def some_diverge(spec, epoch):
        return math.nan if spec.config["optim"]["lr"] > 0.2 and epoch == 2 else curve(spec, epoch)

    study = make_study(tmp_path, "{name: asha}", trials=30, epochs=9, search="optuna")
    done = finish(Simulation(tmp_path / "s", study, 1, random.Random(0), some_diverge))
    expected = {"completed": OptunaState.COMPLETE, "stopped": OptunaState.PRUNED, "diverged": OptunaState.FAIL}
    rows = read_table(done.folder, "trials")
    assert set(rows["status"]) == set(expected)
    epochs = read_table(done.folder, "epochs")
    for row, trial in zip(rows.to_dict("records"), told(done), strict=True):
        assert trial.state == expected[row["status"]]
        assert trial.params == {"optim.lr": row["optim.lr"]}
        values = epochs[epochs["trial"] == row["trial"]].set_index("epoch")["val_robust_accuracy"].dropna()
        if row["status"] == "completed":
            assert trial.value == values.max()
        if row["status"] == "stopped":
            assert trial.intermediate_values == values.to_dict()


def test_seeds_are_repeats_whose_mean_is_told(tmp_path):
    study = make_study(tmp_path, "{name: fifo}", trials=6, epochs=2, search="optuna", seeds="[0, 1, 5]")
    done = finish(Simulation(tmp_path / "s", study, 2, random.Random(0)))
    rows = read_table(done.folder, "trials")
    assert rows["seed"].tolist() == [0, 1, 5] * 6
    assert rows.groupby(rows["trial"].str[:4])["optim.lr"].nunique().tolist() == [1] * 6
    epochs = read_table(done.folder, "epochs")
    best = epochs.groupby("trial")["val_robust_accuracy"].max().groupby(lambda name: name[:4]).mean()
    completed = [(n, trial) for n, trial in enumerate(told(done)) if trial.state == OptunaState.COMPLETE]
    assert completed
    for number, trial in completed:
        assert trial.value == pytest.approx(best.iloc[number])


def test_several_objectives_are_searched_by_nsga2_over_generations(tmp_path):
    path = tmp_path / "tradeoff.yaml"
    path.write_text(
        "title: x\nbase: {data: {subset: 64}, train: {epochs: 2, batch_size: 32}}\n"
        "search: {algorithm: optuna, trials: 24, startup: 6, objectives: [natural_accuracy, robust_accuracy],\n"
        "  space: {optim.lr: {loguniform: [0.001, 0.5]}, optim.momentum: {uniform: [0, 0.95]},\n"
        "    objective: {choice: [pgd_at, {name: trades, beta: 3}]}}}\n"
    )
    study = Study.resolve(str(path))
    done = finish(Simulation(tmp_path / "s", study, 1, random.Random(0)))
    trials = told(done)
    generations = [trial.system_attrs["NSGAIISampler:generation"] for trial in trials]
    assert max(generations) >= 2
    assert len(trials[0].values) == 2
    proposer = Proposer(study)
    assert proposer.directions == [optuna.study.StudyDirection.MAXIMIZE] * 2
    configs = {json.loads(row)["objective"]["name"] for row in read_table(done.folder, "trials")["config"]}
    assert configs == {"pgd_at", "trades"}


SMALL = """\
title: x
base: {data: {subset: 64}, train: {epochs: 1, batch_size: 32}}
search: {algorithm: optuna, trials: %d, startup: 4, objectives: %s,
  space: {optim.lr: {choice: [0.1, 0.2, 0.3]}, objective: {choice: [pgd_at, trades, standard, sat]}}}
"""


@pytest.mark.parametrize("objectives", ["[robust_accuracy]", "[natural_accuracy, robust_accuracy]"])
def test_no_point_is_proposed_twice_while_there_are_others(tmp_path, objectives):
    for trials, different in ((11, 11), (14, 12)):
        path = tmp_path / f"{trials}.yaml"
        path.write_text(SMALL % (trials, objectives))
        done = finish(Simulation(tmp_path / f"s{trials}", Study.resolve(str(path)), 1, random.Random(0)))
        assert len(read_table(done.folder, "trials")) == different  # the space has no more than twelve
        assert read_table(done.folder, "trials")["config_hash"].nunique() == different


def test_a_damaged_row_of_a_drawn_trial_is_read_from_its_second_copy(tmp_path):
    from tune_at.store.writer import part_path

    study = make_study(tmp_path, "{name: fifo}", trials=6, epochs=3, search="optuna")
    whole = finish(Simulation(tmp_path / "whole", study, 1, random.Random(0)))
    cut = Simulation(tmp_path / "cut", study, 1, random.Random(1))
    for _ in range(8):
        cut.step()
    for name in list(cut.run.launched)[:2]:
        path = part_path(cut.folder, "trials", name)
        path.write_bytes(path.read_bytes()[:-30])
    cut.restart()
    finish(cut)
    for table in ("trials", "epochs"):
        assert not difference(cut.folder, whole.folder, table), table


def test_seeds_keep_their_order_through_restarts(tmp_path):
    study = make_study(tmp_path, "{name: asha}", trials=8, epochs=9, search="optuna", seeds="[2, 10, 1]")
    whole = finish(Simulation(tmp_path / "whole", study, 1, random.Random(0)))
    cut, order = Simulation(tmp_path / "cut", study, 1, random.Random(1)), random.Random(4)
    while cut.step():
        if order.random() < 0.15:
            cut.restart()
    for table in ("trials", "epochs", "decisions"):
        assert not difference(cut.folder, whole.folder, table), table


def test_a_point_is_recorded_whole_or_not_at_all(tmp_path, monkeypatch):
    from tune_at.scheduling import ledger
    from tune_at.store.patience import StorageFailed

    study = make_study(tmp_path, "{name: fifo}", trials=4, epochs=2, search="optuna", seeds="[0, 1, 2]")
    whole = finish(Simulation(tmp_path / "whole", study, 1, random.Random(0)))
    for failing in range(4, 8):
        cut = Simulation(tmp_path / f"cut-{failing}", study, 1, random.Random(1))
        written = []

        def write(*arguments, failing=failing, written=written, real=ledger.write_trial, **columns):
            written.append(arguments)
            if len(written) == failing:
                raise StorageFailed("disk", "No space left on device")
            return real(*arguments, **columns)

        with monkeypatch.context() as patched:
            patched.setattr(ledger, "write_trial", write)
            while not cut.run.failure:
                cut.step()
        cut.restart()
        finish(cut)
        for table in ("trials", "epochs"):
            assert not difference(cut.folder, whole.folder, table), (failing, table)


def test_an_invalid_point_inside_a_valid_space_is_told_and_another_proposed(tmp_path):
    path = tmp_path / "gap.yaml"
    path.write_text(
        "title: x\nbase: {data: {subset: 65}, train: {epochs: 1}}\n"
        "search: {algorithm: optuna, trials: 8, space: \n"
        "  {train.batch_size: {int: [31, 33]}, optim.lr: {uniform: [0.1, 1]}}}\n"
    )
    done = finish(Simulation(tmp_path / "s", Study.resolve(str(path)), 1, random.Random(0)))
    sizes = read_table(done.folder, "trials")["train.batch_size"]
    assert len(sizes) == 8
    assert set(sizes) <= {31, 33}  # 32 would leave a last batch of one image


@pytest.mark.parametrize("row", [False, True])
def test_a_damaged_point_is_read_from_its_rows_or_named(tmp_path, row):
    from tune_at.errors import UserError
    from tune_at.store.writer import part_path

    study = make_study(tmp_path, "{name: fifo}", trials=3, epochs=1, search="optuna")
    done = finish(Simulation(tmp_path / "s", study, 1, random.Random(0)))
    path = done.folder / "search" / "0001.json"
    path.write_bytes(path.read_bytes()[:40])
    if row:
        done.restart()
        assert len(done.run.board.states) == 3
        return
    part_path(done.folder, "trials", done.run.board.states[1].name).unlink()
    with pytest.raises(UserError, match=r"0001\.json: is damaged"):
        done.restart()


def test_points_of_another_ball_tell_nothing(tmp_path):
    path = tmp_path / "balls.yaml"
    path.write_text(
        "title: x\nbase: {train: {epochs: 2}}\n"
        "search: {name: optuna, trials: 16, startup: 4,\n"
        "  space: {optim.lr: {loguniform: [0.001, 0.5]}, attack.eps: [1/255, 8/255]}}\n"
    )
    study = Study.resolve(str(path))
    simulation = finish(Simulation(tmp_path / "balls", study, 1, random.Random(0)))
    states, proposer = simulation.run.board.states, simulation.run.proposer
    balls = [state.trial.config.attack.eps for state in states]
    compared = proposer._compared([[state] for state in states])
    larger = max(sorted(set(balls), key=balls.index), key=balls.count)
    assert compared == [eps == larger for eps in balls]
    assert 0 < sum(compared) < len(balls)
    assert proposer._told([states[compared.index(False)]], False).state == OptunaState.FAIL
    assert proposer._told([states[compared.index(True)]]).state == OptunaState.COMPLETE


@pytest.mark.parametrize(
    ("search", "learned"),
    [
        ("objectives: [robust_accuracy, natural_accuracy], space: {attack.eps: [1/255, 8/255], ", None),
        ("objectives: [robust_accuracy, natural_accuracy], space: {attack.eps: {uniform: [0.01, 0.03]}, ", 1),
        ("space: {attack.eps: {uniform: [0.01, 0.03]}, ", 1),
    ],
)
def test_what_cannot_be_compared_is_not_learned_from(tmp_path, search, learned):
    """Of a continuous eps nothing, for several objectives from the ball of the first point; restarts tell alike."""
    path = tmp_path / "balls.yaml"
    path.write_text(
        "title: x\nbase: {train: {epochs: 2}}\n"
        f"search: {{name: optuna, trials: 14, startup: 3, {search} optim.lr: {{loguniform: [0.001, 0.5]}}}}}}\n"
    )
    study = Study.resolve(str(path))
    simulation = finish(Simulation(tmp_path / "balls", study, 1, random.Random(0)))
    states, proposer = simulation.run.board.states, simulation.run.proposer
    balls = [state.trial.config.attack.eps for state in states]
    points = [[state] for state in states]
    assert len(states) == 14
    if learned is None:
        for told in range(1, 15):  # what was told once is never taken back
            assert proposer._compared(points[:told]) == [eps == balls[0] for eps in balls[:told]]
        assert 1 < balls.count(balls[0]) < 14
    else:
        assert proposer._compared(points) == [True] + [False] * 13
