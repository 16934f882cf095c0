"""A sweep's frames made of numbers: what a table or a figure would read from disk."""

import json

import pandas as pd

from analysis.frames import Frames, join
from tune_at.store.schema import TABLES

BEST, LAST = 3, 5


def config(objective="pgd_at", seed=0, **keys):
    """The leaves that tables read, with `data__noise_rate=0.5` and the like to change or add some."""
    tree = {
        "data": {"name": "digits", "noise_rate": 0.0, "crop": 0, "flip": False},
        "model": {"name": "small_cnn"},
        "objective": {"name": objective},
        "attack": {"norm": "linf", "eps": 0.1, "step": 0.025, "steps": 10},
        "optim": {"name": "sgd", "lr": 0.1, "weight_decay": 0.0},
        "train": {"epochs": LAST, "selection": "test"},
        "evaluation": {"steps": 10, "keep_attacking": True, "test_samples": "all"},
        "seed": seed,
    }
    for key, value in keys.items():
        section, name = key.split("__")
        tree[section][name] = value
    return tree


def trial(name, tree, evaluated=(), trained=None, status="completed", **columns):
    """One trial.

    `evaluated`: (attack, checkpoint, [(correct, natural correct) of each batch of 100]), checkpoint `best` or `final`.
    `trained`: {epoch: (train natural, train robust, test natural, test robust)}.
    """
    row = {"trial": name, "seed": tree["seed"], "status": status, "epochs": LAST, "best_epoch": BEST, **columns}
    names = ("train_natural", "train_robust", "test_natural", "test_robust")
    epochs = [
        {"trial": name, "epoch": epoch, **{f"{n}_accuracy": v for n, v in zip(names, four, strict=True)}}
        for epoch, four in (trained or {1: (None, None, None, None)}).items()
    ]
    batches = [
        {
            "trial": name, "checkpoint": {"best": "best", "final": f"epoch-{LAST:06d}"}.get(at, at),
            "epoch": {"best": BEST, "final": LAST}.get(at, 0), "split": "test", "attack": attack, "batch": number,
            "n": 100, "natural_correct": natural, "correct": correct, "accuracy": correct / 100, "settings": "{}",
        }
        for attack, at, counts in evaluated
        for number, (correct, natural) in enumerate(counts)
    ]  # fmt: skip
    return {**row, "config": json.dumps(tree)}, epochs, batches


def frames(*trials, seeds=1):
    """The frames of a sweep of such trials."""
    rows, epochs, batches = zip(*trials, strict=True)
    columns = TABLES["evaluations"].schema.names
    evaluations = pd.DataFrame([row for part in batches for row in part], columns=columns)
    joined = join(pd.DataFrame(rows), pd.DataFrame([row for part in epochs for row in part]))
    return Frames(*joined, seeds=seeds, read={"evaluations": evaluations}.__getitem__)


def both(best, final, natural=(90, 80), attack="pgd-10"):
    """An attack on one batch at both checkpoints."""
    return [(attack, "best", [(best, natural[0])]), (attack, "final", [(final, natural[1])])]
