"""A sweep's report: its page, and each figure with the numbers behind it as files."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from analysis.figures import FIGURES
from analysis.figures.base import FORMATS, Figure
from analysis.frames import load_frames
from tune_at.errors import UserError, suggestion
from tune_at.store.layout import SweepFolder
from tune_at.store.place import LocalPlace, Place, Where, to_place

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as MatplotlibFigure

PAGE = "index.html"


def page_place(sweeps: Sequence[SweepFolder], to: str | None = None) -> Place:
    """Where the page about some sweeps goes: `report/index.html` of a single one, else `report.html` here.

    Raises:
        UserError: `to` is a folder, or its folder is not there.
    """
    if to is None and len(sweeps) == 1:
        return sweeps[0].report / PAGE
    target = to_place(to or "report.html")
    if isinstance(target, LocalPlace):
        target = target.expanduser().resolve()
        if target.is_dir() or not target.parent.is_dir():
            raise UserError("--to", f"{to} cannot be written", "name a file in a folder that is there")
    return target


def write_report(
    sweep: Where | SweepFolder,
    figures: Sequence[str],
    tell: Callable[[str], None] = lambda line: None,
    formats: Sequence[str] = ("png",),
    **options: str,
) -> list[Place]:
    """Draw the named figures of a sweep; returns the paths written, the pictures and the CSV behind them for each.

    A file has the figure's name and what it was drawn by: `gap_by_key-attack.eps.png`.

    Args:
        sweep: its folder.
        figures: their names.
        tell: gets a line for each figure that the sweep cannot answer yet; the others are drawn.
        formats: of `FORMATS`.
        options: for the figures that take them, as `by`.

    Raises:
        UserError: an unknown figure, format or option, no figures, or a sweep that can answer none of them.
    """
    if not figures:
        raise UserError("report", "the sweep's study names no figures", "name some, as --figures memorization_curves")
    require_formats(formats)
    loaded = [(name, FIGURES[name].load()) for name in figures]
    for option in options:
        if not any(option in figure.options for _, figure in loaded):
            taking = [name for name in FIGURES if option in FIGURES[name].load().options]
            remedy = f"these do: {', '.join(taking)}"
            raise UserError(f"--{option}", "none of the figures takes it", remedy)
    frames = load_frames(sweep)
    drawn, refused = [], []
    for name, figure in loaded:
        try:
            drawn.append((name, figure, figure.numbers(frames, **_taken(figure, options))))
        except UserError as error:
            refused.append(error)
    if not drawn:
        raise refused[0]
    for refusal in refused:
        tell(f"not drawn: {refusal}")
    folder = SweepFolder.of(sweep)
    return [
        path
        for name, figure, frame in drawn
        for path in write_files(
            folder, "-".join([name, *_taken(figure, options).values()]), frame, figure.draw(frame), formats
        )
    ]


def write_files(
    sweep: SweepFolder, name: str, frame: "pd.DataFrame", picture: "MatplotlibFigure", formats: Sequence[str] = ("png",)
) -> list[Place]:
    """A figure that is drawn into its sweep's `report/` folder: in each format, and the numbers as CSV."""
    from analysis.style import render

    contents = {kind: render(picture, kind) for kind in formats} | {"csv": frame.to_csv(index=False).encode()}
    written = []
    for kind, content in contents.items():
        path = sweep.report / f"{name}.{kind}"
        path.write_whole(content)
        written.append(path)
    return written


def require_formats(formats: Sequence[str]) -> None:
    """Raise `UserError` for a format that a figure cannot be written in."""
    for kind in formats:
        if kind not in FORMATS:
            raise UserError("--format", f"{kind!r} is unknown", suggestion(kind, FORMATS))


def _taken(figure: Figure, options: dict[str, str]) -> dict[str, str]:
    return {option: value for option, value in options.items() if option in figure.options}
