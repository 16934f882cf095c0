"""A sweep's joined tables, small enough to work out by hand."""

import json

import pandas as pd

from analysis.frames import Frames, join


def frames(*cases, swept=(), seeds=1, **tables):
    """`cases`: (objective, {key: value}, {column: its values by epoch}); trials are named a, b, c, …

    Keys are those of the config, `data.noise_rate`, and seed, stage, status, best_epoch. `tables`: probes, samples, …
    """
    trials, epochs = [], []
    for trial, (objective, keys, curves) in zip("abcdefghijkl", cases, strict=False):
        keys = dict(keys)
        config = {"objective": {"name": objective}, "seed": keys.pop("seed", 0), "data": {"noise_rate": 1.0}}
        row = {"status": "completed", "best_epoch": 1, "stage": "main", "device": "cpu", "epochs": 2}
        row |= {key: keys.pop(key) for key in tuple(row) if key in keys}
        for key, value in keys.items():
            section, _, name = key.partition(".")
            config.setdefault(section, {})[name] = value
        trials.append({**row, "trial": trial, "seed": config["seed"], "config": json.dumps(config)})
        number = max(len(curve) for curve in curves.values())
        epochs += [
            {"trial": trial, "epoch": epoch + 1, **{column: curve[epoch] for column, curve in curves.items()}}
            for epoch in range(number)
        ]
    made = join(pd.DataFrame(trials), pd.DataFrame(epochs))
    empty = pd.DataFrame(
        {"trial": [], "epoch": [], "probe": [], "quantity": [], "x": [], "value": [], "checkpoint": []}
    )
    return Frames(*made, swept=tuple(swept), seeds=seeds, read=lambda table: tables.get(table, empty))


def point(objective, robust, status="completed", natural=0.9, **keys):
    """A case of `frames` with all accuracies and times; `data__noise_rate` is the key data.noise_rate."""
    keys = {key.replace("__", "."): value for key, value in keys.items()}
    keys = {"train.selection": "validation", "status": status, **keys}
    curves = {"val_natural_accuracy": [natural, 0.1], "val_robust_accuracy": [robust, 0.0], "train_seconds": [30.0] * 2,
              "train_robust_accuracy": [0.5, 0.8], "test_robust_accuracy": [0.4, 0.3],
              "train_natural_accuracy": [0.5, 0.9], "test_natural_accuracy": [0.4, 0.7]}  # fmt: skip
    return (objective, keys, curves)
