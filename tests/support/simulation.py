"""Sweeps whose trials learn along given curves: the whole engine but Ray and the training, in milliseconds a trial."""

import json
import math
import random
from datetime import UTC, datetime

from tune_at.config.scheduler import METRICS
from tune_at.recording.rows import write_trial
from tune_at.scheduling.driver import SweepRun
from tune_at.scheduling.ledger import Ledger
from tune_at.scheduling.policies import build_policy
from tune_at.scheduling.proposals import Proposer
from tune_at.store.fold import set_aside, unfold
from tune_at.store.parts import read_part
from tune_at.store.status import Status
from tune_at.store.writer import part_path, write_rows
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.training.checkpoint import save_state

WORKER = {
    "started": datetime(2026, 1, 2, tzinfo=UTC), "device": "cpu (simulated)", "peak_memory_mb": 1.0, "node": "here",
}  # fmt: skip
"""What each worker says of itself, beside its best epoch."""


def worker_of(rows):
    """What a worker says of itself after these epochs."""
    scores = {row["epoch"]: row.get("val_robust_accuracy") for row in rows}
    known = {epoch: score for epoch, score in scores.items() if score is not None}
    return {**WORKER, "best_epoch": max(known, key=known.__getitem__, default=None)}


BASE = """\
title: Simulated
base: {data: {name: digits, subset: 64}, train: {epochs: %(epochs)d, batch_size: 32}, evaluation: {every: %(every)d}}
seeds: %(seeds)s
search: {algorithm: %(search)s, trials: %(trials)d, space: {optim.lr: {loguniform: [0.001, 0.5]}}}
scheduler: %(scheduler)s
"""


def make_study(folder, scheduler, trials=14, epochs=27, every=1, search="random", seeds="[0]"):
    path = folder / "simulated.yaml"
    values = {"scheduler": scheduler, "trials": trials, "epochs": epochs, "every": every}
    path.write_text(BASE % {**values, "search": search, "seeds": seeds})
    return Study.resolve(str(path))


def curve(spec, epoch):
    """A robust accuracy that depends on everything it should: the learning rate, the epoch, and what was exploited.

    Some trials diverge; then it is NaN.
    """
    lr = spec.config["optim"]["lr"]
    ancestry = json.dumps([[step["epoch"], step["source"], step["changes"]] for step in spec.lineage])
    noise = random.Random(f"{lr} {spec.config['seed']} {epoch} {ancestry}").random()
    if random.Random(f"{lr}").random() < 0.1 and epoch > 4:
        return math.nan
    return round((1 - math.exp(-epoch * lr * 5)) * 0.8 + 0.2 * noise, 2)  # rounded, so that there are ties


class Simulation:
    """A sweep in a folder, driven one epoch of one trial at a time in an order that `order` draws."""

    def __init__(self, folder, study, at_once, order, curve=curve):
        self.folder, self.at_once, self.order, self.curve = folder, at_once, order, curve
        if not folder.exists():
            Sweep(folder, study).create()
        self.restart()

    def restart(self):
        """What `resume` does: everything from the folder."""
        self.sweep = Sweep.open(str(self.folder))
        snapshot = self.sweep.read()
        unfinished = {trial.name for trial in self.sweep.unfinished(snapshot)}
        set_aside(self.sweep.folder, snapshot)
        unfold(self.sweep.folder, snapshot, unfinished)
        study = self.sweep.study
        policy = build_policy(study)
        ledger = Ledger(self.sweep, policy, events=self.events(snapshot, unfinished))
        known = self.sweep.trials(snapshot)
        board = ledger.load(known, len(known) if study.lengths else study.size, unfinished, snapshot)
        self.run = SweepRun(board, policy, ledger, Proposer(study) if study.dynamic else None, self.at_once)
        self.at = {}

    def events(self, snapshot, unfinished):
        """What tells TensorBoard; nobody here."""

    def step(self):
        """One turn; False once nothing is left."""
        run = self.run
        while run.active < run.at_once and (state := next(iter(run.resumable()), None)):
            run.paused.discard(state.name)
            state.active = True
        while run.next_trial() is not None:
            pass
        active = [state for state in run.board.states if state.active]
        ready = [state for state in active if not run.policy.held(state)]
        if ready:
            self._epoch(self.order.choice(ready))
        elif active:
            assert run.place_wanted(), "all are held and none can start"
            state = self.order.choice(active)
            state.active = False
            run.paused.add(state.name)
        elif run.failure is not None:
            return False
        else:
            assert run.board.complete, "nothing runs, and trials are left"
            return False
        return True

    def _epoch(self, state):
        spec = self.run.ledger.spec(state)
        # From what is in the store, like a worker that comes back from its checkpoint.
        epoch = self.at.get(state.name, state.epoch) + 1
        if epoch > 1 and self._status(state, epoch - 1, self.curve(spec, epoch - 1)).ended:
            epoch -= 1  # some of its rows were damaged after it had ended: it reports its end again
        lr = spec.config_after(epoch - 1).optim.lr
        value = self.curve(spec, epoch)
        every = state.trial.config.evaluation.every
        evaluated = math.isfinite(value) and (epoch % every == 0 or epoch == state.epochs)
        row = {"epoch": epoch, "lr": lr} | ({f"val_{metric}": value for metric in METRICS} if evaluated else {})
        rows = [*self._rows(state.name)[: epoch - 1], {"trial": state.name, **row}]
        folder = self.sweep.folder
        if self.run.policy.copies:
            save_state(folder.checkpoint(state.name, epoch), {"epoch": epoch})
        write_rows(folder, "epochs", state.name, rows)
        status = self._status(state, epoch, value)
        worker = worker_of(rows)
        write_trial(spec, status, epochs=epoch, **worker)
        self.at[state.name] = epoch
        self.run.report(state.name, {**row, "status": status, "worker": worker})
        self.run.decide()
        for other in self.run.board.states:
            if other.ended and (other.active or other.name in self.run.paused):
                self.run.ended(other.name)

    def _status(self, state, epoch, value):
        return Status.DIVERGED if math.isnan(value) else Status.COMPLETED if epoch == state.epochs else Status.RUNNING

    def _rows(self, trial):
        path = part_path(self.folder, "epochs", trial)
        return read_part(path).to_pylist() if path.exists() else []
