"""What a user says of curves from elsewhere: which column is what, and in which units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_at.config.facts import KnownData
from tune_at.config.tree import Tree
from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError, suggestion
from tune_at.exchange.rows import CONFIG, Rows
from tune_at.store.schema import EPOCHS, TRIALS
from tune_at.study.overrides import KNOWN

ABOUT = ("trial", "epoch", "seed", "status")
"""What a column may say of its row, beside numbers."""

METRICS = tuple(
    f"{split}_{kind}_{metric}"
    for split in ("train", "val", "test")
    for kind in ("natural", "robust")
    for metric in ("accuracy", "loss")
)

NUMBERS = (*METRICS, "lr", "train_seconds", "evaluation_seconds")

SCALAR = "objective_"
"""What the names of an objective's own numbers begin with."""

OWN = "config."
"""What the swept columns begin with whose keys are no keys of ours."""

KEPT = "imported_"
"""What a kept column's name begins with where its own is taken."""

SHOWN = 30
"""Columns that a message lists."""


@dataclass(frozen=True)
class Asked:
    """The options of `import`.

    Attributes:
        mapped: their column → ours, or a dotted path of a trial's config.
        config_columns: columns of theirs that tell trials apart, and are no keys of ours.
        known: what is known of all trials' configs, by dotted path.
        percent: accuracies in [0, 100]: of these columns, of all where it is empty; None where it is not said.
        fractions: accuracies in [0, 1], likewise.
        epochs_from: 0 or 1: what their first epoch is called; None where it is not said.
        shorter: how trials ended whose curves end before the longest: `completed`, `stopped` or `failed`.
        selection: the split that judges, `validation` or `test`; empty for validation where it was measured.
    """

    mapped: Mapping[str, str] = field(default_factory=dict)
    config_columns: Sequence[str] = ()
    known: Mapping[str, Any] = field(default_factory=dict)
    percent: Sequence[str] | None = None
    fractions: Sequence[str] | None = None
    epochs_from: int | None = None
    shorter: str = ""
    selection: str = ""


@dataclass(frozen=True)
class Roles:
    """Which of their columns is what.

    Attributes:
        named: ours → theirs, of `ABOUT`, `NUMBERS` and an objective's scalars.
        config: the swept column's name → theirs; a dotted path of ours, or `config.KEY`.
        kept: the name in the table `epochs` → theirs, of all other columns.
    """

    named: Mapping[str, str]
    config: Mapping[str, str]
    kept: Mapping[str, str]

    @property
    def known(self) -> dict[str, str]:
        """`named` and `config`."""
        return {**self.named, **self.config}


def assign(rows: Rows, asked: Asked) -> Roles:
    """Find out what each column is. One that has the name of ours is ours without being mapped.

    Raises `UserError` for a column that is not there, a name that is none of ours, and one that is given twice.
    """
    columns = rows.columns
    named: dict[str, str] = {}
    config: dict[str, str] = {}
    for theirs, ours in asked.mapped.items():
        where = f"--map {theirs}={ours}"
        column = _column(where, theirs, columns)
        target = config if _is_config(where, ours) else named
        if ours in target:
            raise UserError(where, f"{ours} is {target[ours]!r} already", "map one column alone")
        target[ours] = column
    for theirs in asked.config_columns:
        column = _column("--config-columns", theirs, columns)
        if column in (*named.values(), *config.values()):
            raise UserError("--config-columns", f"{theirs!r} is mapped, too", "leave one of both out")
        config[OWN + _own_key(column)] = column
    used = {*named.values(), *config.values()}
    for column in columns:
        ours = rows.roles.get(column, column)
        if column not in used and ours not in named and (ours in ABOUT or ours in NUMBERS or ours.startswith(SCALAR)):
            named[ours] = column
        elif column not in used and column.startswith(CONFIG):
            config[OWN + _own_key(column)] = column
    used = {*named.values(), *config.values()}
    return Roles(named, config, _kept([column for column in columns if column not in used], config, named))


def config_of(told: Tree, where: str) -> TrialConfig:
    """A trial's config of what is told of it; the rest is at its defaults, and is not to be believed.

    Raises `UserError` for a value that a key cannot have.
    """
    return TrialConfig.parse(told, where, complete=False, data=KnownData(recorded=True))


def _is_config(where: str, ours: str) -> bool:
    """Whether a name is one of a config's. Raises `UserError` if it is none of ours at all."""
    if ours in ABOUT or ours in NUMBERS or (ours.startswith(SCALAR) and len(ours) > len(SCALAR)):
        return False
    if ours in KNOWN:
        return True
    known = [*ABOUT, *NUMBERS, *KNOWN]
    remedy = suggestion(ours, known) or f"map to {', '.join(ABOUT)}, test_robust_accuracy and the like, or optim.lr"
    raise UserError(where, f"{ours!r} is no column and no key of ours", remedy)


def _column(where: str, theirs: str, columns: Sequence[str]) -> str:
    """The column of that name; a parameter of Ray's may be called without its `config/`."""
    for name in (theirs, CONFIG + theirs):
        if name in columns:
            return name
    raise UserError(where, f"there is no column {theirs!r}", suggestion(theirs, columns) or listed(columns))


def listed(columns: Sequence[str]) -> str:
    """The columns that there are, in words."""
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return f"its columns are {', '.join(columns[:SHOWN])}{more}"


def _own_key(column: str) -> str:
    return column.removeprefix(CONFIG).replace("/", ".")


def _kept(columns: Sequence[str], config: Mapping[str, str], named: Mapping[str, str]) -> dict[str, str]:
    """A name for each column that is kept: its own, unless readers have that name for something else.

    SQL tells upper and lower case not apart, so neither is done here.
    """
    taken = {name.lower() for name in (*EPOCHS.names, *TRIALS.names, *KNOWN, *config, *named, "series", "config")}
    kept: dict[str, str] = {}
    for column in columns:
        name = column
        while name.lower() in taken or name.startswith(OWN):
            name = KEPT + name
        taken.add(name.lower())
        kept[name] = column
    return kept
