"""`doctor`: what a run would have here."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tune_at.cli.command import Command
from tune_at.cli.options import add_address, add_data_dir, add_storage
from tune_at.cli.terminal import console

if TYPE_CHECKING:
    from rich.table import Table

    from tune_at.tuning.doctor import Check

MARKS = {"ok": "green", "note": "yellow", "FAILED": "bold red"}
NAMES = 16
"""Columns of what was looked at, the same under each heading."""


def add_options(parser: ArgumentParser) -> None:
    """`--address`, `--storage`, `--data-dir`."""
    add_address(parser)
    add_storage(parser)
    add_data_dir(parser)


def run(arguments: Namespace) -> int:
    """`doctor`."""
    from tune_at.store.place import to_place
    from tune_at.tuning.cluster.address import parse_address
    from tune_at.tuning.doctor import State, sections

    if arguments.address not in ("", "auto"):
        parse_address(arguments.address, f"--address {arguments.address}")
    storage = to_place(arguments.storage)
    terminal = console(wide=True)
    counts = dict.fromkeys(State, 0)
    for heading, look in sections(arguments.address, storage).items():
        checks = list(look())
        for check in checks:
            counts[check.state] += 1
        terminal.print(heading, style="bold")
        terminal.print(table_of(checks))
    failed = counts[State.FAILED]
    if failed:
        verdict = "No run could work until what FAILED is mended."
    elif counts[State.NOTE]:
        verdict = "A run can work; what is noted above some runs lack."
    else:
        verdict = "A run can work."
    terminal.print(verdict)
    return 1 if failed else 0


def table_of(checks: Iterable["Check"]) -> "Table":
    """A line a check, its remedy below what is wrong; as wide as the terminal, or as it takes."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(min_width=6, no_wrap=True)
    table.add_column(min_width=NAMES, no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        says = f"{check.says}; {check.remedy}" if check.remedy else check.says
        table.add_row(Text(str(check.state), style=MARKS[check.state]), Text(check.what), Text(says))
    return table


COMMAND = Command("doctor", "what a run would have here, and what to do about what it lacks", add_options, run)
