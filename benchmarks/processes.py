"""Cases (e) and (f): a whole sweep, and what starting costs. Each runs in processes of its own."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.measure import Way

ROOT = Path(__file__).parent.parent


def seconds(*command: str) -> float:
    """Wall-clock seconds of a command that must succeed."""
    # Ray's workers, too, import this package from its folder.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    taken = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return taken


def sweep(quick: bool) -> list[Way]:
    """32 trials of two epochs on digits, Ray's start included: a plain script, then ours, in turn."""
    trials, epochs = (4, 2) if quick else (32, 2)
    study = {
        "title": "Small trials",
        "base": {
            "data": {"name": "digits", "subset": 160},
            "model": "small_cnn",
            "attack": {"eps": 0.1, "step": 0.03, "steps": 10},
            "train": {"epochs": epochs, "batch_size": 40},
            "evaluation": {"train_samples": 0},
        },
        "axes": {"optim.lr": [round(0.01 * 1.1**n, 6) for n in range(trials)]},
    }
    times: dict[str, list[float]] = {"plain Ray Tune script": [], "ours": []}
    for number in range(1 if quick else 2):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "small.yaml"
            path.write_text(yaml.safe_dump(study))
            plain = [sys.executable, "-m", "benchmarks.plain_sweep", str(trials), str(epochs), folder]
            times["plain Ray Tune script"].append(seconds(*plain))
            ours = [sys.executable, "run.py", "sweep", str(path), "--storage", folder, "--name", f"ours{number}"]
            times["ours"].append(seconds(*ours))
    return _ways(times, trials, "trials/s", {"ours": 3.0})


def start_up(quick: bool) -> list[Way]:
    """What a user waits for: the package, the help, the first epoch. No ratio: there is no textbook for it."""
    epoch = "from tune_at import TrialConfig, Trainer; Trainer(TrialConfig()).run_epoch()"
    commands = {
        "python -c pass": ("-c", "pass"),
        "import tune_at": ("-c", "import tune_at"),
        "run.py --help": ("run.py", "--help"),
        "first epoch on digits": ("-c", epoch),
    }
    times = {name: [seconds(sys.executable, *command) for _ in range(3)] for name, command in commands.items()}
    return _ways(times, 0, "", {})


def _ways(times: dict[str, list[float]], work: float, unit: str, goals: dict[str, float]) -> list[Way]:
    first = statistics.median(next(iter(times.values())))
    found = []
    for name, taken in times.items():
        median = statistics.median(taken)
        found.append(Way(name, median, first / median, goals.get(name, 0.0), work / median, unit, rounds=taken))
    return found
