"""The board on disk: rows of ended trials are folded while a sweep runs, and nobody can tell by the tables."""

import random

import pytest
from processes import results
from simulation import Simulation, make_study

from tune_at.store.fold import BATCH, fold
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import list_files
from tune_at.store.status import Status

TABLES = ("trials", "epochs", "decisions")


def finish(simulation):
    while simulation.step():
        pass
    return simulation


@pytest.mark.parametrize("scheduler", ["{name: fifo}", "{name: asha, grace: 1, eta: 2}"])
def test_a_sweep_that_is_folded_while_it_runs_and_is_killed_has_the_same_tables(tmp_path, monkeypatch, scheduler):
    study = make_study(tmp_path, scheduler, trials=3 * BATCH, epochs=4)
    with monkeypatch.context() as patch:
        patch.setattr("tune_at.scheduling.ledger.BATCH", 10**9)
        whole = finish(Simulation(tmp_path / "whole", study, 1, random.Random(0)))
    assert not list_files(SweepFolder.of(whole.folder), "trials").folds
    order = random.Random(2)
    cut = Simulation(tmp_path / "cut", study, 3, order)
    while cut.step():
        if order.random() < 0.01:
            cut.restart()
    folder = SweepFolder.of(cut.folder)
    assert list_files(folder, "epochs").folds
    for table in TABLES:
        assert results(folder, table).equals(results(whole.folder, table)), table
    ended = {state.name for state in cut.run.board.states if state.ended}
    fold(folder, ended, last=True)
    for table in TABLES:
        assert results(folder, table).equals(results(whole.folder, table)), table
        assert not list_files(folder, table).parts
    # A driver that comes now finds all of it ended.
    cut.restart()
    assert cut.run.board.complete


def test_trials_that_run_or_failed_before_are_not_folded_and_those_that_run_again_get_their_rows_back(tmp_path):
    study = make_study(tmp_path, "{name: fifo}", trials=2 * BATCH, epochs=3)
    first = finish(Simulation(tmp_path / "sweep", study, 1, random.Random(0)))
    folder = SweepFolder.of(first.folder)
    expected = {table: results(folder, table) for table in TABLES}
    fold(folder, [state.name for state in first.run.board.states], last=True)
    state = first.run.board.states[5]
    from tune_at.recording.rows import stored_epochs, stored_row, write_trial

    # It is tried again: its failure stands beside its folded rows, and counts.
    write_trial(first.run.ledger.spec(state), Status.FAILED, epochs=3)
    first.restart()
    assert [s.name for s in first.run.board.states if not s.ended] == [state.name]
    assert stored_epochs(folder, state.name) == 3
    assert stored_row(folder, state.name)["status"] == "failed"
    finish(first)
    for table in TABLES:
        assert results(folder, table).equals(expected[table]), table
