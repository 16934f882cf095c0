"""Trained networks for scripts of one's own, and for files that need no Tune-AT."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tune_at.config.trial import ResourcesSection, TrialConfig
from tune_at.engine.engine import Engine
from tune_at.errors import UserError, suggestion
from tune_at.store.layout import SweepFolder
from tune_at.store.snapshot import Snapshot
from tune_at.study.sweep import Sweep
from tune_at.training.record import SPLITS
from tune_at.training.snapshot import build_network, load_snapshot, read_checkpoint
from tune_at.wording import program, shell


class Examples(NamedTuple):
    """Images of a split: float32 (n, channels, height, width) in [0, 1], and their labels, int64 (n,).

    Of training images the labels are those that were trained on, noise and all.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Trained:
    """A network as a checkpoint has it, with what there is to say of it.

    Attributes:
        network: logits from images in [0, 1]; on the CPU, in eval mode, its parameters ask for no gradients.
        config: the trial's.
        epoch: after which it was so.
        metrics: the accuracies and losses of that epoch, by the columns of the table `epochs`.
    """

    network: nn.Module
    config: TrialConfig
    epoch: int
    metrics: dict[str, float]


def load_trained(sweep: str, trial: str, checkpoint: str = "best", split: str = "test") -> tuple[nn.Module, Examples]:
    """A trained network and the images of a split, on the CPU, whatever it was trained on.

        net, test = load_trained("runs/NAME", "00-pgd_at-s0")
        accuracy = (net(test.images).argmax(1) == test.labels).float().mean()

    Args:
        sweep: the sweep's folder or address.
        trial: its name, as tables and folders have it.
        checkpoint: `best`, `final`, `initial` (before training) or the number of an epoch that is kept.
        split: `train`, `val` or `test`.

    Returns:
        The network, for images in [0, 1]: if it normalises, it does so inside. In eval mode; its parameters ask for no
        gradients, images may. And the images with their labels.

    Raises:
        UserError: no such sweep, trial, checkpoint or split, or the data is not here; `load_network` needs no data.
    """
    folder, config, opened, _ = _find(sweep, trial)
    with _own_threads():
        snapshot = load_snapshot(folder, trial, checkpoint, config, opened.study.data, _on_cpu(config))
    images = snapshot.split(split)
    batch = images.take(torch.arange(len(images)))
    return snapshot.network, Examples(batch.x.contiguous(), batch.y)


def load_network(sweep: str, trial: str, checkpoint: str = "best") -> Trained:
    """A trained network alone; its data need not be here. Arguments and errors as in `load_trained`."""
    folder, config, opened, results = _find(sweep, trial)
    with _own_threads():
        state, config = read_checkpoint(folder, trial, checkpoint, config, opened.study.data)
        engine = Engine(torch.device("cpu"), config.train)
        network = build_network(state, checkpoint, config, engine)
    epoch = int(state["epoch"] if "epoch" in state else len(state["history"]))
    return Trained(network, config, epoch, _metrics(results, trial, epoch))


def _find(sweep: str, trial: str) -> tuple[SweepFolder, TrialConfig, Sweep, Snapshot]:
    opened = Sweep.open(sweep)
    opened.require_trained("name a sweep that was trained here, or of weights from elsewhere")
    results = opened.read()
    known = {one.name: one.config for one in opened.trials(results)}
    if trial not in known:
        near = suggestion(trial, list(known)) or f"`{shell(*program(), 'status', opened.folder)}` names them"
        raise UserError(f"trial {trial}", f"is not one of {opened.folder}", near)
    return opened.folder, known[trial], opened, results


def _metrics(results: Snapshot, trial: str, epoch: int) -> dict[str, float]:
    rows = results.frame("epochs")
    rows = rows[(rows["trial"] == trial) & (rows["epoch"] == epoch)]
    measured = [f"{split}_{kind}_accuracy" for split in SPLITS for kind in ("natural", "robust")]
    return {name: float(rows[name].iloc[0]) for name in measured if len(rows) and rows[name].notna().iloc[0]}


def _on_cpu(config: TrialConfig) -> ResourcesSection:
    return config.resources.model_copy(update={"gpu": 0})


@contextmanager
def _own_threads() -> Iterator[None]:
    """The caller's number of threads, which a trial's resources would change."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
