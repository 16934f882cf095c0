"""A page's figures, each as an image that stands in the page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures import FIGURES
from analysis.frames import NOTHING, Frames
from analysis.style import render
from tune_at.errors import UserError
from tune_at.wording import counted, program, shell

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

ANY_SWEEP = ("pareto_front", "slices", "parallel_coordinates", "importance", "training_cost")
"""Figures that a sweep of several points has, whatever its question: they are left out where they do not apply."""

FEWEST = 3
"""Points from which on a page draws `ANY_SWEEP`; one or two say more as numbers, in the table of points."""

LARGE = 400_000
"""Bytes of an SVG from which on a PNG is smaller and as good."""

NARROW = 7.0
"""Inches up to which two figures stand beside each other."""


@dataclass(frozen=True)
class Drawn:
    """A figure on a page, or why it is not there."""

    name: str
    summary: str
    paper: str
    source: str = ""
    """A `data:` address; empty if it was not drawn."""
    refused: str = ""
    wide: bool = False
    """Whether it has several panels beside each other."""
    made: "tuple[pd.DataFrame, MatplotlibFigure] | None" = None
    """The numbers behind it and the picture itself."""
    few: int = 0
    """How many points it would have, if they are too few to be drawn on a page unasked; else 0."""


def draw_figures(frames: Frames, chosen: Sequence[str], named: Sequence[str]) -> list[Drawn]:
    """The chosen figures; by default those that the study names, with a reason for each that cannot be drawn, and those
    of any sweep that can.

    Raises:
        UserError: a chosen figure is unknown.
    """
    wanted = list(dict.fromkeys(chosen or named))
    figures = [_draw(frames, name) for name in wanted]
    if chosen:
        return figures
    extra = [*(("early_stopping",) if frames.scheduler.early else ()), *ANY_SWEEP]
    others = [_draw(frames, name, FEWEST if name in ANY_SWEEP else 0) for name in extra if name not in wanted]
    return figures + [figure for figure in others if not figure.refused]


def told_few(figures: Sequence[Drawn], sweep: str) -> str:
    """One line about the figures of `sweep` that have too few points to be drawn unasked; empty without any."""
    names = [figure.name for figure in figures if figure.few]
    if not names:
        return ""
    most = max(figure.few for figure in figures)
    again = shell(*program(), "report", sweep, "--figure", *names)
    return f"Of {counted(most, 'point')} not drawn here: {', '.join(names)}; {again} draws them."


def _draw(frames: Frames, name: str, fewest: int = 0) -> Drawn:
    entry = FIGURES[name]
    about = (name, entry.summary, entry.source)
    if frames.epochs.empty:
        return Drawn(*about, refused=NOTHING)
    try:
        figure = entry.load()
        frame = figure.prepare(frames)
        column = next((name for name in ("trial", "series") if name in frame), None)
        if column and (points := frame[column].nunique()) < fewest:
            return Drawn(*about, few=points)
        picture = figure.draw(frame)
    except UserError as error:
        return Drawn(*about, refused=str(error))
    wide = picture.get_figwidth() > NARROW
    kind, content = "svg+xml", render(picture, "svg")
    if len(content) > LARGE:
        kind, content = "png", render(picture, "png")
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Drawn(*about, source, wide=wide, made=(frame, picture))
