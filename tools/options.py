"""The page of every command and option, made from the command line's own parsers."""

import argparse
from collections.abc import Iterator

from tune_at.cli.main import EXIT_CODES, build_parser

HEAD = f"""\
# Every command

`python run.py COMMAND`, or `tune-at COMMAND` where it is installed. `python run.py COMMAND --help` says the same.

{EXIT_CODES}
`python -m tools.reference` makes this page from the code.
"""


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, in the order of the help; of `data list`, too."""
    return dict(_below(build_parser(), ""))


def _below(parser: argparse.ArgumentParser, before: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield f"{before}{name}", sub
                yield from _below(sub, f"{before}{name} ")


def render() -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *(part for name, parser in parsers().items() for part in _command(name, parser))])


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"{'#' * (2 + name.count(' '))} {name}\n"
    summary = parser.description or ""
    yield f"{summary[:1].upper()}{summary[1:]}.\n" if summary else ""
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    actions = [action for action in actions if not isinstance(action, argparse._SubParsersAction)]
    if actions:
        rows = (f"| {_written(action)} | {_cell(_help(parser, action))} |" for action in actions)
        yield "\n".join(["| argument | what it does |", "|---|---|", *rows, ""])
    if parser.epilog:
        yield f"{parser.epilog.strip()}\n"


def _written(action: argparse.Action) -> str:
    """An option as one types it: `--preset PRESET`."""
    metavar = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = metavar if isinstance(metavar, str) else " ".join(metavar)
    if action.nargs == "?" and action.option_strings:
        value = f"[{value}]"
    if action.nargs in ("+", "*"):
        value = f"{value} …"
    spelled = list(action.option_strings)
    if not spelled or action.nargs != 0:
        spelled[-1:] = [" ".join([*spelled[-1:], value])]
    return _cell(", ".join(f"`{name}`" for name in spelled))


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
