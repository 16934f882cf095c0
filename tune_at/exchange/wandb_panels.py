"""CSV exports of W&B's line plots: a column of steps, and a column `RUN - METRIC` a line."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tune_at.errors import UserError
from tune_at.exchange.rows import Rows, is_missing
from tune_at.wording import counted

BETWEEN = " - "

BOUNDS = ("__MIN", "__MAX")
"""The ends of the columns with the bounds of a line that W&B has smoothed, grouped or sampled."""


def is_panel(columns: Sequence[str]) -> bool:
    """Whether columns are those of a line plot: W&B writes bounds beside each line."""
    known = set(columns)
    return any(BETWEEN in c and all(c + bound in known for bound in BOUNDS) for c in columns)


def read_panels(parts: Sequence[Rows], name: str) -> Rows:
    """The rows of one or several line plots, a row a (run, step). Raises `UserError` for a value given twice.

    A metric's name is what follows the last ` - `: a run's may have one in it. A line's bounds say nothing where each
    run is a line of its own; where they differ from it, runs were grouped, or points were left out.
    """
    cells: dict[tuple[str, object], dict[str, object]] = {}
    places: dict[tuple[str, object], tuple[int, int]] = {}
    axis, between = "", set()
    for number, part in enumerate(parts):
        lines = [c for c in part.columns if BETWEEN in c and not c.endswith(BOUNDS)]
        others = [c for c in part.columns if BETWEEN not in c]
        if not lines or not others:
            remedy = "export a line plot whose lines are runs, with its steps or epochs as the first column"
            raise UserError(part.files[0], "has no column RUN - METRIC beside one of steps", remedy)
        axis = axis or others[0]
        if axis not in others:
            raise UserError(part.files[0], f"has no column {axis!r}", "export all plots over the same axis")
        for line in lines:
            run, _, metric = line.rpartition(BETWEEN)
            bounds = [part.frame[line + bound] for bound in BOUNDS if line + bound in part.frame]
            for row, (step, value) in enumerate(zip(part.frame[axis], part.frame[line], strict=True)):
                if is_missing(value):
                    continue
                if any(not is_missing(bound[row]) and bound[row] != value for bound in bounds):
                    between.add(line)
                cell = cells.setdefault((run, step), {"run": run, axis: step})
                if metric in cell:
                    raise UserError(part.where(row), f"{line!r} has a value for this step before", "give it once")
                cell[metric] = value
                places.setdefault((run, step), (number, int(part.line[row])))
    if not cells:
        raise UserError(name, "has no values", "export a plot that shows some")
    columns = list(dict.fromkeys(key for cell in cells.values() for key in cell))
    frame = pd.DataFrame({key: [cell.get(key) for cell in cells.values()] for key in columns}, dtype=object)
    file, line_numbers = (np.asarray(numbers, dtype=np.int64) for numbers in zip(*places.values(), strict=True))
    verb = "has other bounds than its values" if len(between) == 1 else "have other bounds than their values"
    notes = [f"{counted(len(between), 'line')} {verb}: smoothed, grouped or sampled"]
    files = tuple(part.files[0] for part in parts)
    return Rows(frame, files, file, line_numbers, roles={"run": "trial"}, notes=notes[: len(between)][:1])
