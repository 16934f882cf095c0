"""Trainer: one trial, epoch by epoch, with nothing of Ray."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tune_at.attacks.pgd import PGD
from tune_at.config.trial import TrialConfig
from tune_at.config.versions import SCHEMA
from tune_at.data.batches import Batch
from tune_at.data.identity import as_state, place_of, prepared, require_same
from tune_at.engine.engine import Engine, prepare_device
from tune_at.errors import UserError
from tune_at.evaluation.outcomes import evaluate
from tune_at.objectives.base import Step
from tune_at.seeding import derive_seed, generator
from tune_at.store.place import Where
from tune_at.store.status import Status
from tune_at.training.checkpoint import load_state, save_state
from tune_at.training.images import TrialImages
from tune_at.training.optim import build_optimizer, set_lr
from tune_at.training.record import EpochRecord, best_record
from tune_at.training.snapshot import NetworkSnapshot, build_objective, first_networks, make_network
from tune_at.training.teacher import load_teacher


class Observer(Protocol):
    """What may look on while a trainer trains. It changes nothing that a result depends on."""

    def before_update(self, snapshot: NetworkSnapshot, batch: Batch) -> None:
        """Called before each update with the batch that it is of, and the network that it changes.

        Its time does not count as training.
        """

    def state_dict(self) -> dict[str, Any]:
        """State that a checkpoint must hold."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""


class Trainer:
    """Trains the network of a config.

        for record in Trainer(config).epochs():
            print(record.epoch, record.metrics["test_robust_accuracy"])

    The same config gives the same numbers, bit for bit on a CPU, whether it is run at once, or stopped, saved and
    loaded between any two epochs. Sets torch's number of threads to `config.resources.cpu`.

    Attributes:
        history: the finished epochs.
        status: `running`, `completed`, or `diverged` once a loss was not finite.
    """

    def __init__(self, config: TrialConfig, teachers: Mapping[str, Where | None] | None = None) -> None:
        """Read the data and build the network.

        Args:
            config: the trial.
            teachers: for KD-SWA, the checkpoints of its `standard` and its `robust` teacher; None stands for an
                untrained network, of use only to try whether a trial runs.
        """
        data, source = prepared(config.data)
        self.config = config = config.model_copy(update={"data": data})
        if data.known is None or not data.known.recorded:  # what a sweep records obeyed the rules of its own version
            config.check()
        self.device = prepare_device(config.resources)
        self.engine = Engine(self.device, config.train)
        self.images = TrialImages.of(config, source, self.device)
        self.identity, self.data = self.images.identity, self.images.splits
        self.evaluation_index = self.images.evaluated
        self.objective = build_objective(config, len(self.data["train"]))
        self.model = first_networks(config, self.objective, self.engine)
        self.trained = self.objective.each(self.model, self.engine.compiled)
        self.optimizer = build_optimizer(config.optim, self.model.parameters())
        self.objective.teachers = {role: self._teacher(role, teachers or {}) for role in config.objective.teachers()}
        self.history: list[EpochRecord] = []
        self.observer: Observer | None = None
        """Looks on while it trains, and changes nothing."""

    @property
    def evaluated(self) -> nn.Module:
        """The network whose accuracy counts: the trained one, or what the objective makes of it (SWA's average)."""
        return self.objective.evaluated(self.model)

    def snapshot(self) -> NetworkSnapshot:
        """The network as it is now, with the trial's data: the trainer's own, for those who change nothing."""
        return self._snapshot_of(self.evaluated)

    def _snapshot_of(self, network: nn.Module) -> NetworkSnapshot:
        return NetworkSnapshot(self.config, len(self.history), network, self.engine, self.images)

    def _teacher(self, role: str, teachers: Mapping[str, Where | None]) -> nn.Module:
        """The network of a trial's checkpoint, frozen in eval mode."""
        if role not in teachers:
            name = self.config.objective.name
            raise UserError(
                f"{name}'s {role} teacher", "is missing", "run it in a study with stages, or pass teachers="
            )
        path = teachers[role]
        with torch.random.fork_rng(self.engine.cuda_devices):
            network = make_network(self.config, self.engine)
        if path is not None:
            load_teacher(network, role, path, self.device, self._require_data)
        return network.eval().requires_grad_(False)

    @property
    def status(self) -> Status:
        """`running`, `completed` or `diverged`."""
        if self.history and not self.history[-1].finite:
            return Status.DIVERGED
        return Status.COMPLETED if len(self.history) >= self.config.train.epochs else Status.RUNNING

    @property
    def best(self) -> EpochRecord | None:
        """The best epoch so far on the selection split."""
        return best_record(self.history, self.config.train.selection)

    def epochs(self) -> Iterator[EpochRecord]:
        """Run the epochs that are left, one an iteration."""
        while not self.status.ended:
            yield self.run_epoch()

    def run_epoch(self) -> EpochRecord:
        """Train and evaluate the next epoch."""
        epoch = len(self.history) + 1
        lr = self.config.optim.lr_at(epoch, self.config.train.epochs)
        set_lr(self.optimizer, lr)
        # Layers that draw from the global generator (dropout) get the epoch's own state, and the caller's comes back.
        with torch.random.fork_rng(self.engine.cuda_devices):
            torch.manual_seed(derive_seed(self.config.seed, "global", epoch))
            began = time.perf_counter()
            scalars = self._train(epoch)
            self.objective.epoch_end(self.model, epoch, self.config.train.epochs, self._clean_images(epoch))
            trained = time.perf_counter()
            finite = math.isfinite(scalars["loss"])
            metrics = self._evaluate(epoch) if finite and self._is_evaluated(epoch) else {}
            ended = time.perf_counter()
        record = EpochRecord(epoch, lr, metrics, scalars, trained - began - self._observed, ended - trained)
        self.history.append(record)
        return record

    def _train(self, epoch: int) -> dict[str, float]:
        train, config = self.data["train"], self.config
        rng = generator(self.device, config.seed, "attack", epoch)
        self._observed = 0.0
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device, dtype=torch.float64))
        self.model.train()
        for batch in train.shuffled(config.train.batch_size, config.data, config.seed, epoch):
            if self.observer is not None:
                began = time.perf_counter()
                self.observer.before_update(self._snapshot_of(self.objective.updated(self.model)), batch)
                self._observed += time.perf_counter() - began
            # Summed on the device: reading a number here would stop the epoch for it.
            for name, value in self._update(batch, epoch, rng).items():
                sums[name] += value * len(batch.y)
        means = torch.stack(list(sums.values())) / len(train)
        return dict(zip(sums, means.tolist(), strict=True))

    def _clean_images(self, epoch: int) -> Iterator[Tensor]:
        """The training images without augmentation, shuffled, in even batches of at least `train.batch_size`."""
        train = self.data["train"]
        order = torch.randperm(len(train), generator=generator("cpu", self.config.seed, "statistics", epoch))
        for part in order.to(self.device).tensor_split(len(train) // self.config.train.batch_size):
            yield train.take(part).x

    def _update(self, batch: Batch, epoch: int, rng: torch.Generator) -> dict[str, Tensor]:
        attacked = self.objective.each(self.model, self.engine.view) if self.config.objective.attacks else self.model
        step = Step(
            model=self.trained, attacked=attacked, x=batch.x, y=batch.y,
            index=batch.index, epoch=epoch, epochs=self.config.train.epochs, generator=rng,
        )  # fmt: skip
        with self.engine.precision():
            loss, scalars = self.objective.loss(step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach(), **scalars}

    def try_batch(self, samples: int, epoch: int | None = None) -> tuple[float, float]:
        """One update on `samples` training images and one evaluation of them: does this trial run at all?

        Changes the network; meant for a trainer that is thrown away.

        Args:
            samples: images in the batch.
            epoch: as if in this epoch; by default the last, since some of what an objective does comes late in a run.

        Returns:
            Seconds of the update with what follows an epoch, and of the evaluation by one step of PGD.
        """
        rng = generator(self.device, self.config.seed, "preflight")
        last = self.config.train.epochs
        keep = self.config.evaluation.keep_attacking
        attack = replace(PGD.of(self.config.attack), steps=1, keep_attacking=keep)
        with torch.random.fork_rng(self.engine.cuda_devices):
            self.model.train()
            batch = next(self.data["train"].shuffled(samples, self.config.data, self.config.seed, 1))
            began = time.perf_counter()
            self._update(batch, epoch or last, rng)
            self.objective.epoch_end(self.model, epoch or last, last, [batch.x])
            trained = time.perf_counter()
            attacked = self.engine.view(self.evaluated, exact=not keep)
            evaluate(self.evaluated, [batch], attack, rng, attacked).means()
        return trained - began, time.perf_counter() - trained

    def _is_evaluated(self, epoch: int, every: int = 1) -> bool:
        return epoch % (self.config.evaluation.every * every) == 0 or epoch == self.config.train.epochs

    def _evaluate(self, epoch: int) -> dict[str, float]:
        evaluation = self.config.evaluation
        spec = replace(PGD.of(self.config.attack), steps=evaluation.steps, keep_attacking=evaluation.keep_attacking)
        attacked = self.engine.view(self.evaluated, exact=not spec.keep_attacking)
        metrics: dict[str, float] = {}
        for name, images in self.data.items():
            if len(self.evaluation_index[name]) == 0 or (
                name == "train" and not self._is_evaluated(epoch, evaluation.train_every)
            ):
                continue
            batches = images.in_order(self.config.evaluation.batch_size, self.evaluation_index[name])
            rng = generator(self.device, self.config.seed, "evaluation", name, epoch)
            outcomes = evaluate(self.evaluated, batches, spec, rng, attacked)
            metrics |= {f"{name}_{metric}": value for metric, value in outcomes.means().items()}
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """The whole state between two epochs: tensors and plain values only."""
        return {
            "format": 1,
            "schema": SCHEMA,
            "config": self.config.as_json(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "objective": self.objective.state_dict(),
            "data": as_state(self.identity),
            "labels": self.data["train"].labels,
            "history": [asdict(record) for record in self.history],
            **({"observer": self.observer.state_dict()} if self.observer is not None else {}),
        }

    def _is_own(self, recorded: str) -> bool:
        """Whether a config that this version or an older one recorded means what this trial's says."""
        try:
            return TrialConfig.from_json(recorded).as_json() == self.config.as_json()
        except UserError:
            return False

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`'s result. Raises `ValueError` if it belongs to another config."""
        if not self._is_own(state["config"]):
            raise ValueError("the checkpoint belongs to a trial with another config")
        self._require_data(state, "when the checkpoint was written")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.objective.load_state_dict(state["objective"])
        self.data["train"].labels = state["labels"].to(self.device)
        self.history = [EpochRecord(**record) for record in state["history"]]
        if self.observer is not None and "observer" in state:
            self.observer.load_state_dict(state["observer"])

    def take_over(self, state: Mapping[str, Any], history: Sequence[EpochRecord]) -> None:
        """Go on from the state of another trial, of the same data and network, under this trial's own config.

        What PBT calls exploit: weights, the optimiser's moments, the objective's state and the labels are the other's;
        learning rate, momentum and whatever else the config says, and the `history`, are this trial's.
        """
        self._require_data(state, "when the other trial's checkpoint was written")
        self.model.load_state_dict(state["model"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        self.objective.load_state_dict(state["objective"])
        self.data["train"].labels = state["labels"].to(self.device)
        self.history = list(history)

    def _require_data(self, state: Mapping[str, Any], when: str) -> None:
        """Raise `UserError` unless a state that was saved is of this trainer's images; those of version 1 may be."""
        remedy = "restore it, or begin again without that state"
        require_same(state.get("data"), self.identity, when, place_of(self.config.data), remedy)

    def save(self, path: Where) -> None:
        """Write the whole state to a file, atomically."""
        save_state(path, self.state_dict())

    def load(self, path: Where) -> None:
        """Continue from a file that `save` wrote."""
        self.load_state_dict(load_state(path, self.device))
