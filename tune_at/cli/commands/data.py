"""`data fetch NAME`, `data list`."""

from argparse import ArgumentParser, Namespace

from tune_at.cli.command import Command
from tune_at.cli.options import add_data_dir
from tune_at.errors import UserError, suggestion


def add_options(parser: ArgumentParser) -> None:
    """What to do, and `--data-dir`."""
    parser.add_argument("action", choices=("fetch", "list"), help="fetch NAME downloads it with its checksum")
    parser.add_argument("name", nargs="?", metavar="NAME", help="cifar10, cifar100 or svhn")
    add_data_dir(parser)


def run(arguments: Namespace) -> int:
    """`data fetch NAME`, `data list`."""
    from tune_at.config.data import DATASETS, Vision

    names = [name for name, entry in DATASETS.items() if issubclass(entry.config, Vision)]
    if arguments.action == "fetch":
        if arguments.name not in names:
            raise UserError(
                "data fetch", f"{arguments.name!r} cannot be downloaded", suggestion(arguments.name or "", names)
            )
        from tune_at.data.vision import fetch

        print(f"{arguments.name} is in {fetch(arguments.name)}")
        return 0
    from tune_at.data.cache import data_folder
    from tune_at.data.vision import whereabouts

    print(f"looking in {data_folder()}")
    for name in names:
        print(f"  {name:10} {whereabouts(name)}")
    return 0


COMMAND = Command("data", "data sets: what is here, and fetching one", add_options, run)
