"""The board on disk: read back from a sweep's tables, and each decision written before it takes effect."""

import contextlib
import json
import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tune_at.config.probes import probe_tree
from tune_at.config.scheduler import METRICS
from tune_at.config.section import SELECTION_SPLITS
from tune_at.config.trial import TrialConfig
from tune_at.recording.rows import worker_columns, write_stopped, write_trial
from tune_at.recording.run_folders import RunFolders
from tune_at.recording.spec import TrialSpec
from tune_at.scheduling.board import Board, Decision, TrialState
from tune_at.scheduling.decision_text import decision_text
from tune_at.scheduling.policies.base import Policy, Verdict
from tune_at.store.failures import StorageFailed
from tune_at.store.files import write_whole
from tune_at.store.fold import BATCH, fold
from tune_at.store.snapshot import Snapshot
from tune_at.store.status import Status
from tune_at.store.writer import write_rows
from tune_at.study.sweep import Sweep, write_point
from tune_at.study.trials import Trial

if TYPE_CHECKING:
    from tune_at.recording.sweep_events import SweepEvents


class Ledger:
    """Keeps a sweep's `decisions` and the trials that a searcher has drawn."""

    def __init__(
        self, sweep: Sweep, policy: Policy, gpus: Callable[[TrialConfig], float] = lambda config: 0.0,
        events: "SweepEvents | None" = None,
    ) -> None:  # fmt: skip
        """`gpus`: how much of a GPU a trial takes, for its spec. `events`: TensorBoard, if it is told too."""
        self.sweep, self.policy, self.gpus, self.events = sweep, policy, gpus, events
        self.folders = RunFolders(sweep.study)
        self.unfolded: set[str] = set()
        """Trials that have ended since their rows were last folded."""
        self.stopped: set[str] = set()
        """Trials whose rows said so before: with what their workers knew, which nobody here does any more."""

    def load(
        self, trials: Sequence[Trial], total: int, unfinished: Container[str], snapshot: Snapshot | None = None
    ) -> Board:
        """The board as the tables have it. A trial that failed before is tried again: it counts as unfinished."""
        snapshot = snapshot or self.sweep.read()
        board = Board(total)
        board.add(trials)
        statuses = self.sweep.statuses(snapshot)
        drawn = self.sweep.drawn(snapshot) if self.sweep.study.dynamic else []
        proposals = {trial.name: proposal for trial, proposal in drawn}
        for state in board.states:
            state.status = statuses.get(state.name, Status.PENDING)
            state.proposal = proposals.get(state.name)
            if state.name in unfinished:
                state.status = Status.PENDING
        self.stopped = {state.name for state in board.states if state.status is Status.STOPPED}
        for row in snapshot.frame("decisions").to_dict("records"):
            if row["trial"] in board.by_name:
                board.by_name[row["trial"]].decisions[row["epoch"]] = _decision(row)
        columns = ["epoch", *(f"{split}_{metric}" for split in SELECTION_SPLITS.values() for metric in METRICS)]
        # Some at a time: as rows of Python's, two million epochs would take two gigabytes.
        for batch in snapshot.arrow("epochs").select(["trial", *columns]).to_batches(max_chunksize=2**14):
            for row in batch.to_pylist():
                if row["trial"] in board.by_name:
                    board.by_name[row["trial"]].report(row["epoch"], row)
        rows = snapshot.arrow("trials")
        told, began = (
            dict(zip(rows["trial"].to_pylist(), rows[column].to_pylist(), strict=True))
            for column in ("epochs", "started")
        )
        for state in board.states:
            if not state.ended:
                if state.epoch > told.get(state.name, 0):
                    # Its row was damaged, or its worker was killed between its epochs and this row: only a worker
                    # knows all of it, and says so with its newest epoch.
                    state.forget(state.epoch)
                self._settle_stop(state)
                self._forget_unsaved(state)
        # A sweep that is killed every few trials is folded, too.
        parts = frozenset[str]().union(*snapshot.own.values())
        self.unfolded = {state.name for state in board.states if state.ended and state.name in parts}
        for name in sorted(self.unfolded):
            self.tell_end(board.by_name[name], began.get(name))  # a driver that was killed may not have
        return board

    def fold(self, ended: Iterable[TrialState]) -> None:
        """Take note of trials that have ended and left their workers; fold their rows once they are many.

        Raises `StorageFailed`; then they are as they were.
        """
        ended = list(ended)
        for state in ended:
            self.tell_end(state)
        self.unfolded |= {state.name for state in ended}
        if len(self.unfolded) >= BATCH:
            fold(self.sweep.folder, self.unfolded)
            self.unfolded.clear()

    def tell_end(self, state: TrialState, began: datetime | None = None) -> None:
        """Tell TensorBoard how a trial has ended, as far as its storage lets us: the tables have it all.

        `began`: when its first epoch did, where its worker has not said so to this driver.
        """
        if self.events is None:
            return
        with contextlib.suppress(StorageFailed):
            began = began or (state.worker or worker_columns(self.sweep.folder, state.name)).get("started")
            self.events.ended(self.spec(state), state.status, state.epoch, began, self._texts(state))

    def _texts(self, state: TrialState) -> dict[int, str]:
        name, metric = self.policy.name, self.policy.metric
        return {epoch: decision_text(decision, name, metric) for epoch, decision in state.decisions.items()}

    def _settle_stop(self, state: TrialState) -> None:
        """Finish what was killed between the decision to stop a trial and its row."""
        # At a run's last epoch it is the point that was stopped, and not the run.
        decided = state.decisions.values()
        stops = [made.epoch for made in decided if made.action == "stop" and made.epoch < state.epochs]
        if stops and state.epoch >= stops[0]:
            state.status = Status.STOPPED
            self.write_stopped(state)
        elif stops:  # its rows were damaged: it is run again up to there, and stopped again
            del state.decisions[stops[0]]

    def _forget_unsaved(self, state: TrialState) -> None:
        """Others may go on from the checkpoint of a held trial: without a good one its epoch is run again first."""
        epoch = self.policy.due(state)
        if state.ended or epoch is None or not self.policy.copies:
            return
        from tune_at.training.checkpoint import DamagedCheckpoint, load_state  # torch

        try:
            load_state(self.sweep.folder.checkpoint(state.name, epoch))
        except (OSError, DamagedCheckpoint):
            state.forget(epoch)

    def record(self, verdicts: Iterable[Verdict]) -> None:
        """Write decisions, and what follows from them, before anybody acts on them. Writing them again is harmless."""
        verdicts = list(verdicts)
        folder = self.sweep.folder
        for state, decision in verdicts:
            if decision.source is not None:
                self._copy(state, decision)
        for state in {state.index: state for state, _ in verdicts}.values():
            rows = [self._row(state, decision) for _, decision in sorted(state.decisions.items())]
            write_rows(folder, "decisions", state.name, rows)
        for state, decision in verdicts:
            if decision.action == "stop" and state.status == Status.STOPPED and state.name not in self.stopped:
                self.write_stopped(state)
            elif decision.action == "stop" and self.sweep.study.lengths:
                folder.branch(state.name).unlink(missing_ok=True)  # no longer run will begin with it
            if self.events is not None:
                self.events.decided(self.spec(state), self._texts(state), [decision.epoch])

    def write_stopped(self, state: TrialState) -> None:
        """Write the row of a trial that the scheduler has stopped. Raises `StorageFailed`."""
        # After a restart a trial may be stopped by what its tables say, before its worker has said anything.
        worker = state.worker or worker_columns(self.sweep.folder, state.name)
        write_stopped(self.spec(state), state.epoch, worker)

    def _copy(self, state: TrialState, decision: Decision) -> None:
        """Keep the checkpoint that a trial goes on from: once its source runs on, that will prune it."""
        from tune_at.training.checkpoint import DamagedCheckpoint, load_state  # torch

        copy = self.spec(state).exploit_path(decision.epoch)
        source = self.sweep.folder.checkpoint(str(decision.source), decision.epoch)
        with contextlib.suppress(FileNotFoundError, DamagedCheckpoint):
            load_state(source)
            write_whole(copy, source.read_bytes())
        if not copy.exists():
            # A trial that failed, and is tried again when the others are long past this round, goes on as it is.
            state.decisions[decision.epoch] = replace(decision, action="continue", source=None, changes=None)

    def _row(self, state: TrialState, decision: Decision) -> dict[str, Any]:
        return {
            "trial": state.name,
            "epoch": decision.epoch,
            "scheduler": self.policy.name,
            "rung": decision.rung,
            "bracket": decision.bracket,
            "metric": self.policy.metric,
            "value": decision.value,
            "cutoff": decision.cutoff,
            "action": decision.action,
            "source": decision.source,
            "changes": None if decision.changes is None else json.dumps(dict(decision.changes)),
            "decided": decision.decided,
        }

    def record_drawn(self, states: Sequence[TrialState]) -> None:
        """Write the trials of a new point twice: what was drawn once is not drawn again, whatever file is damaged."""
        write_point(self.sweep.folder, [self.spec(state).as_dict() for state in states])
        for state in states:
            write_trial(self.spec(state), Status.PENDING, node=None, versions=None)

    def _branches(self, trial: Trial) -> dict[str, Any]:
        """Where the trial leaves its state for the next run of its point, and which run's state it begins with."""
        study = self.sweep.study
        if study.ladder is None or study.probes:  # what a probe measures in an epoch is not in a state
            return {}
        shorter, longer = study.ladder.before.get(trial.name), study.ladder.after.get(trial.name)
        leaves = trial.config.shared_epochs(longer.config.train.epochs) if longer else 0
        shared = trial.config.shared_epochs(shorter.config.train.epochs) if shorter else 0
        return {"leaves": leaves, "begins": {"source": shorter.name, "epoch": shared} if shorter and shared else {}}

    def spec(self, state: TrialState) -> TrialSpec:
        """What the trial's worker has to know."""
        trial = state.trial
        exploits = [d for _, d in sorted(state.decisions.items()) if d.source is not None]
        return TrialSpec(
            folder=str(self.sweep.folder),
            sweep=self.sweep.name,
            study=self.sweep.study.name,
            stage=trial.stage,
            trial=trial.name,
            config=trial.config.as_tree(),
            swept=dict(trial.swept),
            teachers=dict(trial.teachers),
            **self._branches(trial),
            lineage=[{"epoch": d.epoch, "source": d.source, "changes": dict(d.changes or {})} for d in exploits],
            proposal=state.proposal,
            gpu=self.gpus(trial.config),
            run=self.folders.of(trial.name, trial.swept, trial.stage),
            data=self.sweep.study.data.only([trial.config.data]),
            probes=[probe_tree(probe) for probe in self.sweep.study.probes],
            schema=self.sweep.study.schema,
        )


def _decision(row: Mapping[Any, Any]) -> Decision:
    cutoff, source, changes = row["cutoff"], row["source"], row["changes"]
    return Decision(
        int(row["epoch"]), int(row["rung"]), row["value"], None if _missing(cutoff) else cutoff, row["action"],
        int(row["bracket"]), None if _missing(source) else source, None if _missing(changes) else json.loads(changes),
        row["decided"].to_pydatetime(),
    )  # fmt: skip


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
