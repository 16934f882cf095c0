"""How all figures look: readable in grey, fonts for print.

They are made without pyplot: no window opens, the backend of whoever imports this stays as it was, and what a notebook
plots next does not land in a figure of ours.
"""

import functools
import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.notes import notes_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SCREEN_DPI = 110

LETTERS, LEGEND_LETTERS = 14, 12.5
"""In an inch, of small print and of a legend's."""

STYLE = {
    "figure.dpi": SCREEN_DPI,
    "savefig.dpi": 180,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}

# Dark and light enough apart to be told by their grey alone; line style and marker say the same again.
DARK, LIGHT = "#0b3c5d", "#d9822b"


LOOKS: tuple[tuple[str, Any, str], ...] = (
    ("#0b3c5d", "-", "o"),
    ("#d9822b", (0, (4, 2)), "s"),
    ("#56a3a6", (0, (1, 1.2)), "^"),
    ("#a3203c", (0, (5, 1.5, 1, 1.5)), "D"),
    ("#7d7f84", (0, (7, 2)), "v"),
    ("#c9a227", (0, (3, 1, 1, 1, 1, 1)), "P"),
)
"""Colour, line style and marker of the first series and so on: each of the three tells them apart alone."""


def look(place: int, count: int) -> tuple[str, Any, str]:
    """The look of one series of `count`. Many series are shades from dark to light, in their order."""
    if count <= len(LOOKS):
        return LOOKS[place]
    _, style, marker = LOOKS[place % len(LOOKS)]
    return shade(place, count), style, marker


def shade(place: int, count: int) -> str:
    """One of `count` shades from dark to light, for values that have an order."""
    part = place / (count - 1) if count > 1 else 0.0
    return matplotlib.colors.to_hex(matplotlib.colormaps["cividis"](0.9 * part))


Draw = TypeVar("Draw", bound=Callable[..., Any])
Name = TypeVar("Name")


def styled(draw: Draw) -> Draw:
    """Let a drawing function work under `STYLE`, and leave matplotlib's settings as they were.

    What the frame that it draws is noted to leave out stands above the picture; axes of epochs have whole numbers.
    """

    @functools.wraps(draw)
    def inside(*arguments: Any, **keywords: Any) -> Any:
        with matplotlib.rc_context(STYLE):
            made = draw(*arguments, **keywords)
            if isinstance(made, Figure):
                _finish(made, notes_of(next(iter(arguments), None)))
            return made

    return cast(Draw, inside)


def _finish(figure: Figure, notes: Sequence[str]) -> None:
    for axis in figure.axes:
        if axis.get_xlabel().partition(" ")[0] in ("epoch", "iteration") and axis.get_xscale() == "linear":
            whole_ticks(axis)
    if notes:
        width = int(figure.get_figwidth() * LETTERS)
        lines = [line for note in notes for line in textwrap.wrap(note, width)]
        figure.suptitle("\n".join(lines), fontsize="small", color="0.35")


def whole_ticks(axis: "Axes") -> None:
    """Let the ticks below an axis be whole numbers: there is no epoch 2.5."""
    axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))


class Picture(Figure):
    """A figure that a notebook shows by itself, whatever backend it has."""

    def _repr_png_(self) -> bytes:
        return render(self, dpi=SCREEN_DPI)


def panels(
    count: int, width: float = 4.4, height: float = 3.9, columns: int = 0, shared: bool = True
) -> "tuple[Picture, list[Axes]]":
    """Panels that share their y axis unless said otherwise, up to three a row or as many as said."""
    columns = columns or (2 if count == 4 else min(count, 3))
    rows = -(-count // columns)
    figure = Picture(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=shared, squeeze=False)
    for unused in axes.flat[count:]:
        unused.set_axis_off()
    return figure, list(axes.flat[:count])


def band(axis: "Axes", line: "pd.DataFrame", scale: float = 100.0, **look: Any) -> None:
    """A curve with its spread over seeds as a band; `line` has the columns epoch, value and spread."""
    (drawn,) = axis.plot(line["epoch"], scale * line["value"], **look)
    known = line["spread"].notna()
    if known.any():
        low, high = (scale * (line["value"] + sign * line["spread"])[known] for sign in (-1, 1))
        axis.fill_between(line["epoch"][known], low, high, color=drawn.get_color(), alpha=0.18, linewidth=0)


MOST_PANELS = 24
"""Panels of one figure; they have letters, and of more none could be read."""


def first_of(names: Iterable[Name], most: int = MOST_PANELS, noun: str = "series") -> tuple[list[Name], str]:
    """The names of which a figure has room for a panel, each once, and what is said of the others; usually nothing."""
    every = list(dict.fromkeys(names))
    return every[:most], f"the first {most} of {len(every)} {noun}" if len(every) > most else ""


def legend_below(figure: Figure, axes: "Sequence[Axes]", columns: int = 2, title: str = "", note: str = "") -> None:
    """One legend for all panels, under them: each name that one of them has, once, below a title and a note.

    It has as many columns as are wanted and as the figure is wide enough for. More than `MOST_PANELS` lines are told
    apart by nobody: they stay without names.
    """
    entries: dict[str, Any] = {}
    for axis in axes:
        handles, names = axis.get_legend_handles_labels()
        entries |= {name: handle for name, handle in zip(names, handles, strict=True) if name not in entries}
    if len(entries) > MOST_PANELS:
        note, entries = f"{len(entries)} lines, from dark to light in their order", {}
    title = "\n".join(filter(None, (title, note)))
    longest = max(map(len, entries), default=0)
    columns = max(1, min(columns, int(figure.get_figwidth() * LEGEND_LETTERS / (longest + 6))))
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=columns, title=title or None,
        title_fontsize="small",
    )  # fmt: skip


@styled
def render(figure: Figure, kind: str = "png", dpi: int | None = None) -> bytes:
    """The figure as a PNG, SVG or PDF. The same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with matplotlib.rc_context({"svg.hashsalt": "tune-at", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=kind, dpi=dpi or STYLE["savefig.dpi"], bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()
