"""`show STUDY`: what would be recorded of it."""

from argparse import ArgumentParser, Namespace

from tune_at.cli.command import Command
from tune_at.cli.options import add_study, study_of
from tune_at.wording import counted


def add_options(parser: ArgumentParser) -> None:
    """STUDY, `--preset` and `--set`."""
    add_study(parser)


def run(arguments: Namespace) -> int:
    """`show STUDY`."""
    study = study_of(arguments)
    print(f"# {counted(study.size, 'trial')}\n{study.as_yaml().partition(chr(10))[2]}", end="")
    return 0


COMMAND = Command("show", "a study with its preset and overrides applied, as YAML", add_options, run)
