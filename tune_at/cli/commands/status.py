"""`status DIR/NAME`: where a sweep stands, running or not."""

from argparse import ArgumentParser, Namespace

from tune_at.cli.command import Command
from tune_at.cli.options import add_sweep
from tune_at.cli.storage_list import print_storage
from tune_at.cli.terminal import as_typed, console, width
from tune_at.tuning.launch import resume_command


def add_options(parser: ArgumentParser) -> None:
    """DIR/NAME."""
    add_sweep(parser, "a sweep, or a folder of sweeps: then a line each")


def run(arguments: Namespace) -> int:
    """`status DIR/NAME`."""
    from analysis.overview import status_line
    from analysis.summary import summary
    from tune_at.cli.results import at_rest, results_tables
    from tune_at.store.lock import is_locked
    from tune_at.store.reader import read_results
    from tune_at.store.storage import sweeps_in
    from tune_at.study.sweep import Sweep

    if several := sweeps_in(arguments.sweep):
        return print_storage(several)
    existing = Sweep.open(arguments.sweep)
    results = read_results(existing.folder)
    trials, epochs, decisions = (results.frame(table) for table in ("trials", "epochs", "decisions"))
    running = is_locked(existing.folder)
    if not running:
        trials = at_rest(trials)
    print(f"{existing.study.title}: {status_line(trials, existing.study.size, running)}")
    wide = console(wide=True)
    wide.print(results_tables(existing.study, trials, epochs, decisions, existing.trials(results), width()))
    picture = as_typed(existing.folder.report / "pareto_front.png")
    for line in summary(existing.study, trials, epochs, decisions, picture):
        print(line)
    if running:
        print("running now")
    elif existing.left(results):
        print(f"not running; continue with: {resume_command(existing.folder)}")
    return 0


COMMAND = Command("status", "trials by status, and where each stands", add_options, run)
