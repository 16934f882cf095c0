"""`list [KIND]`: what a study can name."""

from argparse import ArgumentParser, Namespace

from tune_at.cli.command import Command
from tune_at.cli.terminal import console
from tune_at.errors import UserError, suggestion
from tune_at.registry import Registry
from tune_at.study.file import SHIPPED, read_study


def registries() -> dict[str, Registry]:
    """Everything that `list` knows, by its plural."""
    from analysis.figures import FIGURES
    from analysis.tables import TABLES
    from tune_at.config.attack import ATTACKS
    from tune_at.config.probes import PROBES
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
        "probes": PROBES,
        "figures": FIGURES,
        "tables": TABLES,
    }


def add_options(parser: ArgumentParser) -> None:
    """KIND."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help="only this kind, e.g. studies or objectives")


def run(arguments: Namespace) -> int:
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


COMMAND = Command("list", "what studies, objectives, attacks, models, ... there are", add_options, run)
