"""How all figures look: readable in grey, fonts for print, no interactive backend."""

from typing import TYPE_CHECKING

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


def panels(count: int, width: float = 4.4, height: float = 3.4) -> "tuple[Figure, list[Axes]]":
    """A row of panels that share their y axis."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, count, figsize=(width * count, height), sharey=True, squeeze=False)
    return figure, list(axes[0])


def render_png(figure: "Figure") -> bytes:
    """Render as PNG."""
    import io

    buffer = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()
