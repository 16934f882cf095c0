"""Options that several commands share, and what they name."""

import argparse
import sys

from tune_at.errors import UserError, suggestion
from tune_at.study.file import parse_overrides
from tune_at.study.study import Study

MANY_POINTS = 5000
"""Points whose number is said before they are resolved."""


def add_study(parser: argparse.ArgumentParser) -> None:
    """STUDY, `--preset` and `--set`."""
    parser.add_argument("study", metavar="STUDY", help="name or YAML file")
    parser.add_argument("--preset", default="", help="preset of the study, e.g. laptop or paper")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="A.B=C",
        help="override a key, an axis or the seeds; may be repeated",
    )  # fmt: skip


def add_storage(parser: argparse.ArgumentParser) -> None:
    """`--storage`."""
    parser.add_argument(
        "--storage",
        default="runs",
        metavar="DIR",
        help="where sweeps go: a folder, or an address such as s3://BUCKET/FOLDER (default: runs)",
    )


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """`--data-dir`."""
    parser.add_argument("--data-dir", metavar="DIR", help="where data sets are (default: $TUNE_AT_DATA, or the cache)")


def add_launch(parser: argparse.ArgumentParser) -> None:
    """What `sweep` and `resume` take on where and how trials run; see `Launch`."""
    add_cluster(parser)
    parser.add_argument("--fail-fast", action="store_true", help="stop the sweep at the first failed trial")
    parser.add_argument(
        "--notify",
        metavar="CMD",
        help="run CMD in a shell when the sweep ends, fails or has a new best point, with $TUNE_AT_EVENT, $TUNE_AT_TEXT"
        " and JSON on its standard input",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but what fails")


def add_address(parser: argparse.ArgumentParser) -> None:
    """`--address`."""
    parser.add_argument(
        "--address",
        default="",
        metavar="HOST:PORT",
        help="join the Ray cluster of that address, or auto: the one this machine is a node of"
        " (default: a fresh Ray on this machine)",
    )


def add_cluster(parser: argparse.ArgumentParser, what: str = "trials") -> None:
    """Where work runs, and how much of it at a time; see `Launch`. `what`: a word for it, in the plural."""
    add_address(parser)
    add_data_dir(parser)
    parser.add_argument(
        "--ship-data",
        action=argparse.BooleanOptionalAction,
        help="send CIFAR and SVHN to the workers through Ray: they need no files of them",
    )
    parser.add_argument(
        "--concurrency",
        type=at_least_one,
        default=0,
        metavar="N",
        help=f"at most N {what} at a time (default: as many as fit)",
    )


def add_sweep(parser: argparse.ArgumentParser, what: str = "folder or address of the sweep") -> None:
    """DIR/NAME."""
    parser.add_argument("sweep", metavar="DIR/NAME", help=what)


def add_trials(parser: argparse.ArgumentParser) -> None:
    """`--trials`: see `tune_at.cli.chosen.choose`."""
    parser.add_argument(
        "--trials",
        nargs="+",
        default=["all"],
        metavar="TRIAL",
        help="all that have ended (the default), best:N, or trials by name",
    )


def at_least_one(text: str) -> int:
    """A count given on the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _say_points(points: int) -> None:
    """Say how many points there are where resolving them takes seconds: the rest of what is printed comes after it."""
    if points >= MANY_POINTS:
        print(f"{points:,} points; each is checked first", file=sys.stderr, flush=True)


def study_of(arguments: argparse.Namespace) -> Study:
    """The study that the options name, resolved, its figures known. Raises `UserError`."""
    from analysis.figures import FIGURES

    overrides = parse_overrides(arguments.overrides)
    study = Study.resolve(arguments.study, arguments.preset, overrides, announce=_say_points)
    for figure in study.figures:
        if figure not in FIGURES:
            raise UserError(f"{study.name}.yaml: figures", f"{figure!r} is unknown", suggestion(figure, FIGURES))
    return study
