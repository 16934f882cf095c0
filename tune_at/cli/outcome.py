"""Running a sweep to its end, and what is printed and told there."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tune_at.cli.terminal import as_typed, console, width
from tune_at.store.failures import StorageFailed
from tune_at.tuning import interruption
from tune_at.tuning.interruption import uninterrupted
from tune_at.tuning.launch import Launch, resume_command
from tune_at.wording import counted, program, shell

if TYPE_CHECKING:
    from tune_at.store.snapshot import Snapshot
    from tune_at.study.sweep import Sweep
    from tune_at.tuning.notices import Notices


def run_to_end(planned: "Sweep", launch: Launch) -> int:
    """Run the trials that are left and print the results; returns the exit code, see `finish`."""
    with notices_of(planned, launch) as notices:
        stopped = run_left(planned, launch, notices=notices)
        return finish(planned, replace(launch, trials=0), stopped, True, notices)


def run_left(
    planned: "Sweep", launch: Launch, snapshot: "Snapshot | None" = None, notices: "Notices | None" = None
) -> str:
    """Run the trials that are left; returns why it stopped before its end, see `run_sweep`."""
    with uninterrupted():  # what is half imported cannot be imported again
        from tune_at.tuning.runner import run_sweep
    return run_sweep(planned, launch, console(quiet=launch.quiet), snapshot, notices)


@contextlib.contextmanager
def notices_of(sweep: "Sweep", launch: Launch) -> "Iterator[Notices | None]":
    """Who is told by `--notify` of what happens in the block, its failure too; None if nobody is to be."""
    if not launch.notify:
        yield None
        return
    from tune_at.tuning.notices import Notices

    def describe() -> "dict[str, object]":
        from tune_at.cli.standing import Standing
        from tune_at.cli.standing_json import as_json

        return as_json(Standing.of(sweep))

    notices = Notices(launch.notify, sweep.folder, describe)
    try:
        yield notices
    except Exception as error:
        if notices.begun:
            told = f"stopped before its end: {error or type(error).__name__}"
            notices.tell("fail", told, described=not isinstance(error, StorageFailed))
        raise
    finally:
        notices.close(haste=interruption.terminated())
        if complaint := notices.complaint():
            print(f"tune-at: {complaint}", file=sys.stderr)


def finish(
    ended: "Sweep", launch: Launch, stopped: str = "", shown: bool = False, notices: "Notices | None" = None
) -> int:
    """Print the results; exit code 130 if trials are left, 1 if one failed.

    `stopped`: why the sweep stopped before its end, if not by the user. `shown`: whether failures were shown already.
    """
    from analysis.overview import status_line
    from analysis.summary import summary
    from tune_at.cli.results import at_rest, results_tables
    from tune_at.store.reader import read_results
    from tune_at.store.status import Status

    results = read_results(ended.folder)
    trials, epochs, decisions = (results.frame(table) for table in ("trials", "epochs", "decisions"))
    trials = at_rest(trials)
    picture = as_typed(ended.folder.report / "pareto_front.png")
    best = summary(ended.study, trials, epochs, decisions, picture)
    if not launch.quiet:
        known = ended.trials(results)
        console(wide=True).print(results_tables(ended.study, trials, epochs, decisions, known, width()))
        for line in best:
            print(line)
        print(f"store       {as_typed(ended.folder.store)}")
        print(f"curves      {shell(*program(), 'tensorboard')} {as_typed(ended.folder.place)}")
    where = sys.stderr if launch.quiet else sys.stdout
    left = ended.unfinished(results)
    count, total = ended.left(results), ended.size(results)
    failed = trials[trials["status"] == Status.FAILED]
    for row in [] if shown else failed.to_dict("records"):
        log = as_typed(ended.folder.log(row["trial"]))
        print(f"failed: {row['trial']}: {row['error']}\n  full log: {log}", file=where)
    resume = resume_command(ended.folder, launch)
    given_up = {name for name, status in ended.statuses(results).items() if status.void}
    waiting = [trial for trial in left if given_up & set(trial.teachers.values())]
    if len(failed):
        print(f"{len(failed)} of {counted(total, 'trial')} failed; try them again with: {resume}", file=where)
    if stopped:
        print(f"stopped early: {stopped}", file=where)
    if count > len(failed) + len(waiting):
        print(f"{count} of {counted(total, 'trial')} left; continue with: {resume}", file=where)
        if notices is not None and (reason := stopped or ("SIGTERM" if interruption.terminated() else "")):
            notices.tell("fail", f"stopped before its end: {reason}; {count} of {counted(total, 'trial')} left")
        return 1 if stopped else 130
    if notices is not None:
        told = " ".join(best[0].split()) if best else ""
        notices.ended(total, f"ended: {status_line(trials, total, running=False)}" + f"; {told}" * bool(told))
    if ended.study.figures and not launch.quiet:
        print(f"figures     {shell(*program(), 'report')} {as_typed(ended.folder.place)}")
    return 1 if len(failed) or stopped else 0
