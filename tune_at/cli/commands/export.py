"""`export DIR/NAME`: a trained network as a file that others can read, or the sweep as a study of Optuna's."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from tune_at.cli.command import Command
from tune_at.cli.options import add_sweep
from tune_at.errors import UserError
from tune_at.wording import shell


def add_options(parser: ArgumentParser) -> None:
    """Which network, and to which file; or the file of the study."""
    add_sweep(parser)
    parser.add_argument("--trial", metavar="NAME", help="whose network")
    parser.add_argument(
        "--checkpoint", metavar="WHICH", help="best, final, initial or an epoch that is kept (default: best)"
    )
    parser.add_argument("--to", metavar="FILE", help="the file to write")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--torchscript", action="store_true", help="a program for torch.jit.load (default: safetensors)")
    form.add_argument("--onnx", action="store_true", help="an ONNX model, batch size free")
    form.add_argument(
        "--optuna", metavar="FILE", help="no network, but the sweep's trials as an Optuna study, in this SQLite file"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")


def run(arguments: Namespace) -> int:
    """`export DIR/NAME`."""
    return _study(arguments) if arguments.optuna else _network(arguments)


def _network(arguments: Namespace) -> int:
    from tune_at.recording.export import write_network
    from tune_at.recording.trained import load_network

    if missing := [option for option in ("--trial", "--to") if not getattr(arguments, option[2:])]:
        problem = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing"
        raise UserError("export", problem, "give --trial NAME --to FILE, or --optuna FILE for the sweep as a study")
    form = "torchscript" if arguments.torchscript else "onnx" if arguments.onnx else "safetensors"
    path, checkpoint = Path(arguments.to).expanduser(), arguments.checkpoint or "best"
    trained = load_network(arguments.sweep, arguments.trial, checkpoint)
    write_network(trained, path, form, arguments.trial, checkpoint, arguments.force)
    measured = ", ".join(f"{name} {value:.1%}" for name, value in trained.metrics.items())
    print(f"{shell(path)}: {trained.config.model.name} of {arguments.trial} after epoch {trained.epoch}, {form}")
    if measured:
        print(measured)
    return 0


def _study(arguments: Namespace) -> int:
    from tune_at.exchange.optuna_study import write_study
    from tune_at.study.sweep import Sweep

    for option in ("trial", "to", "checkpoint"):
        if getattr(arguments, option):
            raise UserError(f"--{option}", "is of one network, and --optuna writes the whole sweep", "leave one out")
    path = Path(arguments.optuna).expanduser()
    written = write_study(Sweep.open(arguments.sweep), path, arguments.force)
    states = ", ".join(f"{number} {state}" for state, number in sorted(written.states.items()))
    print(f"{shell(path)}: study {written.study} of {' and '.join(written.metrics)}: {states}")
    print(f"look at it  {shell('optuna-dashboard', f'sqlite:///{path}')}")
    return 0


COMMAND = Command(
    "export", "a trained network as safetensors, TorchScript or ONNX; or a sweep as an Optuna study", add_options, run
)
