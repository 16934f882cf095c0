"""All figures of a sweep into its `report/` folder."""

from collections.abc import Callable, Sequence

from analysis.figures import FIGURES
from analysis.frames import load_frames
from tune_at.errors import UserError
from tune_at.store.layout import SweepFolder
from tune_at.store.place import Place, Where


def write_report(
    sweep: Where | SweepFolder, figures: Sequence[str], tell: Callable[[str], None] = lambda line: None
) -> list[Place]:
    """Draw the named figures of a sweep; returns the paths written, a PNG and the CSV behind it for each.

    `tell` gets a line for each figure that the sweep cannot answer yet; the others are drawn.

    Raises `UserError` for an unknown figure, a study without figures, or a sweep that can answer none of them.
    """
    if not figures:
        raise UserError("report", "the sweep's study names no figures", "name some, as --figures memorization_curves")
    loaded = [(name, FIGURES[name].load()) for name in figures]
    frames = load_frames(sweep)
    drawn, refused = [], []
    for name, figure in loaded:
        try:
            drawn.append((name, *figure(frames)))
        except UserError as error:
            refused.append(error)
    if not drawn:
        raise refused[0]
    for refusal in refused:
        tell(f"not drawn: {refusal}")
    from analysis.style import render

    written: list[Place] = []
    for name, frame, picture in drawn:
        folder = SweepFolder.of(sweep).report
        csv, png = folder / f"{name}.csv", folder / f"{name}.png"
        csv.write_whole(frame.to_csv(index=False).encode())
        png.write_whole(render(picture))
        written += [png, csv]
    return written
