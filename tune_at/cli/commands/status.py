"""`status DIR/NAME`: where a sweep stands, running or not."""

import argparse
import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from tune_at.cli.command import Command
from tune_at.cli.options import add_sweep
from tune_at.cli.storage_list import print_storage
from tune_at.cli.terminal import as_typed, console, width
from tune_at.errors import UserError
from tune_at.tuning.launch import resume_command
from tune_at.wording import counted, duration

if TYPE_CHECKING:
    from tune_at.cli.standing import Standing

EVERY = 5.0
"""Seconds between two looks of `--watch`, unless it says otherwise."""
STOPPED = 10
"""Stopped trials that are told of; `query` has them all."""
CODES = """\
Exit codes: 0 told; with --watch 1 if a trial has failed or the sweep stopped before its end; 2 a mistake, or storage
that cannot be read; 130 left with Ctrl-C.
"""


def add_options(parser: ArgumentParser) -> None:
    """DIR/NAME, `--watch` and `--json`."""
    add_sweep(parser, "a sweep, or a folder of sweeps: then a line each")
    parser.add_argument(
        "--watch", nargs="?", type=_seconds, const=EVERY, metavar="SECONDS",
        help=f"show it again every SECONDS (default: {EVERY:.0f}) until the sweep ends; Ctrl-C leaves",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object for scripts: docs/reference/status.md")
    parser.epilog = CODES


def run(arguments: Namespace) -> int:
    """`status DIR/NAME`."""
    from tune_at.cli.standing import Standing, State
    from tune_at.store.storage import sweeps_in
    from tune_at.study.sweep import Sweep

    if arguments.json and arguments.watch:
        raise UserError("--watch", "shows a view, --json prints one object", "leave out one of --watch and --json")
    if several := sweeps_in(arguments.sweep):
        if arguments.watch:
            problem = f"follows one sweep, and {arguments.sweep} is a folder of {counted(len(several), 'sweep')}"
            raise UserError("--watch", problem, "name one of them, as DIR/NAME")
        return print_storage(several, arguments.json)
    sweep = Sweep.open(arguments.sweep)
    if arguments.json:
        from tune_at.cli.standing_json import as_json

        print(json.dumps(as_json(Standing.of(sweep)), allow_nan=False))
        return 0
    if not arguments.watch:
        _print(Standing.of(sweep))
        return 0
    from tune_at.cli.following import follow

    try:
        standing = follow(sweep, arguments.watch, console())
    except KeyboardInterrupt:
        return 130
    _print(standing)
    failed = any(row["status"] == "failed" for row in standing.rows.values())
    return int(failed or standing.state is not State.FINISHED)


def _print(standing: "Standing") -> None:
    from rich.text import Text

    from analysis.overview import status_line
    from analysis.ranking import rank
    from analysis.summary import summary
    from tune_at.cli.results import at_rest, results_tables
    from tune_at.tuning.live_tables import stopped_table

    sweep, results, columns = standing.sweep, standing.results, width()
    trials, epochs, decisions = results.frame("trials"), standing.telling, results.frame("decisions")
    trials = trials if standing.running else at_rest(trials)
    ranking = rank(trials, epochs, len(sweep.study.seeds), within=sweep.study.scheduler.compared_within)
    print(f"{sweep.study.title}: {status_line(trials, sweep.size(results), standing.running)}")
    wide = console(wide=True)
    known = standing.trials.values()
    wide.print(results_tables(sweep.study, trials, epochs, decisions, known, columns, ranking))
    if stops := standing.stops:
        wide.print(stopped_table(stops, len(stops), standing.metric, columns or wide.width, STOPPED))
    picture = as_typed(sweep.folder.report / "pareto_front.png")
    for line in summary(sweep.study, trials, epochs, decisions, picture, ranking):
        print(line)
    for name, row in standing.rows.items():
        if row["status"] == "failed":
            print(f"failed: {name}: {row['error']}\n  full log: {as_typed(sweep.folder.log(name))}")
    for line in _last_lines(standing):
        wide.print(Text(line), soft_wrap=True)


def _last_lines(standing: "Standing") -> list[str]:
    """What its driver does, or how it ended, and how to go on."""
    from tune_at.cli.standing import State, moment

    driver, state = standing.driver, standing.state
    who = f"process {driver.pid} on {driver.host}" if driver else ""
    if state is State.RUNNING:
        page = standing.page()
        since = f" for {duration(page.elapsed)}" if page.elapsed is not None else ""
        by = f", by {who}" if who else ""
        return [*page.machines, f"running{since or ' now'}{by}; {page.left}"]
    if state is State.FINISHED:
        took = standing.elapsed
        if driver is None or took is None or not driver.ended:
            return []
        return [f"ended {moment(driver.ended):%Y-%m-%d %H:%M} UTC, {duration(took)} after its last start"]
    if state is State.DIED and driver:
        ago = f"last heard of {moment(driver.heard):%Y-%m-%d %H:%M:%S} UTC"
        why = f"its driver died, {who}, {ago}"
    else:
        why = f"it stopped early: {driver.reason}" if state is State.FAILED and driver else ""
    return [f"not running{': ' * bool(why)}{why}; continue with: {resume_command(standing.sweep.folder)}"]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; DIR/NAME comes first")
    return seconds


COMMAND = Command("status", "where a sweep stands: trials by status, the best, time left", add_options, run)
