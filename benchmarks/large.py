"""A finished sweep of many trials as the program leaves it, for cases that read: `python -m benchmarks.large DIR N`."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from tune_at.recording.rows import trial_row
from tune_at.recording.spec import TrialSpec
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import UNITS_KEY, fold_place
from tune_at.store.schema import EPOCHS, build_table, sealed
from tune_at.store.status import Status
from tune_at.store.writer import write_table
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

SEEDS = 4

Shape = Callable[[NDArray[np.float64], np.random.Generator], None]
"""What makes curves of a trial's random numbers, (epochs, COLUMNS), in place."""


def make_sweep(folder: Path, trials: int, epochs: int, shape: Shape | None = None) -> Path:
    """A sweep of `trials` trials over 250 learning rates at most, four seeds each; returns its folder.

    The rows are random numbers in every column that PGD-AT has. They are put into the folded files that are left at a
    sweep's end, at once: to write and fold ten thousand parts would take an hour, and leave the same.
    """
    written = folder / "large.yaml"
    written.write_text(yaml.safe_dump(_study(trials, epochs)))
    sweep = Sweep(SweepFolder.of(folder / "large"), Study.resolve(str(written)))
    sweep.create()
    draw = np.random.default_rng(0)
    curves, rows = [], []
    for trial in sweep.study.trials():
        config = trial.config.as_tree()
        spec = TrialSpec(
            str(sweep.folder), sweep.name, sweep.study.name, trial.stage, trial.name, config, dict(trial.swept)
        )
        curve = draw.random((epochs, len(COLUMNS)))
        if shape:
            shape(curve, draw)
        best = 1 + int(curve[:, COLUMNS.index("val_robust_accuracy")].argmax())
        known = {"started": datetime.now(UTC), "device": "cpu", "peak_memory_mb": 512.0}
        rows.append(trial_row(spec, Status.COMPLETED, epochs=epochs, best_epoch=best, **known))
        curves.append(_curve(trial.name, curve))
    write_fold(sweep.folder, "epochs", pa.concat_tables(curves), epochs)
    write_fold(sweep.folder, "trials", build_table("trials", rows), 1)
    return folder / "large"


COLUMNS = [field.name for field in EPOCHS if field.name not in ("trial", "epoch", "lr")]
COLUMNS += ["objective_loss", "objective_robust_accuracy"]


def _study(trials: int, epochs: int) -> dict[str, object]:
    rates = min(250, trials // SEEDS)
    axes = {"optim.lr": [round(0.001 * 1.02**n, 8) for n in range(rates)]}
    if trials > SEEDS * rates:
        axes["optim.weight_decay"] = [round(1e-5 * 1.1**n, 10) for n in range(trials // SEEDS // rates)]
    base = {"data": {"name": "digits"}, "model": "small_cnn", "train": {"epochs": epochs}}
    seeds = list(range(SEEDS))
    return {"title": "Many trials", "base": base, "axes": axes, "seeds": seeds, "figures": ["memorization_curves"]}


def _curve(trial: str, values: np.ndarray) -> pa.Table:
    """A trial's rows of the table `epochs`; `values`: (epochs, columns)."""
    epochs = len(values)
    arrays = [
        pa.array([trial] * epochs), pa.array(np.arange(1, epochs + 1, dtype=np.int32)), pa.array(np.full(epochs, 0.1)),
        *(pa.array(values[:, place]) for place in range(values.shape[1])),
    ]  # fmt: skip
    fields = [*EPOCHS, *(pa.field(name, pa.float64()) for name in COLUMNS if name not in EPOCHS.names)]
    return pa.table(arrays, schema=pa.schema(fields))


def write_fold(folder: SweepFolder, table: str, rows: pa.Table, per_unit: int) -> None:
    """All rows of a table, sorted by trial, as one folded file; `per_unit`: how many a trial has."""
    names = rows["trial"].combine_chunks()[::per_unit].to_pylist() if per_unit > 1 else rows["trial"].to_pylist()
    if names != sorted(names):
        raise ValueError("not sorted by trial")
    units = json.dumps([[name, per_unit] for name in names])
    write_table(fold_place(folder, table, 1, 1), sealed(rows.combine_chunks(), {UNITS_KEY: units}))


def main() -> None:
    """Leave such a sweep of 200 epochs in a folder, to look at."""
    began = time.perf_counter()
    print(make_sweep(Path(sys.argv[1]), int(sys.argv[2]), 200), f"{time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
