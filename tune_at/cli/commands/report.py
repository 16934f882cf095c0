"""`report DIR/NAME …`: a page, figures and tables."""

import functools
import sys
import time
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from tune_at.cli.command import Command
from tune_at.cli.terminal import as_typed
from tune_at.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.page import SweepContent
    from tune_at.store.place import Place
    from tune_at.study.sweep import Sweep

EVERY = 30
"""Seconds between two pages of a sweep that is watched."""


def add_options(parser: ArgumentParser) -> None:
    """The sweeps, and what is made of them."""
    parser.add_argument("sweeps", nargs="+", metavar="DIR/NAME", help="sweeps; several stand side by side in one page")
    parser.add_argument("--to", metavar="FILE", help="where the page goes (default: DIR/NAME/report/index.html)")
    parser.add_argument("--watch", action="store_true", help=f"write the page again every {EVERY} s while a sweep runs")
    parser.add_argument(
        "--figures", "--figure", nargs="+", default=(), metavar="FIGURE",
        help="files of these figures alone, whatever the study names: `list figures`; all: each that can be drawn",
    )  # fmt: skip
    parser.add_argument(
        "--by", metavar="KEY", help="the key against which the figures of a gap are drawn, as attack.eps"
    )
    parser.add_argument("--format", nargs="+", metavar="KIND", help="png (default), svg or pdf")
    parser.add_argument("--table", metavar="TABLE", help="print a table of the paper: 1, 1a, 1b, 1c, 2, A.1 or C.1")
    parser.add_argument("--as", dest="form", metavar="FORM", help="as markdown (default), latex, html, csv, text")


def run(arguments: Namespace) -> int:
    """`report DIR/NAME …`."""
    from analysis.report import write_files
    from tune_at.study.sweep import Sweep

    _require_one_thing(arguments)
    existing = [Sweep.open(sweep) for sweep in arguments.sweeps]
    tell = functools.partial(print, file=sys.stderr)
    if arguments.table:
        return _tables(existing, arguments.table, arguments.form or "markdown")
    formats = arguments.format or ("png",)
    options = {"by": arguments.by} if arguments.by else {}
    if arguments.figures or options:
        for sweep in existing:
            for path in _files(sweep, _chosen(arguments.figures), tell, formats, options):
                print(as_typed(path))
        return 0
    page, contents = _page(existing, arguments.to, arguments.watch, tell)
    print(as_typed(page))
    for sweep, content in zip(existing, contents, strict=True):
        for figure in content.figures:
            if figure.made and figure.name in sweep.study.figures and not arguments.to:
                for path in write_files(sweep.folder, figure.name, *figure.made, formats):
                    print(as_typed(path))
    return 0


def _chosen(figures: "Sequence[str]") -> "Sequence[str]":
    """The names of figures as they were given: `all` is every one, and none the gap against a key."""
    from analysis.figures import FIGURES

    return list(FIGURES) if "all" in figures else figures or ["gap_by_key"]


def _require_one_thing(arguments: Namespace) -> None:
    """Raise `UserError` for an option of something else than what is asked for, or for a format that is none."""
    from analysis.report import require_formats

    require_formats(arguments.format or ())
    figures = bool(arguments.figures or arguments.by)
    made = "--table" if arguments.table else "--figures" if arguments.figures else "--by" if figures else ""
    for option, given, suits in (
        ("--to", arguments.to, not made), ("--watch", arguments.watch, not made),
        ("--as", arguments.form, arguments.table), ("--figures", arguments.figures, not arguments.table),
        ("--by", arguments.by, not arguments.table), ("--format", arguments.format, not arguments.table),
    ):  # fmt: skip
        if given and not suits:
            problem = f"has no effect with {made}" if made else "is of a table alone"
            places = {
                "--to": "leave it out: figures go to DIR/NAME/report, a table is printed",
                "--as": "name one, as --table 1",
            }
            raise UserError(option, problem, places.get(option, f"leave out one of {option} and {made}"))


def _page(
    sweeps: "list[Sweep]", to: str | None, watch: bool, tell: "Callable[[str], None]"
) -> "tuple[Place, list[SweepContent]]":
    """Write the page, again and again while one of the sweeps runs if it is watched; what is missing is said once."""
    from analysis.page import collect, render_page
    from analysis.report import page_place
    from tune_at.store.lock import is_locked

    target = page_place([sweep.folder for sweep in sweeps], to)
    said: set[str] = set()
    while True:
        running = watch and any(is_locked(sweep.folder) for sweep in sweeps)
        contents = [collect(sweep.folder.place) for sweep in sweeps]
        target.write_whole(render_page(contents, EVERY if running else None).encode())
        for line in [line for content in contents for line in content.missing if line not in said]:
            said.add(line)
            tell(line)
        if not running:
            return target, contents
        print(as_typed(target), flush=True)
        time.sleep(EVERY)


def _files(
    sweep: "Sweep", figures: "Sequence[str]", tell: "Callable[[str], None]", formats: "Sequence[str]",
    options: dict[str, str],
) -> "list[Place]":  # fmt: skip
    from analysis.report import write_report

    return write_report(sweep.folder, figures, tell, formats, **options)


def _tables(sweeps: "list[Sweep]", table: str, form: str) -> int:
    from analysis.frames import load_frames
    from analysis.tables import draw_table, prepare_table

    for sweep in sweeps:
        if len(sweeps) > 1:
            print(f"{sweep.name}:")
        print(draw_table(prepare_table(load_frames(sweep.folder, weights_alone=True), table), form))
    return 0


COMMAND = Command("report", "one page about sweeps: finding, figures, tables, trials; also as files", add_options, run)
