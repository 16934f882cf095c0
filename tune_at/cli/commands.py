"""What each command does. Heavy imports stand inside the functions that need them."""

import itertools
import shlex
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from tune_at.errors import UserError, suggestion
from tune_at.registry import Registry
from tune_at.study.file import SHIPPED, parse_overrides, read_study
from tune_at.study.study import Study
from tune_at.tuning.launch import Launch
from tune_at.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from tune_at.store.place import Place
    from tune_at.study.sweep import Sweep


def console() -> "Console":
    """Where results are printed."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=120)


def registries() -> dict[str, Registry]:
    """Everything that `list` knows, by its plural."""
    from analysis.figures import FIGURES
    from tune_at.config.attack import ATTACKS
    from tune_at.config.scheduler import SCHEDULERS
    from tune_at.config.search import SEARCHERS
    from tune_at.config.trial import NAMED_SECTIONS

    return {
        "objectives": NAMED_SECTIONS["objective"],
        "attacks": ATTACKS,
        "models": NAMED_SECTIONS["model"],
        "datasets": NAMED_SECTIONS["data"],
        "optimisers": NAMED_SECTIONS["optim"],
        "schedules": NAMED_SECTIONS["optim.schedule"],
        "schedulers": SCHEDULERS,
        "searchers": SEARCHERS,
        "figures": FIGURES,
    }


def list_(arguments: Namespace) -> int:
    """`list [KIND]`."""
    from rich.table import Table

    known = registries()
    kinds = [arguments.kind] if arguments.kind else ["studies", *known]
    if arguments.kind not in (None, "studies", *known):
        raise UserError("list", f"{arguments.kind!r} is unknown", suggestion(arguments.kind, ["studies", *known]))
    for kind in kinds:
        table = Table(title=kind, title_justify="left", title_style="bold", box=None, padding=(0, 1))
        for column in ("name", "source", "summary"):
            table.add_column(column, no_wrap=column == "name")
        if kind == "studies":
            for path in sorted(SHIPPED.glob("*.yaml")):
                study = read_study(path)
                table.add_row(path.stem, study.paper, f"{study.title} [dim](presets: {', '.join(study.presets)})[/]")
        else:
            for entry in known[kind].values():
                table.add_row(entry.name, entry.source, entry.summary)
        console().print(table)
    return 0


def _resolve(arguments: Namespace) -> Study:
    from analysis.figures import FIGURES

    study = Study.resolve(arguments.study, arguments.preset, parse_overrides(arguments.overrides))
    for figure in study.figures:
        if figure not in FIGURES:
            raise UserError(f"{study.name}.yaml: figures", f"{figure!r} is unknown", suggestion(figure, FIGURES))
    return study


def show(arguments: Namespace) -> int:
    """`show STUDY`."""
    study = _resolve(arguments)
    print(f"# {counted(study.size, 'trial')}\n{study.as_yaml().partition(chr(10))[2]}", end="")
    return 0


def sweep(arguments: Namespace) -> int:
    """`sweep STUDY`."""
    from tune_at.study.sweep import Sweep
    from tune_at.study.warnings import warnings_of

    launch = Launch.of(arguments)
    study = _resolve(arguments)
    study.trials()  # each drawn point, too, is checked before the folder is
    name = arguments.name or "-".join(filter(None, (study.name, study.preset, time.strftime("%Y%m%d-%H%M%S"))))
    planned = Sweep.plan(study, arguments.storage, name)
    for warning in warnings_of(study):
        console().print(warning, markup=False, soft_wrap=True)
    if arguments.dry_run:
        from tune_at.cli.dry_run import dry_run

        dry_run(planned, arguments.concurrency)
        return 0
    return _run(planned, launch)


def resume(arguments: Namespace) -> int:
    """`resume DIR/NAME`."""
    from tune_at.study.sweep import Sweep

    launch = Launch.of(arguments)
    existing = Sweep.open(arguments.sweep)
    if arguments.trials:
        existing = existing.extended(arguments.trials)
    if not arguments.as_recorded:
        existing.require_unchanged()
    if not existing.left(existing.damaged()):
        console().print(f"{existing.folder} is complete: nothing is left to run")
        return _finish(existing)
    return _run(existing, launch)


def _run(planned: "Sweep", launch: Launch) -> int:
    from tune_at.tuning.runner import run_sweep

    return _finish(planned, run_sweep(planned, launch, console()), shown=True)


def _finish(ended: "Sweep", stopped: str = "", shown: bool = False) -> int:
    """Print the results; exit code 130 if trials are left, 1 if one failed.

    `stopped`: why the sweep stopped before its end, if not by the user. `shown`: whether failures were shown already.
    """
    from analysis.ranking import summary
    from tune_at.cli.results import at_rest, results_tables
    from tune_at.store import read_table

    trials, epochs, decisions = (read_table(ended.folder, table) for table in ("trials", "epochs", "decisions"))
    trials = at_rest(trials)
    console().print(results_tables(trials, epochs, decisions))
    picture = _shown(ended.folder.report / "pareto_front.png")
    for line in summary(ended.study, trials, epochs, decisions, picture):
        print(line)
    print(f"store       {_shown(ended.folder.store)}")
    print(f"tensorboard --logdir {_shown(ended.folder.events(), query=False)}")
    left = ended.unfinished()
    count, total = ended.left(), ended.study.size
    failed = trials[trials["status"] == "failed"]
    for row in [] if shown else failed.to_dict("records"):
        log = _shown(ended.folder.log(row["trial"]))
        print(f"failed: {row['trial']}: {row['error']}\n  full log: {log}")
    given_up = {name for name, status in ended.statuses().items() if status in ("failed", "diverged")}
    waiting = [trial for trial in left if given_up & set(trial.teachers.values())]
    if len(failed):
        retry = f"python run.py resume {_shown(ended.folder.place)}"
        print(f"{len(failed)} of {counted(total, 'trial')} failed; try them again with: {retry}")
    if stopped:
        print(f"stopped early: {stopped}")
    if count > len(failed) + len(waiting):
        again = f"python run.py resume {_shown(ended.folder.place)}"
        print(f"{count} of {counted(total, 'trial')} left; continue with: {again}")
        return 1 if stopped else 130
    if ended.study.figures:
        print(f"figures     python run.py report {_shown(ended.folder.place)}")
    return 1 if len(failed) or stopped else 0


def data(arguments: Namespace) -> int:
    """`data fetch NAME`, `data list`."""
    from tune_at.config.data import DATASETS, Vision

    names = [name for name, entry in DATASETS.items() if issubclass(entry.config, Vision)]
    if arguments.action == "fetch":
        if arguments.name not in names:
            raise UserError(
                "data fetch", f"{arguments.name!r} is none to fetch", suggestion(arguments.name or "", names)
            )
        from tune_at.data.vision import fetch

        print(f"{arguments.name} is in {fetch(arguments.name)}")
        return 0
    from tune_at.data.vision import data_folder, whereabouts

    print(f"looking in {data_folder()}")
    for name in names:
        print(f"  {name:10} {whereabouts(name)}")
    return 0


def status(arguments: Namespace) -> int:
    """`status DIR/NAME`."""
    from tune_at.cli.results import at_rest, results_tables
    from tune_at.store import read_table
    from tune_at.store.lock import is_locked
    from tune_at.study.sweep import Sweep

    existing = Sweep.open(arguments.sweep)
    trials, epochs, decisions = (read_table(existing.folder, table) for table in ("trials", "epochs", "decisions"))
    total = existing.study.size
    running = is_locked(existing.folder)
    if not running:
        trials = at_rest(trials)
    numbers = trials["status"].value_counts().to_dict()
    numbers["pending"] = numbers.get("pending", 0) + total - len(trials)
    words = ", ".join(f"{count} {name}" for name, count in sorted(numbers.items()) if count)
    console().print(f"{existing.study.title}: {counted(total, 'trial')}: {words}", markup=False)
    console().print(results_tables(trials, epochs, decisions))
    if running:
        print("running now")
    elif existing.left():
        print(f"not running; continue with: python run.py resume {_shown(existing.folder.place)}")
    return 0


def report(arguments: Namespace) -> int:
    """`report DIR/NAME`."""
    from analysis.report import write_report
    from tune_at.study.sweep import Sweep

    existing = Sweep.open(arguments.sweep)
    for path in write_report(existing.folder, existing.study.figures):
        print(_shown(path))
    return 0


def query(arguments: Namespace) -> int:
    """`query DIR/NAME SQL`."""
    from tune_at.cli.results import print_result
    from tune_at.store import query as run_query

    print_result(run_query(arguments.sweep, arguments.sql), arguments.format)
    return 0


def demo(arguments: Namespace) -> int:
    """`demo`: the study `random_labels`, preset `laptop`, then its figure."""
    from analysis.report import write_report

    study = Study.resolve("random_labels", "laptop")
    planned = _demo_sweep(study, arguments.storage)
    code = _run(planned, Launch())
    if code == 0:
        for path in write_report(planned.folder, study.figures):
            print(f"{'figure' if path.suffix == '.png' else 'numbers':11} {_shown(path)}")
    return code


def _demo_sweep(study: Study, storage: str) -> "Sweep":
    """The first demo that is unfinished, or a new one under the next free name."""
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
        if existing.study == study and existing.left() and not is_locked(folder):
            print(f"continuing {_shown(existing.folder.place)}")
            return existing
    return Sweep.plan(study, storage, name)


def _shown(path: "Place", query: bool = True) -> str:
    """A path as short as it can be typed from here; an address as a shell takes it, `query` and all."""
    if not isinstance(path, Path):
        return shlex.quote(str(path) if query else path.without_query)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
