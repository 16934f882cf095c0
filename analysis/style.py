"""How all figures look: readable in grey, fonts for print, no interactive backend."""

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = {
    "figure.dpi": 110,
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


Draw = TypeVar("Draw", bound=Callable[..., Any])


def styled(draw: Draw) -> Draw:
    """Let a drawing function work under `STYLE`, and leave matplotlib's settings as they were."""

    @functools.wraps(draw)
    def inside(*arguments: Any, **keywords: Any) -> Any:
        with plt.rc_context(STYLE):
            return draw(*arguments, **keywords)

    return cast(Draw, inside)


def panels(count: int, width: float = 4.4, height: float = 3.9) -> "tuple[Figure, list[Axes]]":
    """Panels that share their y axis, up to three a row."""
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), sharey=True, squeeze=False, layout="constrained"
    )
    for unused in axes.flat[count:]:
        unused.set_axis_off()
    return figure, list(axes.flat[:count])


def legend_below(figure: "Figure", axis: "Axes", columns: int = 2, title: str = "") -> None:
    """One legend for all panels, under them."""
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=columns, title=title or None)


@styled
def render_png(figure: "Figure") -> bytes:
    """The figure as a PNG; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()
