"""`probe DIR/NAME`: what a study's networks are like beside their accuracy, measured after training."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tune_at.cli.checkpoint_tasks import Piece, again_command, find_targets, run_pieces, say
from tune_at.cli.command import Command
from tune_at.cli.options import add_cluster, add_trials, at_least_one
from tune_at.cli.terminal import as_typed, console
from tune_at.config.probes import PROBES, ProbeSection, parse_probes, probe_tree
from tune_at.errors import UserError
from tune_at.tuning.launch import Launch
from tune_at.wording import counted, trial_label

if TYPE_CHECKING:
    from tune_at.recording.evaluation_plan import Target
    from tune_at.study.sweep import Sweep
    from tune_at.study.trials import Trial


def add_options(parser: ArgumentParser) -> None:
    """The sweep, what of it, and which probes."""
    parser.add_argument("sweep", metavar="DIR/NAME", help="folder or address of the sweep")
    parser.add_argument(
        "--probe", action="append", metavar="NAME", required=True,
        help="a name of `list probes`; may be repeated. It is measured as the study has it, or by default",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", action="append", metavar="WHICH",
        help="best, final, initial or an epoch that is kept; may be repeated (default: final)",
    )  # fmt: skip
    add_trials(parser)
    parser.add_argument(
        "--samples", type=at_least_one, default=0, metavar="N", help="training images (default: each probe's own)"
    )
    add_cluster(parser, "tasks")


def run(arguments: Namespace) -> int:
    """`probe DIR/NAME`; 0 if all that was asked for is there, 1 if something has failed."""
    from tune_at.study.sweep import Sweep

    launch = Launch.of(arguments)
    sweep = Sweep.open(arguments.sweep)
    sweep.require_trained("probe a sweep that was trained here")
    launch = launch.completed(sweep.folder)
    sections = _sections(sweep, arguments)
    results = sweep.read()
    targets = find_targets(
        sweep, results, arguments.trials, arguments.checkpoint or ("final",), lambda trial: _check(trial, sections)
    )
    errors = _run_missing(sweep, targets, sections, launch, arguments)
    _show(sweep, targets, sections)
    return 1 if errors else 0


def _sections(sweep: "Sweep", arguments: Namespace) -> tuple[ProbeSection, ...]:
    """The probes that are asked for, as the study has them where it names them."""
    own = {probe.name: probe_tree(probe) for probe in sweep.study.probes}
    samples = {"samples": arguments.samples} if arguments.samples else {}
    sections = parse_probes(
        [{**own.get(name, {"name": name}), **samples} for name in dict.fromkeys(arguments.probe)], "--probe"
    )
    for section in sections:
        if section.moment == "training":
            raise UserError(
                f"--probe {section.name}",
                "follows a training, of which no checkpoint can tell",
                f"name it in a study, probes: [{section.name}], and sweep it",
            )
    return sections


def _check(trial: "Trial", sections: Sequence[ProbeSection]) -> None:
    """Raise `UserError` for a probe that is not defined for the trial."""
    for broken in (broken for section in sections for broken in section.rules(trial.config)):
        raise UserError(broken.where, broken.problem, broken.remedy)


def _run_missing(
    sweep: "Sweep", targets: "list[Target]", sections: Sequence[ProbeSection], launch: Launch, arguments: Namespace
) -> dict[str, str]:
    """Run what the tables do not have; the errors of what has failed."""
    from tune_at.recording import probed
    from tune_at.store.snapshot import read_snapshot

    known = read_snapshot(sweep.folder, probed.TABLES)
    for damage in known.damage:
        say(f"{damage.error.where} {damage.error.problem}: what it had is measured again")
    work = probed.missing(targets, sections, *(known.arrow(table) for table in probed.TABLES))
    if not work:
        say("all of this has been measured before")
        return {}
    pieces = []
    for piece in work:
        trial = piece.target.trial
        given = piece.arguments(sweep.folder, sweep.study.data.only([trial.config.data]))
        pieces.append(Piece(f"{trial.name} {piece.target.checkpoint}", trial, given))
    function = "tune_at.recording.probed:probe_checkpoint"
    return run_pieces(sweep, pieces, function, "checkpoint", launch, _again(arguments), probed.TABLES)


def _again(arguments: Namespace) -> str:
    repeated = {"--probe": arguments.probe, "--checkpoint": arguments.checkpoint}
    return again_command("probe", arguments, repeated, {"--samples": arguments.samples})


def _show(sweep: "Sweep", targets: "list[Target]", sections: Sequence[ProbeSection]) -> None:
    """Print a line for each quantity of each checkpoint: its value, or how many points its curve has.

    What failed now may be there from before under other settings: that is no answer.
    """
    from rich.table import Table

    from tune_at.recording.probing import settings_of
    from tune_at.store.reader import read_table

    names = [section.name for section in sections]
    rows = read_table(sweep.folder, "probes")
    rows = rows[rows["settings"].isin([settings_of(section) for section in sections])]
    table = Table(box=None, padding=(0, 1))
    for column in ("trial", "checkpoint", "epoch", "probe", "quantity", "value"):
        table.add_column(column, overflow="fold", justify="right" if column in ("epoch", "value") else "left")
    for target in targets:
        here = rows[(rows["trial"] == target.trial.name) & (rows["checkpoint"] == target.checkpoint)]
        for (probe, quantity), part in here[here["epoch"] == target.epoch].groupby(["probe", "quantity"], sort=False):
            single = part["x"].isna().all()
            value = f"{part['value'].iloc[0]:.4g}" if single else f"{counted(len(part), 'point')}"
            label = trial_label(target.trial.name)
            table.add_row(label, target.asked, str(target.epoch), str(probe), str(quantity), value)
    if table.row_count:
        console(wide=True).print(table)
    images = [name for name in names if PROBES[name].summary.startswith("by sample")]
    for name in images:
        print(f"{name}: a row for each image in the table `samples`, origin = '{name}'")
    print(f"store       {as_typed(sweep.folder.store)}")


COMMAND = Command("probe", "measure gradients, margins, curvature, ... of trained networks", add_options, run)
