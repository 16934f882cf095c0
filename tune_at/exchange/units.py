"""In which units numbers from elsewhere are: asked for where they do not say, and held against what was said."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from tune_at.errors import UserError
from tune_at.exchange.asked import Asked, Roles
from tune_at.exchange.rows import Numbers, Rows

Values = npt.NDArray[np.float64]

HUNDRED = 100.0


def questions(rows: Rows, roles: Roles, numbers: Mapping[str, Numbers], asked: Asked) -> Iterator[UserError]:
    """What has to be said of the units and was not, or was said of a column that is none.

    Args:
        rows: as they were read.
        roles: what each column is.
        numbers: by our names, the columns that are numbers.
        asked: what was said.
    """
    accuracies = [ours for ours in roles.named if ours.endswith("_accuracy")]
    theirs = {roles.named[ours] for ours in accuracies}
    for option, columns in (("--percent", asked.percent or ()), ("--fractions", asked.fractions or ())):
        for column in columns:
            if column not in theirs:
                raise UserError(
                    option, f"{column!r} is no column of accuracies", f"those are {', '.join(sorted(theirs))}"
                )
    unsaid = [ours for ours in accuracies if _percent(roles.named[ours], asked) is None]
    if unsaid:
        told = "; ".join(_span(rows, roles.named[ours], numbers[ours]) for ours in unsaid)
        yield UserError("accuracies", f"are they fractions or percentages? {told}", "say --fractions or --percent")
    if "epoch" in roles.named and _first(rows, asked) is None:
        epochs = numbers["epoch"].values
        span = f"{np.nanmin(epochs):g} to {np.nanmax(epochs):g}" if np.isfinite(epochs).any() else "no number"
        problem = f"is the first epoch 0 or 1? {roles.named['epoch']!r} is {span}"
        yield UserError("epochs", problem, "say --epochs-from 0 or --epochs-from 1")


def to_epochs(rows: Rows, theirs: str, column: Numbers, asked: Asked) -> tuple[Values, list[UserError]]:
    """Epochs from 1, and a mistake for each row whose epoch is none. Missing ones are NaN."""
    first = _first(rows, asked)
    assert first is not None
    epochs = column.values + (1 - first)
    limit = np.iinfo(np.int32).max
    bad = ~column.missing & ~column.wrong & ~((column.values >= first) & (epochs <= limit) & (epochs % 1 == 0))
    problem = f"is not a whole number from {first}"
    return epochs, [
        UserError(rows.where(row), f"{theirs} {rows.frame[theirs].iloc[row]!s:.40} {problem}")
        for row in np.flatnonzero(bad)
    ]


def to_fractions(rows: Rows, theirs: str, column: Numbers, asked: Asked) -> tuple[Values, list[UserError]]:
    """An accuracy in [0, 1], and a mistake for each row where it is out of bounds, or in other units than elsewhere.

    Percentages may be below 1; a column that has such is taken only where it was named, since they may as well be
    fractions, in some rows or in all.
    """
    percent = bool(_percent(theirs, asked))
    most = HUNDRED if percent else 1.0
    values, finite = column.values, np.isfinite(column.values)
    bad = finite & ((values < 0) | (values > most))
    if bad.any():
        unit = "a percentage" if percent else "a fraction"
        mixed = (
            "; the column has fractions, too" if not percent and (finite & (values > 0) & (values <= 1)).any() else ""
        )
        return values, [
            UserError(rows.where(row), f"{theirs} {values[row]:g} is not {unit}{mixed}") for row in np.flatnonzero(bad)
        ]
    small, large = finite & (values > 0) & (values < 1), finite & (values > 1)
    if percent and theirs not in (asked.percent or ()) and small.any():
        row = int(np.flatnonzero(small)[0])
        above = [f"at {rows.where(at)} it is {values[at]:g}" for at in np.flatnonzero(large)[:1]]
        other = "".join(above) or "no value is above 1"
        problem = f"{theirs} {values[row]:g} may be a fraction: {other}"
        remedy = f"convert it, or say --percent {theirs} if it is a percentage below 1 indeed"
        return values, [UserError(rows.where(row), problem, remedy)]
    return values / HUNDRED if percent else values, []


def _percent(theirs: str, asked: Asked) -> bool | None:
    """Whether a column has percentages; None where that was not said. A column's own name counts first."""
    for said, percent in ((asked.percent, True), (asked.fractions, False)):
        if said and theirs in said:
            return percent
    for said, percent in ((asked.percent, True), (asked.fractions, False)):
        if said is not None and not said:
            return percent
    return None


def _first(rows: Rows, asked: Asked) -> int | None:
    """What the first epoch is called. A format that says so is overruled by the user alone."""
    return rows.epochs_from if asked.epochs_from is None else asked.epochs_from


def _span(rows: Rows, theirs: str, column: Numbers) -> str:
    """`test_acc is 0.1 to 0.87`; for a column that cannot be all fractions, where it shows."""
    known = column.values[np.isfinite(column.values)]
    if not len(known):
        return f"{theirs} has no number"
    span = f"{theirs} is {known.min():g} to {known.max():g}"
    small = (column.values > 0) & (column.values < 1)
    large = column.values > 1
    if small.any() and large.any():
        places = (rows.where(int(np.flatnonzero(which)[0])) for which in (small, large))
        return f"{span} ({' below 1, '.join(places)} above)"
    return span
