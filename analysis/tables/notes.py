"""What is said below a table: what is not in it and why, over how many seeds and images, what is unlike the paper."""

from collections.abc import Iterable, Sequence

import pandas as pd

from analysis.tables.cells import EVALUATED, NOTHING, TRAINED, records
from analysis.tables.labels import column_label

SHOWN = 3
"""Settings that are named of those in which a row is unlike the paper's."""


def shown_cells(panel: pd.DataFrame) -> pd.DataFrame:
    """A panel without the rows and without the columns that have no number of ours."""
    there = panel[panel["value"].notna()]
    return panel[panel["row"].isin(there["row"]) & panel["column"].isin(there["column"])]


def notes(panel: pd.DataFrame) -> list[str]:
    """The notes of one panel, in the order in which they are read.

    Args:
        panel: of a prepared table, with a column `row` that names its rows.
    """
    lines = [
        *_rows_left_out(panel), *_columns_left_out(panel), *_incomplete(panel), *_seeds(panel), *_images(panel),
        *_sources(panel), *_unlike(panel), *_misprints(panel),
    ]  # fmt: skip
    if any("not evaluated" in text for text in panel["missing"]):
        lines.append("The command `evaluate` makes what has not been evaluated.")
    return lines


def _rows_left_out(panel: pd.DataFrame) -> list[str]:
    gone = panel[~panel["row"].isin(panel[panel["value"].notna()]["row"])]
    reasons = gone.groupby("row", sort=False)["missing"].agg(lambda texts: next(filter(None, texts), ""))
    return [f"Left out: {listed(f'{row} ({reason})' for row, reason in reasons.items())}."] if len(reasons) else []


def _columns_left_out(panel: pd.DataFrame) -> list[str]:
    there = set(panel[panel["value"].notna()]["column"])
    gone = [column for column in dict.fromkeys(panel["column"]) if column not in there]
    return [f"Left out, for want of any evaluation: {listed(map(column_label, gone))}."] if gone and there else []


def _incomplete(panel: pd.DataFrame) -> list[str]:
    """Cells of shown rows and columns that lack seeds; `diff` follows from the others."""
    cells = shown_cells(panel)
    cells = cells[(cells["missing"] != "") & (cells["part"] != "diff")]
    by_reason: dict[str, dict[str, dict[str, list[str]]]] = {}
    for cell in records(cells):
        where = by_reason.setdefault(cell["missing"], {}).setdefault(cell["row"], {})
        where.setdefault(column_label(cell["column"]), []).append(cell["part"])
    number = shown_cells(panel)["column"].nunique()
    lines = []
    for reason, rows in by_reason.items():
        places = []
        for row, columns in rows.items():
            named = [f"{column} {parts[0]}" if len(parts) == 1 else column for column, parts in columns.items()]
            whole = len(columns) == number and all(len(parts) > 1 for parts in columns.values())
            places.append(row if whole else f"{row} ({listed(named)})")
        lines.append(f"{reason[:1].upper()}{reason[1:]}: {listed(places, '; ')}.")
    return lines


def _seeds(panel: pd.DataFrame) -> list[str]:
    counts = sorted({int(seeds) for seeds in panel["seeds"] if seeds > 0})
    if not counts or counts[-1] == 1:
        return ["One seed."] if counts else []
    return [f"Mean ± standard deviation over {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds."]


def _images(panel: pd.DataFrame) -> list[str]:
    known = shown_cells(panel).dropna(subset=["images"])
    by_column = known.groupby("column", sort=False)["images"].agg(_numbers)
    if by_column.empty:
        return []
    rest = "; on all where training measured" if shown_cells(panel)["source"].eq(TRAINED).any() else ""
    if by_column.nunique() == 1:
        return [f"On {by_column.iloc[0]} images{rest}."]
    numbers = listed(f"{number} images ({column_label(str(column))})" for column, number in by_column.items())
    return [f"On {numbers}{rest}."]


def _numbers(images: "pd.Series[float]") -> str:
    return "/".join(f"{int(number):,}" for number in sorted(set(images)))


def _sources(panel: pd.DataFrame) -> list[str]:
    """Columns that were not measured by `evaluate`, in a table where others were."""
    cells = shown_cells(panel)
    if not cells["source"].str.contains(EVALUATED).any():
        return []
    of_training = cells[cells["source"].str.contains(TRAINED)]
    names = [column_label(str(column)) for column in dict.fromkeys(of_training["column"])]
    rows = list(dict.fromkeys(of_training["row"]))
    where = "" if len(rows) == cells["row"].nunique() else f" of {listed(rows)}"
    return [f"As training measured it, not `evaluate`: {listed(names)}{where}."] if names else []


def _unlike(panel: pd.DataFrame) -> list[str]:
    """Why the paper's numbers do not stand beside ours."""
    cells = shown_cells(panel)
    every = cells["row"].nunique()
    cells = cells[cells["unlike"] != ""]
    by_reason: dict[str, list[str]] = {}
    for row, reason in cells.groupby("row", sort=False)["unlike"].first().items():
        told = reason.split("; ")
        more = f"; and {len(told) - SHOWN} more settings" if len(told) > SHOWN + 1 else ""
        by_reason.setdefault("; ".join(told[:SHOWN] if more else told) + more, []).append(str(row))
    return [
        f"Without the paper's numbers{'' if len(rows) == every else f', {listed(rows)}'}: {reason}."
        for reason, rows in by_reason.items()
    ]


def _misprints(panel: pd.DataFrame) -> list[str]:
    cells = shown_cells(panel).dropna(subset=["printed"])
    return [
        f"The paper prints {cell['printed']:.2f} for {cell['row']}, {_place(cell['column'], cell['part'])}; its own"
        f" numbers give {cell['paper']:.2f}."
        for cell in records(cells)
    ]


def _place(column: str, part: str) -> str:
    return f"{column_label(column)} {part}"


def listed(words: Iterable[str], between: str = ", ") -> str:
    """Words in a row."""
    return between.join(words)


def named_rows(frame: pd.DataFrame, stub: Sequence[str]) -> pd.DataFrame:
    """The frame with a column `row`: what the columns of `stub` call a row, without those that say nothing of it."""
    telling = [name for name in stub if frame[name].nunique() > 1] or list(stub[:1])
    names = [
        ", ".join(_named(name, row[name]) for name in telling if row[name] != NOTHING)
        for row in records(frame[telling].astype(str))
    ]
    return frame.assign(row=names)


def _named(column: str, value: str) -> str:
    """`PGD-AT`, `true labels`, `dropout 0.2`."""
    return {"labels": f"{value} labels", "weight decay": f"{column} {value}", "dropout": f"{column} {value}"}.get(
        column, value
    )
