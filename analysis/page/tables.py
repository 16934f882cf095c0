"""The paper's tables on a page, for sweeps that answer one."""

from dataclasses import dataclass

from analysis.frames import NOTHING, Frames
from analysis.tables import TABLES, draw_table, prepare_table
from tune_at.errors import UserError


@dataclass(frozen=True)
class Shown:
    """A table of the paper as HTML, or why it is not there."""

    name: str
    summary: str
    html: str = ""
    refused: str = ""


def draw_tables(frames: Frames, paper: str) -> list[Shown]:
    """The tables that the study answers, by where it stands in the paper; of other evaluated sweeps Table 1."""
    wanted = [name for name in TABLES if f"Tab. {name}" in paper]
    if not wanted and len(frames.evaluations):
        wanted = ["1"]
    return [_draw(frames, name) for name in wanted]


def _draw(frames: Frames, name: str) -> Shown:
    about = (f"Table {name}", TABLES[name].summary)
    if frames.epochs.empty and not frames.weights_alone:
        return Shown(*about, refused=NOTHING)
    try:
        return Shown(*about, html=draw_table(prepare_table(frames, name), "html"))
    except UserError as error:
        return Shown(*about, refused=str(error))
