"""What a figure is: numbers and their picture, in a report or by itself."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.frames import Frames, answering, load_frames
from tune_at.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

FORMATS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class Figure:
    """A figure's two halves, usable alone.

    Attributes:
        prepare: (frames, **options) → the numbers as a tidy frame. Raises `UserError` if the sweep cannot answer the
            figure's question.
        draw: that frame → the picture.
        options: keyword → help, of what `prepare` takes beside the frames; each is text.
    """

    prepare: Callable[..., pd.DataFrame]
    draw: "Callable[[pd.DataFrame], MatplotlibFigure]"
    options: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, frames: Frames, **options: Any) -> "tuple[pd.DataFrame, MatplotlibFigure]":
        """The numbers and the picture."""
        frame = self.numbers(frames, **options)
        return frame, self.draw(frame)

    def numbers(self, frames: Frames, **options: Any) -> pd.DataFrame:
        """What `prepare` gives. Imported curves that lack a key that it needs are refused: `UserError`."""
        with answering(frames, "figure"):
            return self.prepare(frames, **options)


def alone(figure: Figure, name: str) -> None:
    """`python -m analysis.figures.NAME DIR/N`: one figure of one sweep, into a file of the working folder."""
    from analysis.style import render

    parser = ArgumentParser(prog=f"python -m analysis.figures.{name}", description=figure.prepare.__doc__)
    parser.add_argument("sweep", metavar="DIR/N")
    parser.add_argument("--to", default=f"{name}.png", metavar="FILE", help=f"one of {', '.join(FORMATS)}; or csv")
    for option, told in figure.options.items():
        parser.add_argument(f"--{option}", help=told)
    arguments = parser.parse_args()
    chosen = {option: value for option in figure.options if (value := getattr(arguments, option)) is not None}
    kind = arguments.to.rpartition(".")[2]
    target = Path(arguments.to)
    try:
        if not target.parent.is_dir() or target.is_dir():
            raise UserError("--to", f"{arguments.to} cannot be written", "name a file in a folder that is there")
        if kind not in (*FORMATS, "csv"):
            raise UserError("--to", f"{arguments.to!r} names no format", f"end it with {', '.join(FORMATS)} or csv")
        frame = figure.numbers(load_frames(arguments.sweep), **chosen)
        content = frame.to_csv(index=False).encode() if kind == "csv" else render(figure.draw(frame), kind)
    except UserError as error:
        sys.exit(str(error))
    target.write_bytes(content)
    print(arguments.to)
