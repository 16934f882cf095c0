"""`evaluate DIR/NAME`: trained networks under stronger attacks, as in Table 1."""

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from tune_at.cli.checkpoint_tasks import Piece, again_command, find_targets, run_pieces, say
from tune_at.cli.command import Command
from tune_at.cli.options import add_cluster, add_trials, at_least_one
from tune_at.cli.terminal import as_typed, console, width
from tune_at.config.attack import TABLE_1, AskedAttack
from tune_at.errors import UserError
from tune_at.tuning.launch import Launch

if TYPE_CHECKING:
    from tune_at.recording.evaluation_plan import Target
    from tune_at.store.snapshot import Snapshot
    from tune_at.study.sweep import Sweep

CHECKPOINTS = ("best", "final")
SPLITS = ("test", "val", "train")
OF_WEIGHTS = {
    "--into": "into", "--model": "model", "--data": "data", "--mean": "mean", "--std": "std", "--set": "overrides",
}  # fmt: skip
"""Options that only `--weights` gives a meaning, and where the parser puts them."""


def add_options(parser: ArgumentParser) -> None:
    """The sweep, what of it, and under which attacks."""
    parser.add_argument("sweep", metavar="DIR/NAME", nargs="?", default="", help="folder or address of the sweep")
    add_trials(parser)
    parser.add_argument(
        "--checkpoint", action="append", metavar="WHICH",
        help="best, final, initial or an epoch that is kept; may be repeated (default: best and final)",
    )  # fmt: skip
    parser.add_argument(
        "--attack", action="append", metavar="NAME",
        help="pgd-N, cw-N, fgsm, pgd or autoattack; may be repeated (default: the four of Table 1)",
    )  # fmt: skip
    parser.add_argument(
        "-n", type=at_least_one, default=0, metavar="N", dest="number",
        help="images: a fixed, class-balanced part, in whole batches of 100 (default: the whole split)",
    )  # fmt: skip
    parser.add_argument("--split", choices=SPLITS, default="test", help="which images (default: test)")
    parser.add_argument("--eps", default="", metavar="E", help="radius, e.g. 8/255 (default: each trial's own)")
    parser.add_argument("--step", default="", metavar="S", help="length of a step (default: each trial's own)")
    add_cluster(parser, "tasks")
    given = parser.add_argument_group("weights from elsewhere", "instead of DIR/NAME; see docs/evaluation.md")
    given.add_argument("--weights", metavar="FILE", help="what torch.save has written, or safetensors")
    given.add_argument("--into", metavar="DIR/NAME", help="the sweep's folder that is made of them")
    given.add_argument("--model", metavar="MODEL", help="its architecture, as `list models` names it")
    given.add_argument("--data", metavar="DATA", help="its data set, as `list datasets` names it")
    given.add_argument("--mean", nargs="+", type=float, metavar="M", help="by channel, for images in [0, 1]")
    given.add_argument("--std", nargs="+", type=float, metavar="S", help="by channel: a first layer (x - M) / S")
    given.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="A.B=C",
        help="a key of its config, such as model.width=32 or attack.norm=l2; may be repeated",
    )  # fmt: skip


def run(arguments: Namespace) -> int:
    """`evaluate DIR/NAME`; 0 if all that was asked for is there, 1 if something has failed."""
    from tune_at.study.sweep import Sweep

    names = dict.fromkeys(arguments.attack or TABLE_1)
    attacks = [AskedAttack(name, arguments.eps, arguments.step) for name in names]
    launch = Launch.of(arguments)
    if arguments.weights:
        _take_weights(arguments)
    elif given := [option for option in OF_WEIGHTS if getattr(arguments, OF_WEIGHTS[option])]:
        raise UserError(given[0], "is said of weights from elsewhere", "name them with --weights FILE, or omit it")
    elif not arguments.sweep:
        raise UserError("evaluate", "no sweep is named", "give DIR/NAME, or --weights FILE --into DIR/NAME")
    sweep = Sweep.open(arguments.sweep)
    sweep.require_trained("weights of theirs are attacked with evaluate --weights FILE --into DIR/NAME")
    launch = launch.completed(sweep.folder)
    results = sweep.read()
    targets = find_targets(sweep, results, arguments.trials, arguments.checkpoint or CHECKPOINTS)
    errors = _run_missing(sweep, targets, attacks, launch, arguments)
    _show(sweep, results, targets, attacks, arguments)
    return 1 if errors else 0


def _take_weights(arguments: Namespace) -> None:
    """Make a sweep's folder of weights from elsewhere; then that is what is evaluated."""
    from tune_at.recording.imported import import_weights
    from tune_at.study.file import parse_overrides

    if arguments.sweep:
        raise UserError(f"evaluate {arguments.sweep}", "stands beside --weights", "name the folder by --into alone")
    for option in ("into", "model", "data"):
        if not getattr(arguments, option):
            raise UserError("--weights", f"--{option} is missing", "give --into DIR/NAME, --model and --data")
    if bool(arguments.mean) != bool(arguments.std):
        raise UserError("--mean, --std", "one of them is missing", "give both, by channel, or neither")
    note = import_weights(
        arguments.weights, arguments.into, arguments.model, arguments.data, arguments.mean or (), arguments.std or (),
        parse_overrides(arguments.overrides),
    )  # fmt: skip
    if note:
        say(f"note: {note}")
    arguments.sweep = arguments.into
    arguments.checkpoint = arguments.checkpoint or ["best"]


def _run_missing(
    sweep: "Sweep", targets: "list[Target]", attacks: list[AskedAttack], launch: Launch, arguments: Namespace
) -> dict[str, str]:
    """Run what the tables do not have; the errors of what has failed. Refuses what cannot work before Ray starts."""
    from tune_at.recording import evaluation_plan as plan
    from tune_at.store.snapshot import read_snapshot

    trials = list({target.trial.name: target.trial for target in targets}.values())
    plan.require_examples(trials, arguments.split, arguments.number)
    known = read_snapshot(sweep.folder, plan.TABLES)
    for damage in known.damage:
        say(f"{damage.error.where} {damage.error.problem}: what it had is evaluated again")
    tables = [known.arrow(table) for table in plan.TABLES]
    work = plan.missing(targets, attacks, arguments.split, arguments.number, tables[0], tables[1])
    if not work:
        say("all of this has been evaluated before")
        return {}
    pieces = []
    for piece in work:
        trial = piece.target.trial
        data = sweep.study.data.only([trial.config.data])
        pieces.append(Piece(piece.name, trial, plan.arguments_of(sweep.folder, piece, data, arguments.split)))
    function = "tune_at.recording.evaluated:evaluate_batches"
    return run_pieces(sweep, pieces, function, "evaluation", launch, _again(arguments), plan.TABLES)


def _again(arguments: Namespace) -> str:
    single = {
        "-n": arguments.number, "--split": "" if arguments.split == "test" else arguments.split,
        "--eps": arguments.eps, "--step": arguments.step,
    }  # fmt: skip
    repeated = {"--checkpoint": arguments.checkpoint, "--attack": arguments.attack}
    return again_command("evaluate", arguments, repeated, single)


def _show(
    sweep: "Sweep", results: "Snapshot", targets: "list[Target]", attacks: list[AskedAttack], arguments: Namespace
) -> None:
    """Print the table and the warnings."""
    from analysis.ranking import rank
    from analysis.robustness import accuracies
    from tune_at.cli.evaluation_table import Evaluated, tables, warnings
    from tune_at.evaluation.robust import batch_count
    from tune_at.recording import evaluation_plan as plan
    from tune_at.store.reader import read_arrow

    seeds = len(sweep.study.seeds)
    within = sweep.study.scheduler.compared_within
    ranking = rank(results.frame("trials"), results.frame("epochs"), seeds, within=within)
    asked = {t.trial.name: arguments.number or plan.split_size(t.trial.config, arguments.split) for t in targets}
    batches = {trial: batch_count(number) for trial, number in asked.items()}
    known = accuracies(read_arrow(sweep.folder, "evaluations"), arguments.split, batches)
    # What failed now may be there from before under other settings: that is no answer.
    wanted = {
        (target.trial.name, str(attack)): json.dumps(plan.settings_of(attack, target.trial.config))
        for target in targets
        for attack in attacks
    }
    known = {cell: found for cell, found in known.items() if found.settings == wanted.get((cell[0], cell[3]))}
    evaluated = Evaluated(targets, list(map(str, attacks)), arguments.split, known, ranking, seeds)
    for table in tables(evaluated, width()):
        console(wide=True).print(table)
    for line in warnings(evaluated):
        say(line)
    print(f"store       {as_typed(sweep.folder.store)}")


COMMAND = Command("evaluate", "attack trained networks with PGD, C&W and AutoAttack, as in Table 1", add_options, run)
