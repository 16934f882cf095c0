"""What the ledger writes when the scheduler stops a trial."""

import random

import pytest
import simulation
from processes import difference
from simulation import WORKER, Simulation, make_study, worker_of

from tune_at.scheduling import ledger
from tune_at.scheduling.board import Decision
from tune_at.store import read_table
from tune_at.store.fold import BATCH, fold
from tune_at.store.parts import list_folds, read_fold
from tune_at.store.schema import TIMES
from tune_at.store.status import Status
from tune_at.store.writer import part_path, write_rows


def units(file):
    """The trials of a folded file, each with the number of its rows."""
    return read_fold(file.place)[1]


def unread(folder, trial):
    raise AssertionError(f"the row of {trial} was read, but its worker has said what is in it")


def test_a_stop_is_written_from_what_the_worker_has_said(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "worker_columns", unread)
    study = make_study(tmp_path, "{name: asha, grace: 1, eta: 2}", epochs=9)
    done = Simulation(tmp_path / "s", study, 3, random.Random(0))
    while done.step():
        pass
    rows = read_table(done.folder, "trials")
    stopped = rows[rows["status"] == Status.STOPPED]
    assert len(stopped) > 2
    counts = read_table(done.folder, "epochs").groupby("trial").size()
    assert stopped["epochs"].tolist() == counts[stopped["trial"]].tolist()
    for column, value in WORKER.items():
        assert set(stopped[column]) == {value}, column
    for name, best in zip(stopped["trial"], stopped["best_epoch"], strict=True):
        assert best == worker_of(done._rows(name))["best_epoch"]
    assert len(set(stopped["best_epoch"])) > 1


@pytest.mark.parametrize("reached", [True, False])
def test_a_stop_that_was_decided_and_not_written_is_written_from_the_row(tmp_path, reached):
    study = make_study(tmp_path, "{name: asha, grace: 1, eta: 2}", trials=2, epochs=4)
    cut = Simulation(tmp_path / "s", study, 1, random.Random(0))
    while cut.run.board.states[0].epoch < 2:
        cut.step()
    state = cut.run.board.states[0]
    state.decisions[2] = Decision(2 if reached else 3, 2, 0.1, 0.2, "stop")
    write_rows(cut.folder, "decisions", state.name, [cut.run.ledger._row(state, d) for d in state.decisions.values()])
    cut.restart()
    back = cut.run.board.by_name[state.name]
    assert (back.status == Status.STOPPED) == reached
    row = read_table(cut.folder, "trials").set_index("trial").loc[state.name]
    if reached:
        best = worker_of(cut._rows(state.name))["best_epoch"]
        assert (row["status"], row["epochs"], row["device"], row["best_epoch"]) == (
            "stopped",
            2,
            WORKER["device"],
            best,
        )
    else:  # its rows are lost: it is run again up to there
        assert row["status"] == "running" and 3 not in back.decisions


@pytest.mark.parametrize("scheduler", ["{name: asha, grace: 1, eta: 2}", "{name: median, grace: 1, min_trials: 2}"])
@pytest.mark.parametrize("decided", [True, False])
def test_the_damaged_row_of_a_stopped_trial_is_written_again_as_it_was(tmp_path, scheduler, decided):
    """Its best epoch and its device are its worker's to say: without them it would rank nowhere."""
    study = make_study(tmp_path, scheduler, epochs=9)
    done = Simulation(tmp_path / "s", study, 3, random.Random(0))
    while done.step():
        pass
    before = {table: read_table(done.folder, table) for table in ("trials", "epochs", "decisions")}
    stopped = before["trials"].query("status == 'stopped'")["trial"].tolist()
    for name in stopped[:2]:
        for table in ("trials",) if decided else ("trials", "decisions"):
            path = part_path(done.folder, table, name)
            path.write_bytes(path.read_bytes()[:-20])
    done.restart()
    while done.step():
        pass
    for table, rows in before.items():
        times = list(TIMES[table])
        assert read_table(done.folder, table).drop(columns=times).equals(rows.drop(columns=times)), table


@pytest.mark.parametrize("scheduler", ["{name: asha, grace: 2, eta: 2}", "{name: median, grace: 2, min_trials: 2}"])
def test_a_worker_that_is_killed_between_its_epochs_and_its_own_row_tells_its_best_epoch_again(
    tmp_path, monkeypatch, scheduler
):
    """The trial may be stopped by what its tables say, and its row be one epoch older than they are."""

    def rising(spec, epoch):  # each epoch is the best so far
        return spec.config["optim"]["lr"] * epoch / 10

    study = make_study(tmp_path, scheduler, trials=8, epochs=5)
    whole = Simulation(tmp_path / "whole", study, 3, random.Random(0), rising)
    while whole.step():
        pass
    cut = Simulation(tmp_path / "cut", study, 3, random.Random(0), rising)
    # The driver never hears of such an epoch: it is killed with its workers.
    written, kills = simulation.write_trial, set()

    class Killed(Exception):
        pass

    def killed(spec, status, **columns):
        if (spec.trial, columns["epochs"]) not in kills:
            kills.add((spec.trial, columns["epochs"]))
            raise Killed
        written(spec, status, **columns)

    monkeypatch.setattr(simulation, "write_trial", killed)
    going = True
    while going:
        try:
            going = cut.step()
        except Killed:
            cut.restart()
    for table in ("epochs", "decisions", "trials"):
        assert not difference(cut.folder, whole.folder, table)


def test_a_sweep_that_is_killed_every_few_trials_is_folded_while_it_runs(tmp_path):
    run = Simulation(tmp_path / "s", make_study(tmp_path, "fifo", trials=3 * BATCH + 3, epochs=1), 1, random.Random(0))
    folded, ended = [], 0
    while run.step():
        if run.run.board.states[ended].ended:
            ended += 1
            folded.append(sum(rows for file in list_folds(run.sweep.folder, "epochs")[0] for _, rows in units(file)))
            if ended % (BATCH // 2 - 1) == 0:
                run.restart()
    assert max(n - rows for n, rows in enumerate(folded, 1)) < 2 * BATCH
    assert len(read_table(run.folder, "epochs")) == ended == 3 * BATCH + 3


def test_decisions_that_are_lost_are_made_again_and_leave_the_rows_of_trials_that_were_stopped(tmp_path):
    """As a kill leaves it between setting damaged decisions aside and making them again."""
    study = make_study(tmp_path, "{name: asha, grace: 1, eta: 2}", trials=BATCH + 4, epochs=4)
    done = Simulation(tmp_path / "s", study, 3, random.Random(0))
    while done.step():
        pass
    fold(done.sweep.folder, set(done.run.board.by_name), last=True)
    before = {table: read_table(done.folder, table) for table in ("trials", "epochs", "decisions")}
    (decisions,) = list_folds(done.sweep.folder, "decisions")[0]
    decisions.place.unlink()
    done.restart()
    for table, rows in before.items():
        again = read_table(done.folder, table)
        assert again.drop(columns="decided", errors="ignore").equals(rows.drop(columns="decided", errors="ignore")), (
            table
        )
