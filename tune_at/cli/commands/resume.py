"""`resume DIR/NAME`: run what is left."""

from argparse import ArgumentParser, Namespace
from dataclasses import replace

from tune_at.cli.command import Command
from tune_at.cli.options import add_launch, add_sweep, at_least_one
from tune_at.cli.outcome import finish, notices_of, run_left
from tune_at.cli.terminal import console
from tune_at.tuning.launch import Launch


def add_options(parser: ArgumentParser) -> None:
    """The sweep, and how it runs."""
    add_sweep(parser)
    add_launch(parser)
    parser.add_argument(
        "--as-recorded", action="store_true", help="run the study as recorded, though its file has changed since"
    )
    parser.add_argument(
        "--trials", type=at_least_one, default=0, metavar="N", help="extend a search to N points, seeds not counted"
    )


def run(arguments: Namespace) -> int:
    """`resume DIR/NAME`."""
    from tune_at.store.fold import set_aside
    from tune_at.study.sweep import Sweep

    launch = Launch.of(arguments)
    terminal = console(quiet=launch.quiet)
    existing = Sweep.open(arguments.sweep)
    existing.require_trained("nothing is left to run; curves that have grown are imported again, into another folder")
    if arguments.trials:
        existing = existing.extended(arguments.trials)
        for note in existing.study.notes:  # a space that has no more points than are asked for
            terminal.print(f"note: {note}", markup=False, soft_wrap=True)
    if not arguments.as_recorded:
        existing.require_unchanged()
    with notices_of(existing, launch) as notices:
        with existing.held() as snapshot:
            left = existing.left(snapshot)
            stopped = run_left(existing, launch, snapshot, notices) if left else ""
            for line in [] if left else set_aside(existing.folder, snapshot):
                terminal.print(line, markup=False, soft_wrap=True)
        if not left:
            terminal.print(f"{existing.folder} is complete: nothing is left to run", markup=False, soft_wrap=True)
        return finish(existing, replace(launch, trials=0) if left else launch, stopped, bool(left), notices)


COMMAND = Command("resume", "continue a sweep that was interrupted or killed, or retry failed trials", add_options, run)
