"""Policies that judge trials together."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from tune_at.scheduling.board import Board, TrialState
from tune_at.scheduling.policies.base import Policy, Verdict


class Together(Policy):
    """Judges sets of trials that compare, each when all of its trials have reached a rung or have ended."""

    _board: Board | None = None
    _open: list[tuple[int, Sequence[int]]]
    """The sets on this board that are not settled."""

    @abstractmethod
    def brackets(self, board: Board) -> Iterator[tuple[int, Sequence[int]]]:
        """The (number, places in the sweep) of each set; places may not be drawn yet."""

    @abstractmethod
    def judge_bracket(
        self, bracket: int, members: Sequence[TrialState], arrived: Sequence[tuple[TrialState, int]]
    ) -> list[Verdict]:
        """Decisions about those that have `arrived` (trial, epoch) at a rung, decided already or not."""

    def decide(self, board: Board) -> list[Verdict]:
        """All decisions that can be made now, bracket by bracket and rung by rung."""
        verdicts: list[Verdict] = []
        if self._board is not board:
            self._board, self._open = board, list(self.brackets(board))
        done = set()
        for bracket, places in self._open:
            if places[-1] >= len(board.states):
                continue
            first = board.states[places[0]]
            if not (first.metrics or first.ended):
                continue  # all the others wait for it
            members = [board.states[place] for place in places]
            if any(self.due(member) for member in members):
                verdicts += self._judge(bracket, members)
            for member in members:
                member.settled = member.ended and self.due(member) is None
            if all(member.settled for member in members):
                done.add(bracket)
        if done:
            self._open = [item for item in self._open if item[0] not in done]
        return verdicts

    def _judge(self, bracket: int, members: Sequence[TrialState]) -> list[Verdict]:
        """The decisions about a set that can be made now, rung by rung, each entered on the board."""
        verdicts: list[Verdict] = []
        for rung in sorted({rung for member in members for rung in self.rungs(member)}):
            if any(self._before(member, rung) for member in members):
                break
            arrived = [(m, e) for m in members if (e := self._arrival(m, rung)) is not None]
            if all(epoch in member.decisions for member, epoch in arrived):
                continue
            for state, decision in self.judge_bracket(bracket, members, arrived):
                if decision.epoch in state.decisions:
                    continue  # what was decided before stays
                state.decide(decision)
                verdicts.append((state, decision))
        return verdicts

    def _arrival(self, state: TrialState, rung: int) -> int | None:
        return next((epoch for epoch, at in self.reached(state).items() if at == rung), None)

    def _before(self, state: TrialState, rung: int) -> bool:
        """Whether a trial may still reach the rung, or an earlier one, for the first time."""
        if state.ended:
            return False
        return state.last_evaluated < rung

    def waits_for(self, board: Board, state: TrialState) -> list[TrialState | None]:
        """The members of the trial's bracket that are not there yet."""
        epoch = self.due(state)
        if epoch is None:
            return []
        rung = self.reached(state)[epoch]
        for _, places in self.brackets(board):
            if state.index in places:
                known = [board.states[place] for place in places if place < len(board.states)]
                missing: list[TrialState | None] = [m for m in known if self._before(m, rung)]
                return missing + [None] * (len(places) - len(known))
        return []
