"""The paper's own numbers, each with its place: Tables 1, 2, A.1, C.1, footnote 2, and what the text states.

Data, and what looks it up. Nothing here is computed, and nothing needs torch.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from analysis.paper.rows import Checkpoint, PaperValue, RegulariserValue, Statement
from analysis.paper.statements import STATEMENTS
from analysis.paper.table_1 import TABLE_1
from analysis.paper.table_2 import TABLE_2
from analysis.paper.table_a1 import TABLE_A1
from analysis.paper.table_c1 import TABLE_C1
from tune_at.errors import UserError, suggestion

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "REGULARISERS", "STATEMENTS", "TABLES", "VALUES", "PaperValue", "RegulariserValue", "Statement",
    "paper_regulariser", "paper_statement", "paper_table", "paper_value",
]  # fmt: skip

VALUES: tuple[PaperValue, ...] = (*TABLE_1, *TABLE_2, *TABLE_C1)
"""Every test accuracy of Tables 1, 2 and C.1 and of footnote 2."""

REGULARISERS: tuple[RegulariserValue, ...] = TABLE_A1
"""Every row of Table A.1, natural and robust apart."""

TABLES = ("1a", "1b", "1c", "2", "footnote 2", "C.1", "A.1")


def paper_table(table: str) -> "pd.DataFrame":
    """A table of the paper, tidy.

    Args:
        table: one of `TABLES`.

    Returns:
        A row a number: the fields of `PaperValue` as columns; of A.1 those of `RegulariserValue`. Accuracies in %.

    Raises:
        UserError: no such table.
    """
    import pandas as pd

    everything: tuple[PaperValue | RegulariserValue, ...] = (*VALUES, *REGULARISERS)
    rows = [asdict(row) for row in everything if row.table == table]
    if not rows:
        raise UserError("table", f"{table!r} is unknown", suggestion(table, TABLES))
    return pd.DataFrame(rows)


def paper_value(
    table: str, method: str, attack: str, checkpoint: Checkpoint, architecture: str = "", norm: str = ""
) -> PaperValue | None:
    """A cell of Tables 1, 2 and C.1; None if the paper has no such number.

    Args:
        table: one of `TABLES`.
        method: the objective's name.
        attack: `natural`, or an attack's name.
        checkpoint: `best` or `final`.
        architecture: the network's name; Table C.1 has several.
        norm: of the ball; likewise.

    Raises:
        LookupError: several numbers answer to it.
    """
    found = [
        value for value in VALUES
        if (value.table, value.method, value.attack, value.checkpoint) == (table, method, attack, checkpoint)
        and architecture in ("", value.architecture)
        and norm in ("", value.norm)
    ]  # fmt: skip
    if len(found) > 1:
        raise LookupError(f"table {table} has {len(found)} values of {method}: name architecture and norm")
    return found[0] if found else None


def paper_regulariser(
    noise_rate: float, augmentation: bool, weight_decay: float, dropout: float, kind: Literal["natural", "robust"]
) -> RegulariserValue | None:
    """A row of Table A.1; None if the paper has no such combination."""
    wanted = (noise_rate, augmentation, weight_decay, dropout, kind)
    return next(
        (row for row in REGULARISERS
         if (row.noise_rate, row.augmentation, row.weight_decay, row.dropout, row.kind) == wanted),
        None,
    )  # fmt: skip


def paper_statement(name: str) -> Statement:
    """A statement of the text by its name. Raises `UserError` if there is none of that name."""
    known = {statement.name: statement for statement in STATEMENTS}
    if name not in known:
        raise UserError("statement", f"{name!r} is unknown", suggestion(name, known))
    return known[name]
