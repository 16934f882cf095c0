"""The command line: `python run.py COMMAND`, also installed as `tune-at`.

Only what a command needs is imported, and when it runs: the help, `list`, `show` and `--dry-run` load neither torch
nor Ray.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from tune_at.cli import commands
from tune_at.errors import UserError, suggestion
from tune_at.version import __version__

EPILOG = """\
A study is the name of a shipped one (`list studies`) or the path of a YAML file. Storage that fails is tried again for
TUNE_AT_STORAGE_PATIENCE seconds (default: 60); docs/storage.md says how addresses and credentials work.
"""


class OneLineParser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line, like every other mistake of a user's."""

    def error(self, message: str) -> NoReturn:
        """Raise what `main` prints."""
        where = self.prog.removeprefix("tune-at").strip() or "command"
        found = re.match(r"argument COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if found:
            known = [name.strip("' ") for name in found[2].split(",")]
            raise UserError(where, f"{found[1]!r} is unknown", suggestion(found[1], known))
        raise UserError(where, message, f"see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = OneLineParser(
        prog="tune-at", description="Sweeps of adversarial training with Ray Tune.", epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tune-at {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        sub.set_defaults(run=run)
        return sub

    demo = command("demo", commands.demo, "run the paper's first figure on this machine, in minutes")
    _add_storage(demo)

    listing = command("list", commands.list_, "what studies, objectives, attacks, models, ... there are")
    listing.add_argument("kind", nargs="?", metavar="KIND", help="only this kind, e.g. studies or objectives")

    show = command("show", commands.show, "a study with its preset and overrides applied, as YAML")
    _add_study(show)

    sweep = command("sweep", commands.sweep, "run a study")
    _add_study(sweep)
    _add_storage(sweep)
    _add_launch(sweep)
    sweep.add_argument("--name", help="folder of the sweep in the storage (default: study, preset and time)")
    sweep.add_argument("--dry-run", action="store_true", help="say what would run and about how long; write nothing")

    resume = command(
        "resume", commands.resume, "continue a sweep that was interrupted or killed, or retry failed trials"
    )
    _add_sweep(resume)
    _add_launch(resume)
    resume.add_argument(
        "--as-recorded", action="store_true", help="run the study as recorded, though its file has changed since"
    )

    resume.add_argument(
        "--trials", type=_at_least_one, default=0, metavar="N", help="extend a search to N points, seeds not counted"
    )

    data = command("data", commands.data, "data sets: what is here, and fetching one")
    data.add_argument("action", choices=("fetch", "list"), help="fetch NAME downloads it with its checksum")
    data.add_argument("name", nargs="?", metavar="NAME", help="cifar10, cifar100 or svhn")
    _add_data_dir(data)

    status = command("status", commands.status, "trials by status, and where each stands")
    _add_sweep(status)

    report = command("report", commands.report, "draw a sweep's figures into DIR/NAME/report, each with its CSV")
    _add_sweep(report)

    query = command("query", commands.query, "run SQL over a sweep's tables (DuckDB)")
    _add_sweep(query)
    query.add_argument("sql", metavar="SQL", help="one statement over the tables trials, epochs and decisions")
    query.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: table")
    return parser


def _add_study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="STUDY", help="name or YAML file")
    parser.add_argument("--preset", default="", help="preset of the study, e.g. laptop or paper")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="A.B=C",
        help="override a key, an axis or the seeds; may be repeated",
    )  # fmt: skip


def _add_storage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage",
        default="runs",
        metavar="DIR",
        help="where sweeps go: a folder, or an address such as s3://BUCKET/FOLDER (default: runs)",
    )


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", metavar="DIR", help="where data sets are (default: $TUNE_AT_DATA, or the cache)")


def _add_launch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--address",
        default="",
        metavar="HOST:PORT",
        help="join the Ray cluster of that address, or auto: the one this machine is a node of"
        " (default: a fresh Ray on this machine)",
    )
    _add_data_dir(parser)
    parser.add_argument(
        "--ship-data",
        action="store_true",
        help="send CIFAR and SVHN to the workers through Ray: they need no files of them",
    )
    parser.add_argument("--fail-fast", action="store_true", help="stop the sweep at the first failed trial")
    parser.add_argument(
        "--concurrency",
        type=_at_least_one,
        default=0,
        metavar="N",
        help="at most N trials at a time (default: as many as fit)",
    )


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", metavar="DIR/NAME", help="folder or address of the sweep")


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 a trial failed, 2 a user's mistake, 130 interrupted."""
    try:
        arguments = build_parser().parse_args(argv)
        # Workers run elsewhere than here: the path must not depend on where they do.
        if folder := getattr(arguments, "data_dir", None) or os.environ.get("TUNE_AT_DATA"):
            os.environ["TUNE_AT_DATA"] = str(Path(folder).expanduser().resolve())
        code = arguments.run(arguments)
    except UserError as error:
        print(f"tune-at: error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("tune-at: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        sys.stderr.close()
        code = 141
    sys.exit(code)
