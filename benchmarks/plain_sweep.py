"""A sweep of small trials as a plain Ray Tune script has it: a function trainable, a new worker for each trial."""

import sys

import torch
from ray import tune
from sklearn.datasets import load_digits

from benchmarks.textbook import Images, Textbook, loader
from tune_at.models import build_model


def train(config: dict) -> None:
    """One trial."""
    torch.set_num_threads(1)
    bunch = load_digits()
    images, labels = bunch.images[:, None].astype("uint8"), bunch.target
    train_set = Images(images[:160], labels[:160], 16.0, False)
    test_set = Images(images[-360:], labels[-360:], 16.0, False)
    network = build_model("small_cnn", 10, 1, 8)
    plain = Textbook(network, "pgd_at", config["lr"], 0.1, 0.03, 10, 160)
    # Workers of a DataLoader would only make it slower here.
    batches, judged = loader(train_set, 40, True, 0), loader(test_set, 360, False, 0)
    for epoch in range(config["epochs"]):
        tune.report({"robust": plain.epoch(batches, judged, 10), "epoch": epoch})


if __name__ == "__main__":
    trials, epochs, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    space = {"lr": tune.grid_search([0.01 * 1.1**n for n in range(trials)]), "epochs": epochs}
    tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space=space,
        run_config=tune.RunConfig(storage_path=folder, name="plain", verbose=0),
    ).fit()
