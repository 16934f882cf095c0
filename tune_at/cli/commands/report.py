"""`report DIR/NAME`: its figures."""

import functools
import sys
from argparse import ArgumentParser, Namespace

from tune_at.cli.command import Command
from tune_at.cli.options import add_sweep
from tune_at.cli.terminal import as_typed


def add_options(parser: ArgumentParser) -> None:
    """DIR/NAME, and which figures."""
    add_sweep(parser)
    parser.add_argument(
        "--figures", nargs="+", default=(), metavar="FIGURE", help="these figures (default: those that the study names)"
    )


def run(arguments: Namespace) -> int:
    """`report DIR/NAME`."""
    from analysis.report import write_report
    from tune_at.study.sweep import Sweep

    existing = Sweep.open(arguments.sweep)
    tell = functools.partial(print, file=sys.stderr)
    for path in write_report(existing.folder, arguments.figures or existing.study.figures, tell):
        print(as_typed(path))
    return 0


COMMAND = Command("report", "draw a sweep's figures into DIR/NAME/report, each with its CSV", add_options, run)
