"""`demo`: the study `random_labels`, preset `laptop`, then its figure."""

import itertools
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from tune_at.cli.command import Command
from tune_at.cli.options import add_storage
from tune_at.cli.outcome import finish, run_to_end
from tune_at.cli.terminal import as_typed
from tune_at.errors import UserError
from tune_at.study.study import Study
from tune_at.tuning.launch import Launch

if TYPE_CHECKING:
    from tune_at.study.sweep import Sweep


def add_options(parser: ArgumentParser) -> None:
    """`--storage`."""
    add_storage(parser)


def run(arguments: Namespace) -> int:
    """`demo`: the study `random_labels`, preset `laptop`, then its figure."""
    from analysis.report import write_report

    study = Study.resolve("random_labels", "laptop")
    existing, planned = _demo_sweep(study, arguments.storage)
    if existing and not planned.left():
        folder = as_typed(planned.folder.place)
        print(f"{folder} is complete: nothing is left to run; to train again, remove it or name another --storage")
        code = finish(planned, Launch())
    else:
        if existing:
            print(f"continuing {as_typed(planned.folder.place)}")
        code = run_to_end(planned, Launch())
    if code == 0:
        for path in write_report(planned.folder, study.figures):
            print(f"{'figure' if path.suffix == '.png' else 'numbers':11} {as_typed(path)}")
    return code


def _demo_sweep(study: Study, storage: str) -> "tuple[bool, Sweep]":
    """The first demo of today's study that nobody runs, finished or not, or a new one under the next free name; and
    whether it is there already.
    """
    from tune_at.store.lock import is_locked
    from tune_at.store.place import to_place
    from tune_at.study.sweep import Sweep

    for number in itertools.count(1):
        name = "demo" if number == 1 else f"demo-{number}"
        folder = to_place(storage) / name
        if not folder.exists():
            break
        try:
            existing = Sweep.open(str(folder))
        except UserError:
            continue  # something else of that name
        if existing.study == study and not is_locked(folder):
            return True, existing
    return False, Sweep.plan(study, storage, name)


COMMAND = Command("demo", "run the paper's first figure on this machine, in minutes", add_options, run)
