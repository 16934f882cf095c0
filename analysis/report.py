"""All figures of a sweep into its `report/` folder."""

from collections.abc import Sequence
from pathlib import Path

from analysis.figures import FIGURES
from analysis.frames import load_frames
from tune_at.errors import UserError
from tune_at.store.files import write_whole


def write_report(sweep: str | Path, figures: Sequence[str]) -> list[Path]:
    """Draw the named figures of a sweep; returns the paths written, a PNG and the CSV behind it for each.

    Raises `UserError` for an unknown figure, a study without figures, or a sweep that cannot answer one.
    """
    if not figures:
        raise UserError("report", "the sweep's study names no figures", "add `figures: [memorization_curves]` to it")
    loaded = [(name, FIGURES[name].load()) for name in figures]
    frames = load_frames(sweep)
    drawn = [(name, *figure(frames)) for name, figure in loaded]
    from analysis.style import render_png

    written = []
    for name, frame, picture in drawn:
        base = Path(sweep) / "report" / name
        write_whole(base.with_suffix(".csv"), frame.to_csv(index=False).encode())
        write_whole(base.with_suffix(".png"), render_png(picture))
        written += [base.with_suffix(".png"), base.with_suffix(".csv")]
    return written
