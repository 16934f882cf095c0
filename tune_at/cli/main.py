"""The command line: `python run.py COMMAND`, also installed as `tune-at`.

Only what a command needs is imported, and when it runs: the help, `list`, `show` and `--dry-run` load neither torch
nor Ray.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tune_at.errors import UserError, suggestion
from tune_at.tuning import interruption
from tune_at.version import __version__

CLOSED = 141
"""Exit code where nobody reads the output any more; a shell's own for a program that SIGPIPE has ended."""

EXIT_CODES = """\
Exit codes: 0 done; 1 a trial failed, or the sweep stopped before its end for a reason that is printed (`doctor`: no run
could work); 2 a mistake of the user's, or storage that fails (one line with the remedy); 130 interrupted by Ctrl-C or
SIGTERM (one line that says how to go on); 141 whoever reads the output, such as head, has seen enough.
"""

EPILOG = f"""\
{EXIT_CODES}
A study is the name of a shipped one (`list studies`) or the path of a YAML file. Storage that fails is tried again for
TUNE_AT_STORAGE_PATIENCE seconds (default: 60); docs/storage.md says how addresses and credentials work.
"""


class OneLineParser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line, like every other mistake of a user's."""

    def error(self, message: str) -> NoReturn:
        """Raise what `main` prints."""
        where = self.prog.removeprefix("tune-at").strip() or "command"
        unknown = re.match(r"argument COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if unknown:
            known = [name.strip("' ") for name in unknown[2].split(",")]
            raise UserError(where, f"{unknown[1]!r} is unknown", suggestion(unknown[1], known))
        raise UserError(where, message, f"see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    from tune_at.cli.commands import commands

    parser = OneLineParser(
        prog="tune-at", description="Sweeps of adversarial training with Ray Tune.", epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tune-at {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    for command in commands():
        sub = subparsers.add_parser(command.name, help=command.summary, description=command.summary, allow_abbrev=False)
        command.add_options(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with one of `EXIT_CODES`."""
    with interruption.interruptible(program=argv is None):
        code = _run(argv)
    sys.exit(code)


def _run(argv: Sequence[str] | None) -> int:
    try:
        code = _answer(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        # What is left in the buffer would fail once more at the interpreter's end, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    return code


def _answer(argv: Sequence[str] | None) -> int:
    try:
        arguments = build_parser().parse_args(argv)
        # Workers run elsewhere than here: the path must not depend on where they do.
        if folder := getattr(arguments, "data_dir", None) or os.environ.get("TUNE_AT_DATA"):
            os.environ["TUNE_AT_DATA"] = str(Path(folder).expanduser().resolve())
        return int(arguments.run(arguments))
    except UserError as error:
        print(f"tune-at: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        interruption.end()
        print(f"tune-at: {interruption.last_words()}", file=sys.stderr)
        return interruption.CODE
    except SystemExit as ended:  # by --help with 0; by rich with 1 where nobody reads
        return CLOSED if ended.code else 0
