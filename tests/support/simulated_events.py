"""A simulated sweep whose trials and driver write TensorBoard's files, as in a real one."""

import json
import math
import random

from simulation import WORKER, Simulation

from tune_at.recording.sweep_events import SweepEvents, write_declaration
from tune_at.recording.tensorboard import TrialEvents
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.training.record import EpochRecord


def overfitting(spec, epoch):
    """A robust accuracy that rises, and falls again after two thirds of the epochs; a tenth of the trials diverge."""
    rng = random.Random(json.dumps([spec.config, epoch], sort_keys=True))
    own = random.Random(json.dumps(spec.config, sort_keys=True))
    if own.random() < 0.1 and epoch > 2:
        return math.nan
    top, epochs = 0.3 + 0.25 * own.random() - 0.2 * spec.config["data"]["noise_rate"], spec.config["train"]["epochs"]
    fallen = max(0.0, epoch / epochs - 2 / 3) * 0.4
    return round(top * (1 - math.exp(-6 * epoch / epochs)) - fallen * top + 0.01 * rng.random(), 4)


def record_of(row, value):
    """What a trainer would have measured of a trial with this robust accuracy on the validation split."""
    epoch = row["epoch"]
    if math.isnan(value):
        return EpochRecord(epoch, row["lr"], {}, {"loss": math.nan}, 1.0, 0.5)
    robust = {"val": value, "test": value - 0.01, "train": value + 0.02 * epoch}
    metrics = {f"{split}_robust_accuracy": robust[split] for split in robust}
    metrics |= {f"{split}_natural_accuracy": robust[split] + 0.3 for split in robust}
    metrics |= {f"{split}_{kind}_loss": 2 - robust[split] for split in robust for kind in ("natural", "robust")}
    return EpochRecord(epoch, row["lr"], metrics, {"loss": 2.5 / epoch}, 1.0, 0.5)


class SimulatedEvents(Simulation):
    def __init__(self, folder, study, at_once=4, seed=0):
        super().__init__(folder, study, at_once, random.Random(seed), overfitting)

    def events(self, snapshot, unfinished):
        self.workers = {}
        folder = self.sweep.folder
        write_declaration(folder, {self.sweep.name: self.sweep.study})
        statuses = self.sweep.statuses(snapshot)
        return SweepEvents(folder, {name: status for name, status in statuses.items() if name not in unfinished})

    def _epoch(self, state):
        spec = self.run.ledger.spec(state)
        if state.name not in self.workers:
            history = [record_of(row, self.curve(spec, row["epoch"])) for row in self._rows(state.name)]
            self.workers[state.name] = TrialEvents(spec, spec.config_after(len(history)), history, WORKER["started"])
        # Before the driver hears of it, as a worker does.
        epoch = len(self.workers[state.name].history) + 1
        row = {"epoch": epoch, "lr": spec.config_after(epoch - 1).optim.lr}
        record = record_of(row, self.curve(spec, epoch))
        self.workers[state.name].add(record)
        if not record.finite or epoch == state.epochs:
            self.workers[state.name].close(Status.COMPLETED if record.finite else Status.DIVERGED)
        super()._epoch(state)

    def finish(self):
        """Let all trials end."""
        while self.step():
            pass
        self.run.ledger.events.close()


def finished_sweep(folder, text):
    """The folder of a sweep of a study with this text, of which all trials have ended."""
    (folder / "made.yaml").write_text(text)
    sweep = SimulatedEvents(folder / "s", Study.resolve(str(folder / "made.yaml")))
    sweep.finish()
    return sweep.folder
