"""`sweep STUDY`: run it, or say what would run."""

import time
from argparse import ArgumentParser, Namespace

from tune_at.cli.command import Command
from tune_at.cli.options import add_launch, add_storage, add_study, study_of
from tune_at.cli.outcome import run_to_end
from tune_at.cli.terminal import console
from tune_at.tuning.launch import Launch


def add_options(parser: ArgumentParser) -> None:
    """The study, where it goes, and how it runs."""
    add_study(parser)
    add_storage(parser)
    add_launch(parser)
    parser.add_argument("--name", help="folder of the sweep in the storage (default: study, preset and time)")
    parser.add_argument("--dry-run", action="store_true", help="say what would run and about how long; write nothing")


def run(arguments: Namespace) -> int:
    """`sweep STUDY`."""
    from tune_at.study.sweep import Sweep
    from tune_at.study.warnings import warnings_of

    launch = Launch.of(arguments)
    study = study_of(arguments)
    study.trials()  # each drawn point, too, is checked before the folder is
    name = arguments.name or "-".join(filter(None, (study.name, study.preset, time.strftime("%Y%m%d-%H%M%S"))))
    planned = Sweep.plan(study, arguments.storage, name, tried=arguments.dry_run)
    for warning in warnings_of(study):
        console(quiet=launch.quiet).print(warning, markup=False, soft_wrap=True)
    if arguments.dry_run:
        from tune_at.cli.dry_run import dry_run

        dry_run(planned, arguments.concurrency, arguments.address)
        return 0
    return run_to_end(planned, launch)


COMMAND = Command("sweep", "run a study", add_options, run)
