"""`query DIR/NAME SQL`, or of all sweeps in DIR."""

from argparse import ArgumentParser, Namespace

from tune_at.cli.command import Command
from tune_at.cli.options import add_sweep


def add_options(parser: ArgumentParser) -> None:
    """DIR/NAME, SQL and `--format`."""
    add_sweep(parser, "a sweep, or a folder of sweeps: the tables then have a column `sweep`")
    parser.add_argument(
        "sql",
        metavar="SQL",
        help="one statement over the tables trials, epochs, decisions, evaluations, samples and probes",
    )
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: table")


def run(arguments: Namespace) -> int:
    """`query DIR/NAME SQL`."""
    from tune_at.cli.output import print_query

    print_query(arguments.sweep, arguments.sql, arguments.format)
    return 0


COMMAND = Command("query", "run SQL over a sweep's tables (DuckDB)", add_options, run)
