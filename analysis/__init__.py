"""From a sweep's tables to the paper's figures. Needs neither torch nor Ray.

Each question has its file with `prepare_…(frames) → DataFrame` and `draw_…(frame) → Figure`. In notebooks and scripts,
`load` gives all of a sweep; importing it costs nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.loaded import LoadedSweep
    from tune_at.store.place import Where

__all__ = ["load"]


def load(sweep: "Where") -> "LoadedSweep":
    """A sweep's results as they stand now, whatever its state: running, killed, without an epoch, of weights from
    elsewhere.

        from analysis import load
        sweep = load("runs/demo")
        sweep.epochs.groupby("objective.name")["test_robust_accuracy"].max()

    Args:
        sweep: its folder, DIR/NAME, or its address such as `s3://bucket/runs/demo`.

    Raises:
        UserError: no sweep there, a damaged table (it is named), or storage that fails.
    """
    from analysis.loaded import LoadedSweep

    return LoadedSweep.at(sweep)
