"""The driver's side of a running sweep: what to start next, and what follows from a result. Knows no Ray."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tune_at.scheduling.board import Board, TrialState
from tune_at.scheduling.ledger import Ledger
from tune_at.scheduling.policies.base import Policy, Verdict
from tune_at.store.failures import StorageFailed
from tune_at.store.status import Status

if TYPE_CHECKING:
    from tune_at.scheduling.proposals import Proposer

WORKER_RETRIES = 8
"""Times a trial is started again after its worker was lost; each time it continues from its newest checkpoint."""


class SweepRun:
    """The board of a sweep, its policy, its searcher and its ledger together."""

    def __init__(self, board: Board, policy: Policy, ledger: Ledger, proposer: "Proposer | None", at_once: int) -> None:
        self.board, self.policy, self.ledger, self.proposer = board, policy, ledger, proposer
        self.at_once = at_once
        self.launched: set[str] = set()
        """Trials that Tune has been given."""
        self.under_way: dict[str, TrialState] = {}
        """Of these, such as have not left Tune: of ten thousand trials nobody looks at all with each report."""
        self.changed: dict[str, TrialState] = {}
        """Trials about which something was decided, or that have left Tune, since the last look."""
        self._begun = 0
        """How many trials from the first on have been given to Tune, or have ended without it."""
        self.paused: set[str] = set()
        """Of these, such as have given up their worker until they are judged."""
        self.lost: Counter[str] = Counter()
        """How often Tune has given up a trial whose worker was lost."""
        self.restarted: set[str] = set()
        """Trials that were given another worker; it says that they run when it begins, whatever was decided by then."""
        self.drawn: list[TrialState] = []
        """Trials drawn or promoted since the last look, for the live view."""
        self.done: list[TrialState] = []
        """Trials that have ended and left their workers since the last look, for notices."""
        self.aborted = ""
        """Why no further trial is started, if so."""
        self.failure: StorageFailed | None = None
        """What the storage has failed with; nothing is decided any more."""
        self.ladder = ledger.sweep.study.ladder
        """The complete runs of each point, where the scheduler promotes from one to the next."""
        self.out: dict[str, int] = {}
        """How many longer runs there will not be, by the trial after which its point goes no further."""
        self.news = True
        """Whether anything has happened since the last decisions."""
        self._leave_out(board.states)
        self.decide()

    @property
    def most(self) -> int:
        """How many trials the sweep has or, by what is decided so far, may come to have."""
        if self.ladder is None:
            return max(self.board.total, len(self.board.states))
        return len(self.ladder.before) + len(self.ladder.runs) - sum(self.out.values())

    @property
    def active(self) -> int:
        """Trials that have a worker or are about to."""
        return sum(state.active for state in self.under_way.values())

    def report(self, name: str, result: Mapping[str, Any]) -> None:
        """Take a worker's result."""
        state, self.news = self.board.by_name[name], True
        for row in (*result.get("history", ()), result):
            if "epoch" in row:
                state.report(row["epoch"], row)
        state.worker = dict(result.get("worker", state.worker))
        if (status := Status(result["status"])).ended:
            state.status = status

    def decide(self) -> list[Verdict]:
        """Make and record all decisions that can be made now."""
        if self.failure is not None or not self.news:
            return []
        self.news = False
        verdicts = self.policy.decide(self.board)
        self.changed.update((state.name, state) for state, _ in verdicts)
        try:
            if verdicts:
                self.ledger.record(verdicts)
        except StorageFailed as error:
            self.fail(error)
            return []
        self._leave_out(state for state, _ in verdicts)
        self._promote(state for state, decision in verdicts if decision.action == "promote")
        return verdicts

    def _promote(self, states: Iterable[TrialState]) -> None:
        """Put the next runs of promoted trials on the board; after damage they may be there."""
        if self.ladder is not None:
            longer = (self.ladder.after[state.name] for state in states)
            self.drawn += self.board.add(trial for trial in longer if trial.name not in self.board.by_name)

    def _leave_out(self, states: Iterable[TrialState]) -> None:
        """Count the runs that there will not be, now that such a trial has diverged, failed or was not promoted."""
        if self.ladder is None:
            return
        for state in states:
            made = state.decisions.get(state.epochs)
            if state.status.void or (made is not None and made.action == "stop"):
                self.out[state.name] = self.ladder.above(state.epochs)

    def fail(self, error: StorageFailed) -> None:
        """The storage does not work any more: stop everything, so that `resume` finds what is written now."""
        self.failure, self.aborted = self.failure or error, str(error)

    def next_trial(self) -> TrialState | None:
        """The next trial to give to Tune, if there is a place for it; it counts as active from then on."""
        if self.aborted or self.active >= self.at_once or self.resumable():
            return None
        state = self._waiting()
        if state is None and self.proposer is not None and len(self.board.states) < self.board.total:
            self.news = True
            trials, proposal = self.proposer.propose(self.board)
            states = self.board.add(trials)
            for new in states:
                new.proposal = proposal
            try:
                self.ledger.record_drawn(states)
            except StorageFailed as error:
                self.fail(error)
                return None
            self.drawn += states
            state = states[0]
        if state is not None:
            state.active = True
            self.launched.add(state.name)
            self.under_way[state.name] = state
        return state

    def _waiting(self) -> TrialState | None:
        """The first trial that may start and that Tune has not been given."""
        states = self.board.states
        while self._begun < len(states) and not self._may_start(states[self._begun]):
            self._begun += 1
        later = (states[place] for place in range(self._begun, len(states)))
        known = (state for state in later if self._may_start(state))
        return self.policy.first(state for state in known if not self.policy.held(state))

    def _may_start(self, state: TrialState) -> bool:
        return not state.ended and state.name not in self.launched

    def to_follow(self) -> list[TrialState]:
        """The trials that may be another way than when this was last asked."""
        changed, self.changed = self.changed, {}
        return list((changed | self.under_way).values())

    def resumable(self) -> list[TrialState]:
        """Paused trials that have been judged and may go on, in order."""
        paused = sorted((self.board.by_name[name] for name in self.paused), key=lambda state: state.index)
        return [state for state in paused if not state.ended and not self.policy.held(state)]

    def place_wanted(self) -> bool:
        """Whether something could start if it had a place."""
        undrawn = self.proposer is not None and len(self.board.states) < self.board.total
        return not self.aborted and bool(undrawn or self._waiting() or self.resumable())

    def ended(self, name: str) -> None:
        """A trial has left Tune."""
        state = self.changed[name] = self.board.by_name[name]
        state.active, self.news = False, True
        self._leave_out([state])
        self.under_way.pop(name, None)
        self.paused.discard(name)
        if state.ended:
            self.done.append(state)
        if state.ended and self.failure is None:
            try:
                if state.status == Status.STOPPED and name in self.restarted:
                    self.ledger.write_stopped(state)
                self.ledger.fold([state])
            except StorageFailed as error:
                self.fail(error)

    def retry(self, name: str, times: int) -> bool:
        """Whether a trial that Tune has given up, after losing its worker `times` times, is none that has failed: it is
        given to Tune again, unless it was stopped meanwhile.

        Tune itself starts a trial again only if its worker dies while it trains. One that dies while no trial has it,
        between two trials, takes the next one with it.
        """
        self.lost[name] += 1
        self.ended(name)
        if self.board.by_name[name].ended:
            return True  # stopped while it had no worker: nothing is left to do for it
        again = max(self.lost[name], times) <= WORKER_RETRIES
        if again:
            self.launched.discard(name)
            self._begun = min(self._begun, self.board.by_name[name].index)
        return again
