"""Running a sweep to its end, and what is printed there."""

from dataclasses import replace
from typing import TYPE_CHECKING

from tune_at.cli.terminal import as_typed, console, width
from tune_at.tuning.interruption import uninterrupted
from tune_at.tuning.launch import Launch, resume_command
from tune_at.wording import counted, program, shell

if TYPE_CHECKING:
    from tune_at.store.snapshot import Snapshot
    from tune_at.study.sweep import Sweep


def run_to_end(planned: "Sweep", launch: Launch) -> int:
    """Run the trials that are left and print the results; returns the exit code, see `finish`."""
    return finish(planned, replace(launch, trials=0), run_left(planned, launch), shown=True)


def run_left(planned: "Sweep", launch: Launch, snapshot: "Snapshot | None" = None) -> str:
    """Run the trials that are left; returns why it stopped before its end, see `run_sweep`."""
    with uninterrupted():  # what is half imported cannot be imported again
        from tune_at.tuning.runner import run_sweep
    return run_sweep(planned, launch, console(), snapshot)


def finish(ended: "Sweep", launch: Launch, stopped: str = "", shown: bool = False) -> int:
    """Print the results; exit code 130 if trials are left, 1 if one failed.

    `stopped`: why the sweep stopped before its end, if not by the user. `shown`: whether failures were shown already.
    """
    from analysis.summary import summary
    from tune_at.cli.results import at_rest, results_tables
    from tune_at.store.reader import read_results
    from tune_at.store.status import Status

    results = read_results(ended.folder)
    trials, epochs, decisions = (results.frame(table) for table in ("trials", "epochs", "decisions"))
    trials = at_rest(trials)
    known = ended.trials(results)
    console(wide=True).print(results_tables(ended.study, trials, epochs, decisions, known, width()))
    picture = as_typed(ended.folder.report / "pareto_front.png")
    for line in summary(ended.study, trials, epochs, decisions, picture):
        print(line)
    print(f"store       {as_typed(ended.folder.store)}")
    print(f"curves      {shell(*program(), 'tensorboard')} {as_typed(ended.folder.place)}")
    left = ended.unfinished(results)
    count, total = ended.left(results), ended.study.size
    failed = trials[trials["status"] == Status.FAILED]
    for row in [] if shown else failed.to_dict("records"):
        log = as_typed(ended.folder.log(row["trial"]))
        print(f"failed: {row['trial']}: {row['error']}\n  full log: {log}")
    resume = resume_command(ended.folder, launch)
    given_up = {name for name, status in ended.statuses(results).items() if status.void}
    waiting = [trial for trial in left if given_up & set(trial.teachers.values())]
    if len(failed):
        print(f"{len(failed)} of {counted(total, 'trial')} failed; try them again with: {resume}")
    if stopped:
        print(f"stopped early: {stopped}")
    if count > len(failed) + len(waiting):
        print(f"{count} of {counted(total, 'trial')} left; continue with: {resume}")
        return 1 if stopped else 130
    if ended.study.figures:
        print(f"figures     {shell(*program(), 'report')} {as_typed(ended.folder.place)}")
    return 1 if len(failed) or stopped else 0
