"""Hyperband: synchronous successive halving in brackets."""

import math
from collections.abc import Iterator, Sequence

from tune_at.config.scheduler import HyperBand
from tune_at.scheduling.board import Board, TrialState
from tune_at.scheduling.policies.base import Course, Marks, Replayed, Verdict, by_epoch
from tune_at.scheduling.policies.together import Together
from tune_at.study.groups import Group
from tune_at.study.judged import brackets_of, judged_trials
from tune_at.study.study import Study


class HyperBandPolicy(Together):
    """Hyperband (Li et al., 2018). The trials of a group fill brackets in order, the most aggressive bracket first.

    Bracket s has n = ceil((S + 1) / (s + 1) * eta^s) trials and its first rung at R / eta^s, where R is the longest
    trial and S = floor(log_eta R); at each rung ceil(n / eta) go on, as in Ray's. After the last bracket the first
    comes again. A bracket that the sweep cannot fill is halved by what it has.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config = study.scheduler
        assert isinstance(config, HyperBand)
        self.config, self.eta = config, config.eta
        self.filled = brackets_of(study, config, judged_trials(study).groups)
        self.halvings = {place: bracket.halvings for bracket in self.filled for place in bracket.places}
        """Of each trial's bracket, by the trial's place in the sweep."""

    def brackets(self, board: Board) -> Iterator[tuple[int, Sequence[int]]]:
        """The brackets, numbered in the order of their first trials."""
        yield from ((number, bracket.places) for number, bracket in enumerate(self.filled))

    def rungs(self, state: TrialState) -> Sequence[int]:
        """R / eta^s, R / eta^(s-1), ..., below R."""
        return self.config.rungs(self.longest, self.halvings[state.index])

    def judge_bracket(
        self, bracket: int, members: Sequence[TrialState], arrived: Sequence[tuple[TrialState, int]]
    ) -> list[Verdict]:
        """Keep the best ceil(n / eta); of equal ones those that started earlier."""
        state, epoch = arrived[0]
        halvings = 1 + list(self.rungs(state)).index(self.reached(state)[epoch])
        scored = [(self.score(m, e), m.index) for m, e in arrived]
        ranked, keep, cutoff = self.halved(len(members), halvings, scored)
        return [
            self.verdict(*arrived[at], scored[at][0], place >= keep, cutoff, bracket) for place, at in enumerate(ranked)
        ]

    def halved(self, size: int, halvings: int, scored: Sequence[tuple[float, int]]) -> tuple[list[int], int, float]:
        """How a bracket is halved.

        Args:
            size: the trials that it began with.
            halvings: how often it is halved by then, with this time.
            scored: (score, place in the sweep) of those that have arrived.

        Returns:
            Those that have arrived, best first, as places in `scored`; how many of them go on; the last one's score.
        """
        for _ in range(halvings):
            size = math.ceil(size / self.eta)
        ranked = sorted(range(len(scored)), key=lambda at: (-scored[at][0], scored[at][1]))
        return ranked, size, scored[ranked[min(size, len(ranked)) - 1]][0]

    def course(self, states: Sequence[TrialState]) -> Course:
        """Replay whole brackets."""
        return HyperBandCourse(self, states)


class HyperBandCourse:
    """Trials that fill brackets in any order."""

    def __init__(self, policy: HyperBandPolicy, states: Sequence[TrialState]) -> None:
        self.policy, self.states = policy, states
        self.groups = [policy.group(state) for state in states]
        self.known: dict[tuple[int, int], dict[int, tuple[int, float]]] = {}

    def arrivals(self, trial: int, halvings: int) -> dict[int, tuple[int, float]]:
        """By rung: the epoch at which a trial reaches it, and its score there."""
        if (key := (trial, halvings)) not in self.known:
            policy, state = self.policy, self.states[trial]
            rungs = policy.config.rungs(policy.longest, halvings)
            reached = Marks(0).follow(state.evaluated, rungs)
            self.known[key] = {rung: (epoch, policy.score(state, epoch)) for epoch, rung in reached.items()}
        return self.known[key]

    def play(self, order: Sequence[int], made: list[Replayed] | None = None) -> dict[int, int]:
        """See `Course`."""
        policy, stops = self.policy, dict[int, int]()
        places: dict[Group, list[int]] = {}
        for place, trial in enumerate(order):
            places.setdefault(self.groups[trial], []).append(place)
        for number, bracket in enumerate(brackets_of(policy.study, policy.config, list(places.values()))):
            rungs = policy.config.rungs(policy.longest, bracket.halvings)
            known = [(place, order[place], self.arrivals(order[place], bracket.halvings)) for place in bracket.places]
            for rung in sorted(set(rungs)):
                arrived = [(p, t, *at[rung]) for p, t, at in known if t not in stops and rung in at]
                if not arrived:
                    continue
                scored = [(score, place) for place, _, _, score in arrived]
                ranked, keep, cutoff = policy.halved(len(known), 1 + rungs.index(rung), scored)
                for rank, at in enumerate(ranked):
                    _, trial, epoch, score = arrived[at]
                    state, stop = self.states[trial], rank >= keep
                    if stop and epoch < state.epochs:
                        stops[trial] = epoch
                    if made is not None:
                        made.append(policy.replayed(trial, state, epoch, rung, number, score, cutoff, stop))
        return stops

    def judged(self, most: int) -> dict[int, dict[int, float]]:
        """See `Course`."""
        arrivals = (
            (rung, trial, epoch, score)
            for trial in range(len(self.states))
            for halvings in range(self.policy.config.most_halvings(self.policy.longest), 0, -1)
            for rung, (epoch, score) in self.arrivals(trial, halvings).items()
        )
        return by_epoch(arrivals, most)
