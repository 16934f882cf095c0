"""`import SOURCE --into DIR/NAME`: learning curves from elsewhere as a sweep."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from tune_at.cli.command import Command
from tune_at.cli.terminal import width
from tune_at.errors import UserError
from tune_at.wording import counted, program, shell

if TYPE_CHECKING:
    from tune_at.exchange.imported_sweep import Imported

LOOK = "look at it  "
"""Before the command that shows what was made."""

KINDS = ("csv", "parquet", "jsonl", "ray", "tensorboard", "wandb")
SHORTER = ("completed", "stopped", "failed")
"""As in `tune_at.exchange`, which is not needed for the help."""


def add_options(parser: ArgumentParser) -> None:
    """The source, the sweep, and what is to be known of the columns."""
    parser.add_argument("source", metavar="SOURCE", help="a file, or a folder of files, Ray's results or event files")
    parser.add_argument("--into", required=True, metavar="DIR/NAME", help="the sweep's folder that is made of it")
    parser.add_argument(
        "--from", dest="kind", choices=KINDS, default="", help="what SOURCE is (default: what its names say)"
    )
    parser.add_argument(
        "--map", nargs="+", action="extend", default=[], metavar="THEIRS=OURS",
        help="what a column is: trial, epoch, seed, status, test_robust_accuracy and the like, or a key such as"
        " optim.lr; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--config-columns", nargs="+", action="extend", default=[], metavar="COLUMN",
        help="columns that tell trials apart, and are no keys of ours",
    )  # fmt: skip
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="A.B=C",
        help="what is known of all trials, such as objective=trades or attack.eps=8/255; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--percent", nargs="*", metavar="COLUMN", help="accuracies are in [0, 100]: all, or these columns"
    )
    parser.add_argument(
        "--fractions", nargs="*", metavar="COLUMN", help="accuracies are in [0, 1]: all, or these columns"
    )
    parser.add_argument("--epochs-from", type=int, choices=(0, 1), help="what the first epoch is called")
    parser.add_argument("--shorter", choices=SHORTER, default="", help="how trials ended that end before the longest")
    parser.add_argument(
        "--selection", choices=("validation", "test"), default="",
        help="the split that judges (default: validation, where it was measured)",
    )  # fmt: skip
    parser.add_argument("--title", default="", help="one line for the report")


def run(arguments: Namespace) -> int:
    """`import SOURCE --into DIR/NAME`."""
    from tune_at.exchange.asked import Asked
    from tune_at.exchange.imported_sweep import import_curves
    from tune_at.study.file import parse_overrides

    asked = Asked(
        parse_map(arguments.map), tuple(arguments.config_columns), parse_overrides(arguments.overrides),
        arguments.percent, arguments.fractions, arguments.epochs_from, arguments.shorter, arguments.selection,
    )  # fmt: skip
    made = import_curves(
        arguments.source, arguments.into, asked, arguments.kind, arguments.title, words_of(arguments)
    )  # fmt: skip
    wide = width()
    for line in told(made, arguments.source, arguments.into):
        if wide and not line.startswith(LOOK):  # a command has to be whole, and so is each line in a file or a pipe
            line = fill(line, wide, subsequent_indent=" " * len(LOOK), break_on_hyphens=False)
        print(line)
    return 0


def parse_map(pairs: Sequence[str]) -> dict[str, str]:
    """`["acc=test_robust_accuracy", …]` as a mapping. Theirs may have `=` in it. Raises `UserError`."""
    mapped: dict[str, str] = {}
    for pair in pairs:
        theirs, equals, ours = pair.rpartition("=")
        if not equals or not theirs or not ours:
            raise UserError("--map", f"{pair!r} is not an assignment", "write --map acc=test_robust_accuracy")
        if theirs in mapped:
            raise UserError("--map", f"{theirs!r} stands twice", "map it once")
        mapped[theirs] = ours
    return mapped


def words_of(arguments: Namespace) -> list[str]:
    """The options as they are typed again, for another folder."""
    words: list[str] = []
    for option, value in (
        ("--from", arguments.kind), ("--map", arguments.map), ("--config-columns", arguments.config_columns),
        ("--percent", arguments.percent), ("--fractions", arguments.fractions),
        ("--epochs-from", None if arguments.epochs_from is None else str(arguments.epochs_from)),
        ("--shorter", arguments.shorter), ("--selection", arguments.selection), ("--title", arguments.title),
    ):  # fmt: skip
        if value or (value == [] and option in ("--percent", "--fractions")):
            words += [option, *([value] if isinstance(value, str) else value)]
    return words + [word for pair in arguments.overrides for word in ("--set", pair)]


def told(made: "Imported", source: str, into: str) -> list[str]:
    """What has been made, and what became of each column."""
    curves = made.curves
    renamed = [f"{theirs} → {ours}" for ours, theirs in curves.roles.known.items()]
    names = {name: theirs for name, theirs in curves.roles.kept.items() if name in curves.epochs}
    kept = [theirs if theirs == name else f"{theirs} as {name}" for name, theirs in names.items()]
    epochs = counted(made.epochs, "epoch")
    lines = [
        f"{shell(into)}: {counted(made.sweep.study.size, 'trial')}, {epochs}, of {shell(source)}",
        f"columns     {', '.join(renamed)}",
    ]
    lines += [f"kept        {', '.join(kept)}"] if kept else []
    lines += [f"judged      on {made.sweep.study.selection} data"]
    lines += [f"note        {note}" for note in made.notes]
    return [*lines, LOOK + shell(*program(), "report", into)]


COMMAND = Command("import", "learning curves from elsewhere as a sweep, for report, query and replay", add_options, run)
