"""`tensorboard DIR/NAME …`: TensorBoard on sweeps, until Ctrl-C."""

import sys
import tempfile
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tune_at.cli.command import Command
from tune_at.cli.options import at_least_one
from tune_at.errors import UserError
from tune_at.wording import counted

if TYPE_CHECKING:
    from tune_at.cli.tensorboard_server import TensorBoardServer
    from tune_at.recording.logdir import Logdir, Shown
    from tune_at.study.sweep import Sweep

EVERY = 15.0
"""Seconds between two looks at sweeps that run."""

FORGOTTEN = 12.0
"""Seconds in which TensorBoard notices that a run is gone: it looks every five."""

TICKED = 40
"""Runs up to which TensorBoard's older pages draw all by themselves."""


def add_options(parser: ArgumentParser) -> None:
    """The sweeps, and where the page is."""
    parser.add_argument(
        "sweeps",
        nargs="+",
        metavar="DIR/NAME",
        help="sweeps, or a folder of such; the runs of several stand on one page",
    )
    parser.add_argument(
        "--best", type=at_least_one, metavar="N",
        help="only the N best points of each sweep by its own selection, with all their seeds, as they are at the time",
    )  # fmt: skip
    parser.add_argument("--host", default="localhost", help="where it listens (default: localhost, this machine alone)")
    parser.add_argument("--port", type=_port, help="default: the first free one from 6006 on")


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"{text!r} is no port: 1 to 65535")
    return int(text)


def run(arguments: Namespace) -> int:
    """`tensorboard DIR/NAME …`."""
    from tune_at.cli.tensorboard_server import TensorBoardServer
    from tune_at.recording.logdir import Logdir
    from tune_at.store.storage import sweeps_in
    from tune_at.study.sweep import Sweep

    places = [place for named in arguments.sweeps for place in ([*map(str, sweeps_in(named).values())] or [named])]
    sweeps = _named([Sweep.open(place) for place in dict.fromkeys(places)])
    _require_runs(sweeps)
    with tempfile.TemporaryDirectory(prefix="tune-at-tensorboard-", ignore_cleanup_errors=True) as scratch:
        logdir = Logdir(Path(scratch), {name: (sweep.folder, sweep.study) for name, sweep in sweeps.items()})
        logdir.refresh(_shown(sweeps, arguments.best))
        with TensorBoardServer(logdir.folder, arguments.host, arguments.port) as server:
            try:
                _announce(server.address, sweeps, logdir, arguments.best)
                _follow(server, logdir, sweeps, arguments.best)
            except KeyboardInterrupt:
                print("\nended")
                return 0
            raise UserError("tensorboard", f"has ended: {server.why()}", "start it again")


def _named(sweeps: "list[Sweep]") -> "dict[str, Sweep]":
    """The sweeps by their names; two of one name are told apart by the folder that they are in."""
    named: dict[str, Sweep] = {}
    for sweep in sweeps:
        name, above = sweep.name, sweep.folder.place.parent
        while name in named:
            name, above = f"{above.name or 'root'}-{name}", above.parent
        named[name] = sweep
    return named


def _require_runs(sweeps: "Mapping[str, Sweep]") -> None:
    from tune_at.recording.logdir import count_runs

    empty = [sweep for sweep in sweeps.values() if count_runs(sweep.folder) == 0]
    if len(empty) == len(sweeps):
        where = str(empty[0].folder) if len(empty) == 1 else "tensorboard"
        for sweep in empty:
            sweep.require_trained("curves of theirs are drawn by `report`")
        remedy = "wait until the first trial has started, or resume the sweep"
        raise UserError(where, "has no trial yet of which there is something to show", remedy)
    for sweep in empty:
        print(f"note: {sweep.name}: there is no trial yet of which there is something to show", file=sys.stderr)


def _announce(address: str, sweeps: "Mapping[str, Sweep]", logdir: "Logdir", best: int | None) -> None:
    from tune_at.store.remote import RemotePlace

    shown = "" if not best else "the best point of " if best == 1 else f"the {best} best points of "
    print(f"{shown}{', '.join(sweeps)}: {counted(logdir.trials, 'trial')}")
    if any(isinstance(sweep.folder.place, RemotePlace) for sweep in sweeps.values()):
        print(f"from copies of the far event files, brought again every {EVERY:.0f} s while a sweep runs")
    if logdir.trials > TICKED:
        print(f"of more than {TICKED} runs Scalars and Custom scalars draw those that are ticked; --best 10 shows few")
    print(f"TensorBoard: {address} (Ctrl-C ends it)", flush=True)


def _follow(server: "TensorBoardServer", logdir: "Logdir", sweeps: "Mapping[str, Sweep]", best: int | None) -> None:
    """Show what is new as long as one of the sweeps runs; returns only if TensorBoard ends by itself."""
    from tune_at.store.lock import is_locked

    ran = True
    while server.running:
        took = time.monotonic()
        running = any(is_locked(sweep.folder) for sweep in sweeps.values())
        if running or ran:  # once more after its end
            ended = logdir.refresh(shown := _shown(sweeps, best))
            if ended:
                _sleep(server, FORGOTTEN)
                logdir.refresh(shown)
        ran = running
        _sleep(server, max(EVERY, 10 * (time.monotonic() - took)))


def _sleep(server: "TensorBoardServer", seconds: float) -> None:
    until = time.monotonic() + seconds
    while server.running and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.5, left))


def _shown(sweeps: "Mapping[str, Sweep]", best: int | None) -> "dict[str, Shown]":
    """What is shown of each sweep, as its tables are now."""
    from analysis.ranking import rank
    from tune_at.recording.logdir import Shown
    from tune_at.recording.run_folders import trial_number
    from tune_at.store.snapshot import read_snapshot
    from tune_at.study.points import in_turn

    shown = {}
    for name, sweep in sweeps.items():
        tables = read_snapshot(sweep.folder, ("trials", "epochs") if best else ("trials",))
        statuses = {trial_number(trial): str(status) for trial, status in sweep.statuses(tables).items()}
        chosen = None
        if best:
            within = sweep.study.scheduler.compared_within
            ranking = rank(tables.frame("trials"), tables.frame("epochs"), len(sweep.study.seeds), within=within)
            points = in_turn(ranking)
            measured = [point for point in points if point.measured][:best]
            chosen = {trial_number(str(row["trial"])) for point in measured for row in point.trials}
        shown[name] = Shown(statuses, chosen)
    return shown


COMMAND = Command("tensorboard", "TensorBoard on sweeps: curves, hyperparameters, decisions", add_options, run)
