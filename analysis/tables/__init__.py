"""The paper's tables from any sweep, the paper's numbers beside ours where both were trained alike."""

from typing import TYPE_CHECKING

from analysis.frames import Frames, answering
from tune_at.errors import UserError, suggestion
from tune_at.registry import Entry, Registry

if TYPE_CHECKING:
    import pandas as pd

TABLES = Registry(
    "table",
    Entry(
        "1", object, "analysis.tables.results:TABLE_1", "Tab. 1a, 1b, 1c",
        "natural accuracy and each attack, best and final: a panel a data set; 1a, 1b, 1c are one data set's",
    ),
    Entry("2", object, "analysis.tables.results:TABLE_2", "Tab. 2", "the same, of methods against overfitting"),
    Entry("C.1", object, "analysis.tables.results:TABLE_C1", "Tab. C.1", "by network and ball: natural and PGD-10"),
    Entry(
        "A.1", object, "analysis.tables.regularisers:prepare_regularisers", "Tab. A.1",
        "training and test accuracy and their gap, by regularisers and labels",
    ),
)  # fmt: skip

PARTS_OF_1 = {"1a": "cifar10", "1b": "cifar100", "1c": "svhn"}


def prepare_table(frames: Frames, table: str, split: str = "test", images: int | None = None) -> "pd.DataFrame":
    """A table's numbers, tidy.

    Best is a trial's best epoch by its selection split, final its last epoch; of completed trials alone. Numbers come
    from `evaluate` where they are there; natural accuracy and PGD-10 otherwise from what training measured.

    Args:
        frames: the sweep's.
        table: a name in `TABLES`, or `1a`, `1b`, `1c`.
        split: of which images; Table A.1 has training and test anyway.
        images: of Tables 1, 2 and C.1, the first so many of those that were attacked; None for as many as were.

    Returns:
        A row a cell: table, panel (trials that may be compared), what names the row (method, network, …), and

        - column (natural, an attack; training, test, gap) and part (best, final, diff; natural, robust),
        - value: mean over seeds in %, spread: standard deviation in points (ddof 1; NaN for one seed), seeds: how many
          there are, planned: how many there should be; value is NaN where there is none,
        - images: how many were attacked, NaN for all; source: `evaluate`, `training` or both,
        - paper: the paper's number, NaN without one; printed: what the paper prints, where its own numbers give
          another difference; difference: value - paper in points,
        - missing: why seeds are missing; unlike: in what the row was not trained as the paper's, whose numbers then
          do not stand there. Both empty where there is nothing to say.

    Raises:
        UserError: no such table, or a sweep without any number for it.
    """
    name = "1" if table in PARTS_OF_1 else table
    if name not in TABLES:
        raise UserError("table", f"{table!r} is unknown", suggestion(table, [*TABLES, *PARTS_OF_1]))
    with answering(frames, f"table {table}"):
        prepared: pd.DataFrame = TABLES[name].load()(frames, data=PARTS_OF_1.get(table, ""), split=split, images=images)
    if prepared["value"].isna().all():
        reasons = ", ".join(dict.fromkeys(filter(None, prepared["missing"])))
        raise UserError(f"table {table}", f"no completed trial has a number for it: {reasons}", "let the sweep finish")
    return prepared


def draw_table(frame: "pd.DataFrame", form: str = "markdown") -> str:
    """A prepared table as `markdown`, `latex`, `html`, `csv` or `text`: see `analysis.tables.draw`."""
    from analysis.tables import draw

    return draw.draw_table(frame, form)
