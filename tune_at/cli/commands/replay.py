"""`replay DIR/NAME`: what early stopping would have saved and cost, without training."""

import argparse
import io
import os
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from tune_at.cli.command import Command
from tune_at.cli.options import add_sweep, at_least_one
from tune_at.cli.terminal import as_typed
from tune_at.errors import UserError

if TYPE_CHECKING:
    from tune_at.store.layout import SweepFolder
    from tune_at.store.place import Place


def add_options(parser: ArgumentParser) -> None:
    """The sweep, what is replayed over it, and where the numbers go."""
    add_sweep(parser)
    parser.add_argument(
        "--scheduler", type=_names, default=("asha", "hyperband", "median"), metavar="NAME,…",
        help="schedulers to replay (default: asha,hyperband,median)",
    )  # fmt: skip
    parser.add_argument("--grace", type=_numbers, metavar="N,…", help="of asha and median (default: 1,3,5)")
    parser.add_argument("--eta", type=_numbers, metavar="X,…", help="of asha and hyperband (default: 2,3,4)")
    parser.add_argument("--smooth", type=_numbers, metavar="N,…", help="of all (default: 1)")
    parser.add_argument("--metric", default="", metavar="METRIC", help="judged by (default: robust_accuracy)")
    parser.add_argument(
        "--orders", type=at_least_one, default=20, metavar="N",
        help="orders in which the points start: the live one, and others at random (default: 20)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of these orders (default: 0)")
    parser.add_argument(
        "--stopped-too", action="store_true", help="take curves that were stopped early as if they ended there"
    )
    parser.add_argument(
        "--into", metavar="FILE.parquet", help="where the numbers go (default: DIR/NAME/report/replay.parquet)"
    )


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of schedulers, as asha,median")
    return names


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers above 0 with commas between them."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < float("inf") for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers above 0, as 1,3,5")
    return tuple(dict.fromkeys(numbers))


def run(arguments: Namespace) -> int:
    """`replay DIR/NAME`."""
    from analysis.figures.replay import draw_replay
    from analysis.replays import prepare_replays
    from analysis.style import render
    from tune_at.cli.replay_tables import print_replays
    from tune_at.scheduling.curves import read_recording
    from tune_at.scheduling.replay import Replays, settings
    from tune_at.study.sweep import Sweep

    sweep = Sweep.open(arguments.sweep)
    numbers, picture = _targets(arguments.into, sweep.folder)
    recording = read_recording(sweep, stopped_too=arguments.stopped_too)
    given = {key: value for key in ("grace", "eta", "smooth") if (value := getattr(arguments, key))}
    schedulers = settings(recording, arguments.scheduler, recording.find_metric(arguments.metric), given)
    replays = Replays(recording, schedulers, arguments.orders, arguments.seed)
    done = replays.run(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, _tell)
    frame = prepare_replays(replays, done, arguments.seed)
    print_replays(recording, frame)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    numbers.write_whole(buffer.getvalue())
    picture.write_whole(render(draw_replay(frame)))
    print(as_typed(numbers))
    print(as_typed(picture))
    return 0


def _targets(into: str | None, folder: "SweepFolder") -> "tuple[Place, Place]":
    """The file of the numbers and that of the figure beside it."""
    from tune_at.store.place import LocalPlace

    if into is None:
        return folder.report / "replay.parquet", folder.report / "replay.png"
    target = LocalPlace(into).expanduser().resolve()
    if target.is_dir() or not target.parent.is_dir():
        raise UserError("--into", f"{into} cannot be written", "name a file in a folder that is there")
    if target.suffix != ".parquet":
        raise UserError("--into", f"{into!r} does not end with .parquet", "name a file that does")
    return target, target.with_suffix(".png")


def _tell(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\rreplayed {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


COMMAND = Command("replay", "what early stopping would have saved and cost, over recorded curves", add_options, run)
