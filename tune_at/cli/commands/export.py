"""`export DIR/NAME`: a trained network as a file that others can read."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from tune_at.cli.command import Command
from tune_at.cli.options import add_sweep
from tune_at.wording import shell


def add_options(parser: ArgumentParser) -> None:
    """Which network, and to which file."""
    add_sweep(parser)
    parser.add_argument("--trial", required=True, metavar="NAME", help="whose network")
    parser.add_argument(
        "--checkpoint", default="best", metavar="WHICH", help="best, final, initial or an epoch (default: best)"
    )
    parser.add_argument("--to", required=True, metavar="FILE", help="the file to write")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--torchscript", action="store_true", help="a program for torch.jit.load (default: safetensors)")
    form.add_argument("--onnx", action="store_true", help="an ONNX model, batch size free")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")


def run(arguments: Namespace) -> int:
    """`export DIR/NAME`."""
    from tune_at.recording.export import write_network
    from tune_at.recording.trained import load_network

    form = "torchscript" if arguments.torchscript else "onnx" if arguments.onnx else "safetensors"
    path = Path(arguments.to).expanduser()
    trained = load_network(arguments.sweep, arguments.trial, arguments.checkpoint)
    write_network(trained, path, form, arguments.trial, arguments.checkpoint, arguments.force)
    measured = ", ".join(f"{name} {value:.1%}" for name, value in trained.metrics.items())
    print(f"{shell(path)}: {trained.config.model.name} of {arguments.trial} after epoch {trained.epoch}, {form}")
    if measured:
        print(measured)
    return 0


COMMAND = Command("export", "write a trained network as safetensors, TorchScript or ONNX", add_options, run)
