"""Case (h): early stopping replayed over 1,000 trials of 200 epochs in 100 orders, by two processes.

The command runs in a process of its own, start-up, reading, tables, figure and Parquet included. The rate is its CPU
seconds, those of its processes together, which other tenants of the machine change less than the time.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.large import COLUMNS, make_sweep
from benchmarks.measure import Way
from benchmarks.processes import seconds

LIMIT = 60.0
"""Seconds that all settings of the example may take."""

EXAMPLE = ("--grace", "1,3,5", "--eta", "2,3,4", "--smooth", "1,3")

SETTINGS = {
    "30 settings": ("--scheduler", "asha,hyperband,median", *EXAMPLE),
    "asha, 18 of them": ("--scheduler", "asha", *EXAMPLE),
    "hyperband, 6": ("--scheduler", "hyperband", *EXAMPLE),
    "median, 6": ("--scheduler", "median", *EXAMPLE),
}


def replay(quick: bool) -> list[Way]:
    """All settings of the issue's example, and each scheduler's alone."""
    trials, epochs, orders = (48, 20, 5) if quick else (1000, 200, 100)
    ways = []
    with tempfile.TemporaryDirectory() as folder:
        sweep = make_sweep(Path(folder), trials, epochs, shape)
        for name, options in SETTINGS.items():
            before = _cpu()
            command = ("run.py", "replay", str(sweep), *options, "--orders", str(orders))
            taken = seconds(sys.executable, *command)
            goal = 1.0 if name == next(iter(SETTINGS)) else 0.0
            ways.append(Way(name, taken, LIMIT / taken, goal, _cpu() - before, "CPU seconds", rounds=[taken]))
    return ways


def _cpu() -> float:
    """CPU seconds of all processes that were started here and have ended."""
    times = os.times()
    return times.children_user + times.children_system


def shape(values: NDArray[np.float64], draw: np.random.Generator) -> None:
    """Validation accuracies as those of adversarial training: they rise, jump halfway, and fall."""
    level, pace, fall = draw.uniform(0.2, 0.5), draw.uniform(0.05, 0.4), draw.uniform(0, 0.15)
    at = np.arange(1, len(values) + 1) / len(values)
    curve = level * (1 - np.exp(-at / pace)) + np.where(at > 0.5, 0.08 - fall * (at - 0.5), 0)
    values[:, COLUMNS.index("val_robust_accuracy")] = curve + 0.01 * draw.standard_normal(len(values))
