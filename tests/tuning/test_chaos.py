"""Sweeps whose processes are killed at random moments end as those that nobody disturbed, bit for bit.

A short form runs in `make test`. `make chaos` runs every scheduler and prints the count of kills, of epochs that were
lost and of epochs that were doubled.
"""

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from processes import (
    PATIENCE_WITH_PROCESSES,
    WHOLE,
    descendants,
    difference,
    kill,
    output_of,
    run,
    start,
    stop_all,
    workers,
)  # fmt: skip

from tune_at.store import read_arrow
from tune_at.store.schema import TIMES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc"),
]

STUDY = """\
title: Chaos
base:
  data: {name: digits, subset: 160, noise_rate: 0.2}
  model: {name: small_cnn, width: 16}
  attack: {eps: 0.1, step: 0.03, steps: 6}
  optim: {lr: 0.05}
  train: {epochs: 9, batch_size: 40}
  evaluation: {steps: 3, train_samples: 40}
"""
RANDOM = "search: {algorithm: random, trials: 8, space: {optim.lr: {loguniform: [0.001, 0.5]}, objective: %s}}\n"
SWEEPS = {
    "asha": RANDOM % "[trades, pgd_at, pgd_at_te]" + "scheduler: {name: asha, grace: 2, eta: 2}\n",
    "asha, complete runs": RANDOM % "[trades, pgd_at, pgd_at_te]"
    + "scheduler: {name: asha, grace: 3, eta: 1.7, fidelity: schedule}\n",
    "fifo": "axes: {objective: [pgd_at_te, sat, mixed_pgd_at, co_teaching]}\n",
    "hyperband": RANDOM % "[trades, pgd_at_ls]" + "scheduler: hyperband\n",
    "median": RANDOM % "[fast_at, trades_te]" + "scheduler: {name: median, min_trials: 2}\n",
    "pbt": "search: {algorithm: random, trials: 4, space: {optim.lr: {loguniform: [0.001, 0.5]}}}\n"
    "scheduler: {name: pbt, every: 3, mutations: {optim.lr: {loguniform: [0.001, 0.5]}}}\n",
    "optuna": "search: {algorithm: optuna, trials: 6, startup: 3, space: {optim.lr: {loguniform: [0.001, 0.5]}}}\n"
    "scheduler: {name: asha, grace: 2, eta: 2}\n",
}
KINDS = ("trial", "driver", "node", "everything", "save")
KILLS = 5 if WHOLE else 3
COUNT: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def report():
    """What the README's table of promises says comes from here."""
    yield
    kills = {kind: COUNT[kind] for kind in KINDS}
    print(
        f"\nchaos: {sum(kills.values())} kills ({', '.join(f'{n} {kind}' for kind, n in kills.items())}) in "
        f"{COUNT['sweeps']} sweeps of {COUNT['epochs']} epochs; lost {COUNT['lost']}, doubled {COUNT['doubled']}"
    )


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    stop_all()


def finished(sweep):
    """The finished epochs by (trial, epoch), without the times."""
    if not (sweep / "study.yaml").exists():
        return {}
    rows = read_arrow(sweep, "epochs").to_pylist()
    keys = [(row["trial"], row["epoch"]) for row in rows]
    COUNT["doubled"] += len(keys) - len(set(keys))
    times = TIMES["epochs"]
    plain = [{key: value for key, value in row.items() if key not in times and value is not None} for row in rows]
    return dict(zip(keys, map(json.dumps, plain), strict=True))


def wait(driver, done, timeout=PATIENCE_WITH_PROCESSES, pause=0.001):
    """Until `done()` or the driver has ended."""
    deadline = time.monotonic() + timeout
    while not done() and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(pause)


def strike(kind, driver, sweep, chance):
    """Kill something. Returns whether the driver goes down with it."""
    if kind == "save":  # while a checkpoint is being written
        wait(driver, lambda: next(sweep.glob("checkpoints/*/.epoch-*.tmp"), None) is not None)
    if driver.poll() is not None:
        return False
    everybody = descendants(driver.pid)
    if kind in ("trial", "save"):
        targets = [chance.choice(found)] if (found := workers(driver)) else []
    elif kind == "node":
        targets = [pid for pid, title in everybody.items() if "raylet/raylet" in title.split(" ")[0]]
    else:
        targets = [driver.pid] + (sorted(everybody) if kind == "everything" else [])
    for pid in targets:
        try:
            kill(pid)
        except ProcessLookupError:
            continue
    COUNT[kind] += bool(targets)
    return kind not in ("trial", "save")


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", SWEEPS if WHOLE else ["asha"])
def test_killed_at_random_moments(tmp_path, name):
    chance = random.Random(f"chaos {name}")
    study = tmp_path / "chaos.yaml"
    study.write_text(STUDY + SWEEPS[name])
    # What Optuna proposes depends on which trials have ended when it is asked.
    places = ("--concurrency", 1) if name == "optuna" else ()
    done = run("sweep", study, "--storage", tmp_path, "--name", "whole", *places)
    assert done.returncode == 0, done.stdout + done.stderr
    whole, sweep = tmp_path / "whole", tmp_path / "cut"
    total = len(finished(whole))

    # In the short form one kill of each sort, in the long one each kind once.
    kinds = chance.sample(KINDS, KILLS) if WHOLE else ["save", "everything", "trial"]
    marks = sorted(chance.sample(range(1, total - 4), KILLS))
    seen, driver = {}, None
    for kind, mark in zip(kinds, marks, strict=True):
        if driver is None or driver.poll() is not None:
            command = ("resume", sweep) if (sweep / "study.yaml").exists() else ("sweep", study, "--storage", tmp_path)
            driver = start(*command, *(("--name", "cut") if command[0] == "sweep" else ()), *places)
        wait(driver, lambda mark=mark: saved(sweep) >= mark, pause=0.02)
        seen |= finished(sweep)
        if strike(kind, driver, sweep, chance):
            output_of(driver)
            seen |= finished(sweep)
    output = output_of(driver)
    if driver.returncode != 0:
        done = run("resume", sweep, *places)
        assert done.returncode == 0, output + done.stdout + done.stderr
    end = finished(sweep)
    COUNT["lost"] += sum(end.get(key) != row for key, row in seen.items())
    COUNT["sweeps"] += 1
    COUNT["epochs"] += len(end)
    assert not COUNT["lost"]
    assert not COUNT["doubled"]
    for table in ("epochs", "decisions", "trials"):
        assert not difference(sweep, whole, table), table
    assert not list(sweep.rglob("*.tmp"))


def saved(sweep: Path) -> int:
    """Epochs that have been finished so far, by the names of the checkpoints."""
    newest: dict[str, int] = {}
    for path in sweep.glob("checkpoints/*/epoch-*.pt"):
        newest[path.parent.name] = max(newest.get(path.parent.name, 0), int(path.stem[-6:]))
    return sum(newest.values())
