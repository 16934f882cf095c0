"""What `evaluate` and `probe` share: the checkpoints that are asked for, the tasks on them, and the command again."""

import itertools
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tune_at.cli.terminal import console
from tune_at.errors import UserError, joined
from tune_at.tuning.interruption import uninterrupted
from tune_at.tuning.launch import Launch
from tune_at.wording import counted, program, shell, trial_label

if TYPE_CHECKING:
    from tune_at.recording.evaluation_plan import Target
    from tune_at.store.snapshot import Snapshot
    from tune_at.study.sweep import Sweep
    from tune_at.study.trials import Trial


class Piece(NamedTuple):
    """Work for one task: its name, the trial that it is on, and what its function is called with."""

    name: str
    trial: "Trial"
    arguments: Mapping[str, Any]


def say(line: str) -> None:
    """Print a line as it is."""
    console().print(line, markup=False, soft_wrap=True)


def find_targets(
    sweep: "Sweep",
    results: "Snapshot",
    words: Sequence[str],
    checkpoints: Iterable[str],
    check: Callable[["Trial"], None] = lambda trial: None,
) -> "list[Target]":
    """The checkpoints of the trials that are asked for; a line for each that is passed over.

    `check` raises `UserError` for a trial that cannot be measured. One that was named, or the last, is refused.
    """
    from tune_at.cli.chosen import choose
    from tune_at.recording.evaluation_plan import find_target

    trials, lines, named = choose(sweep, results, words)
    best = {row["trial"]: row["best_epoch"] for row in results.arrow("trials").to_pylist()}
    targets, refused = [], []
    for trial, asked in itertools.product(trials, dict.fromkeys(checkpoints)):
        try:
            check(trial)
            targets.append(find_target(sweep.folder, trial, asked, best.get(trial.name)))
        except UserError as error:
            if trial.name in named:
                raise
            refused.append(error)
            lines.append(f"passed over: {trial_label(trial.name)}: {error.problem}; {error.remedy}")
    if not targets:
        raise refused[0]
    for line in dict.fromkeys(lines):
        say(line)
    return targets


def run_pieces(
    sweep: "Sweep", pieces: Sequence[Piece], function: str, what: str, launch: Launch, again: str, tables: Sequence[str]
) -> dict[str, str]:
    """Run the pieces as tasks and fold the tables that they write; the error of each that has failed.

    Raises `UserError` for what is not there, before Ray starts.
    """
    from tune_at.recording.evaluation_plan import fold_tables

    with uninterrupted():  # what is half imported cannot be imported again
        from tune_at.tuning.packing import whole_needs
        from tune_at.tuning.requirements import missing
        from tune_at.tuning.tasks import Task, run_tasks
    trials = list({piece.trial.name: piece.trial for piece in pieces}.values())
    if problems := missing(trials, sweep.study.data, launch.address):
        raise joined(problems, f"{sweep.name}: this {what} cannot be done here")
    tasks = [Task(piece.name, function, piece.arguments, *whole_needs([piece.trial])) for piece in pieces]
    sections = [trial.config.data for trial in trials]
    errors = run_tasks(tasks, sweep.folder, launch, console(), what, again, sections)
    fold_tables(sweep.folder, tables)
    if errors:
        say(f"{len(errors)} of {counted(len(tasks), what)} failed; try again with: {again}")
    return errors


def again_command(
    command: str, arguments: Namespace, repeated: Mapping[str, Sequence[str] | None], single: Mapping[str, object]
) -> str:
    """The same command, ready to be pasted.

    Args:
        command: its name.
        arguments: as parsed.
        repeated: options that may stand several times, with their values.
        single: further options by name; one whose value is empty is left out.
    """
    words: list[object] = [*program(), command, arguments.sweep]
    for option, values in repeated.items():
        for value in values or ():
            words += [option, value]
    launch = {
        "--address": arguments.address, "--concurrency": arguments.concurrency, "--data-dir": arguments.data_dir,
    }  # fmt: skip
    for option, one in {**single, **launch}.items():
        words += [option, one] if one else []
    if arguments.ship_data is not None:
        words.append("--ship-data" if arguments.ship_data else "--no-ship-data")
    if arguments.trials != ["all"]:
        words += ["--trials", *arguments.trials]
    return shell(*words)
