"""Case (i): a thousand trials that compute nothing, through our whole stack and through bare Ray Tune, in turn.

Ours keeps what a sweep keeps: a checkpoint and rows an epoch, decisions of ASHA, TensorBoard, the live view, folded
files. Bare Ray has its three default loggers and reused actors, once with a checkpoint an epoch, as ours, and once
without any.
"""

import os
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.measure import Way
from benchmarks.processes import ROOT, seconds

PARTS = {"bare Ray Tune, checkpoints": ("ray", "saved"), "bare Ray Tune": ("ray", ""), "ours": ("ours", "")}


def scale(quick: bool) -> list[Way]:
    """1,000 trials × 20 reports, Ray's start included; the ratio is to bare Ray with a checkpoint an epoch."""
    trials, reports = (6, 4) if quick else (1000, 20)
    taken: dict[str, float] = {}
    memory: dict[str, float] = {}
    for name, (program, saved) in PARTS.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.scale", program, folder, str(trials), str(reports), saved]
            taken[name] = seconds(*command)
            memory[name] = float((Path(folder) / "peak").read_text())
    first = next(iter(taken.values()))
    ways = [
        Way(n, s, first / s, 1.0 if n == "ours" else 0.0, trials * reports / s, "reports/s") for n, s in taken.items()
    ]
    return ways + [Way(f"{n}, driver's memory", taken[n], 1.0, rate=memory[n], unit="MB") for n in taken]


def run_ours(folder: Path, trials: int, reports: int) -> None:
    """A sweep of our own, whose trainer computes nothing; all else is as ever."""
    from rich.console import Console

    from benchmarks.trivial import Trivial
    from tune_at.study.study import Study
    from tune_at.study.sweep import Sweep
    from tune_at.tuning import runner
    from tune_at.tuning.launch import Launch

    study = {
        "title": "Trials of nothing",
        "base": {
            "data": {"name": "digits", "subset": 64},
            "model": {"name": "small_cnn", "width": 4},
            "train": {"epochs": reports, "batch_size": 32},
        },
        "axes": {"optim.lr": [round(0.01 + 1e-5 * n, 6) for n in range(trials)]},
        "scheduler": {"name": "asha", "grace": 1, "eta": 2},
    }
    (folder / "nothing.yaml").write_text(yaml.safe_dump(study))
    runner.ATTrainable = Trivial  # type: ignore[misc]
    sweep = Sweep.plan(Study.resolve(str(folder / "nothing.yaml")), str(folder), "ours")
    stopped = runner.run_sweep(sweep, Launch(), Console(file=(folder / "shown").open("w"), width=120))
    if stopped:
        raise SystemExit(stopped)
    rows = sum(sweep.read().arrow(table).num_rows for table in ("epochs",))
    if rows != trials * reports:
        raise SystemExit(f"{rows} rows instead of {trials * reports}")


def run_ray(folder: Path, trials: int, reports: int, saved: bool) -> None:
    """The same with nothing but Ray Tune."""
    from ray import tune

    from benchmarks.trivial import BareTrivial

    os.environ.pop("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", None)  # which our own package sets
    tune.Tuner(
        tune.with_resources(BareTrivial, {"cpu": 1}),
        param_space={"lr": tune.grid_search([0.01 + 1e-5 * n for n in range(trials)]), "reports": reports},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            name="bare",
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1 if saved else 0),
        ),
    ).fit()
    results = len(list((folder / "bare").glob("*/result.json")))
    if results != trials:
        raise SystemExit(f"{results} trials instead of {trials}")


def write_memory(path: Path) -> None:
    """Write this process' peak in MB, without its workers."""
    import resource

    path.write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3))


def main(arguments: list[str]) -> None:
    """PROGRAM FOLDER TRIALS REPORTS SAVED."""
    program, folder, trials, reports, *saved = arguments
    os.chdir(ROOT)
    if program == "ours":
        run_ours(Path(folder), int(trials), int(reports))
    else:
        run_ray(Path(folder), int(trials), int(reports), bool(saved and saved[0]))
    write_memory(Path(folder) / "peak")


if __name__ == "__main__":
    main(sys.argv[1:])
