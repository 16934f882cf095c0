"""Points that Optuna proposes, from what the sweep's tables say of the earlier ones."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from tune_at.config.scheduler import find_metric, is_loss
from tune_at.config.search import Optuna
from tune_at.config.space import Choice, Distribution
from tune_at.config.versions import FIRST
from tune_at.errors import UserError
from tune_at.scheduling.board import Board, TrialState
from tune_at.seeding import derive_seed
from tune_at.store.status import Status
from tune_at.study.exhaustion import space_size
from tune_at.study.groups import group_of, telling_keys
from tune_at.study.study import Study
from tune_at.study.trials import Trial

optuna.logging.set_verbosity(optuna.logging.ERROR)

ATTEMPTS = 200
"""Points that Optuna may propose in a row whose config is invalid, or that were drawn before; the later half at random,
because a sampler that has settled on a few choices goes on proposing them."""


class Proposer:
    """Asks Optuna for the next point.

    Each proposal starts from a study in memory that is built again from the board and a sampler whose seed follows from
    the proposal's number. So nothing of Optuna's has to be saved, and nothing is proposed again after a restart. A
    point stands for its trials of all seeds: completed ones count with their mean, a diverged or failed one makes the
    point FAIL, a stopped one PRUNED; what still runs is RUNNING.

    Points are compared where what they are measured on is equal: of a space over `attack.eps`, say, Optuna learns from
    the points of the largest group alone, and of the others only that they were drawn. Where no two points can be
    compared it learns nothing, and draws at random.

    A point that was drawn before would give the same numbers: Optuna is asked for another. What it never comes upon is
    taken from the list of all. NSGA-II proposes such points, as children that equal a parent, and TPE does in spaces of
    choices alone.
    """

    def __init__(self, study: Study) -> None:
        config = study.search
        assert isinstance(config, Optuna)
        self.study, self.config = study, config
        self.space = study.space
        self.distributions = {path: _as_optunas(ours) for path, ours in self.space.items()}
        self.metrics = [find_metric(written, study.selection, study.origin) for written in config.objectives]
        self.directions = [
            StudyDirection.MINIMIZE if is_loss(metric) else StudyDirection.MAXIMIZE for metric in self.metrics
        ]

        self.apart = any(telling_keys(study.samples(), metric) for metric in self.metrics)
        """Whether not all points of the space can be compared."""

    def propose(self, board: Board) -> tuple[list[Trial], str]:
        """The next point's trials, one a seed, and the JSON that tells later proposals of it."""
        per_point = len(self.study.seeds)
        number = len(board.states) // per_point
        asked = self._study(number)
        earlier = [board.states[at * per_point : (at + 1) * per_point] for at in range(number)]
        for states, compared in zip(earlier, self._compared(earlier), strict=True):
            asked.add_trial(self._told(states, compared))
        drawn = self._drawn(asked, board)
        for attempt in range(ATTEMPTS):
            if attempt == ATTEMPTS // 2:
                asked.sampler = RandomSampler(seed=derive_seed(self.config.seed, "another", number) % 2**32)
            trial = asked.ask(self.distributions)
            values = {path: self._value(path, trial.params[path]) for path in self.space}
            proposal = {"number": number, "params": trial.params, "attributes": asked.trials[-1].system_attrs}
            last = attempt == ATTEMPTS - 1
            try:
                point = self.study.point(number, values)
                if not drawn(trial.params, point) or (last and self.study.schema == FIRST):
                    return point, json.dumps(proposal)
            except UserError:
                # The space's corners were valid; this point within is not.
                if last and space_size(self.space) is None:
                    raise
            asked.tell(trial, state=OptunaState.FAIL)
        return self._left(number, drawn)

    def _drawn(self, asked: optuna.Study, board: Board) -> Callable[[dict[str, Any], list[Trial]], bool]:
        """Whether a point was drawn before: by what it resolves to; in schema version 1 by its parameters."""
        if self.study.schema == FIRST:
            before = [trial.params for trial in asked.get_trials(deepcopy=False)]
            return lambda params, point: params in before
        known = {self.study.identity(state.trial.config) for state in board.states}
        return lambda params, point: self.study.identity(point[0].config) in known

    def _left(self, number: int, drawn: Callable[[dict[str, Any], list[Trial]], bool]) -> tuple[list[Trial], str]:
        """A point that no sampler has come upon, from the list of all."""
        size = space_size(self.space) or 0
        start = derive_seed(self.config.seed, "left", number) % max(1, size)
        for params in itertools.islice(itertools.cycle(self._all_params()), start, start + size):
            values = {path: self._value(path, params[path]) for path in self.space}
            try:
                point = self.study.point(number, values)
            except UserError:
                continue
            if not drawn(params, point):
                return point, json.dumps({"number": number, "params": params, "attributes": {}})
        problem = f"holds no more than {number} points that differ"
        raise UserError(f"{self.study.origin}: search.space", problem, "begin a new sweep with a wider space")

    def _all_params(self) -> Iterator[dict[str, Any]]:
        """Optuna's parameters of each point of a finite space."""
        choices = [
            range(len(d.values)) if isinstance(d, Choice) else range(int(d.low), int(d.high) + 1)
            for d in self.space.values()
        ]
        return (dict(zip(self.space, point, strict=True)) for point in itertools.product(*choices))

    def _study(self, number: int) -> optuna.Study:
        seed = derive_seed(self.config.seed, "proposal", number) % 2**32
        sampler: BaseSampler
        if len(self.metrics) > 1:
            sampler = NSGAIISampler(population_size=self.config.startup, seed=seed)
        else:
            sampler = TPESampler(n_startup_trials=self.config.startup, multivariate=True, seed=seed)
        return optuna.create_study(sampler=sampler, directions=self.directions)

    def _compared(self, points: Sequence[Sequence[TrialState]]) -> list[bool]:
        """Which points are measured on the same as most are; of groups that are equally large, the first.

        What the others measured says nothing about these. With several objectives it is the group of the first point
        that counts, however large others become: NSGA-II's generations must not lose members that they had. Sweeps of
        schema version 1 compare all.
        """
        if self.study.schema == FIRST or not self.apart:
            return [True] * len(points)
        groups = [tuple(group_of(states[0].trial.config, metric) for metric in self.metrics) for states in points]
        if not groups:
            return []
        chosen = groups[0] if len(self.metrics) > 1 else max(groups, key=groups.count)
        return [group == chosen for group in groups]

    def _told(self, states: Sequence[TrialState], compared: bool = True) -> FrozenTrial:
        """A point as Optuna should know it. One that cannot be compared has nothing to tell: it is FAIL."""
        proposal = json.loads(states[0].proposal or "{}")
        known: dict[str, Any] = {
            "params": proposal["params"],
            "distributions": self.distributions,
            "system_attrs": proposal["attributes"],
        }
        statuses = {state.status for state in states}
        if not compared or any(status.void for status in statuses):
            return create_trial(state=OptunaState.FAIL, **known)
        if not all(state.ended for state in states):
            return create_trial(state=OptunaState.RUNNING, **known)
        if len(self.metrics) == 1 and Status.STOPPED in statuses:
            curve = self._curve(states)
            return create_trial(
                state=OptunaState.PRUNED, value=curve[max(curve)] if curve else None, intermediate_values=curve, **known
            )
        scores = [self.scores(state) for state in states]
        if None in scores:  # it ended without ever having been measured
            return create_trial(state=OptunaState.FAIL, **known)
        means = [sum(s[i] for s in scores if s) / len(scores) for i in range(len(self.metrics))]
        return create_trial(state=OptunaState.COMPLETE, values=means, **known)

    def scores(self, state: TrialState) -> list[float] | None:
        """A trial's objectives, at its best epoch or its last; None if nothing was measured."""
        if not state.metrics:
            return None
        epoch = max(state.metrics)
        if self.config.score == "best":
            # As best_record has it: robust accuracy, then natural, then the earlier epoch.
            keys = {e: (m["robust_accuracy"], m["natural_accuracy"], -e) for e, m in state.metrics.items()}
            epoch = max(keys, key=lambda e: keys[e])
        return [state.metrics[epoch][metric] for metric in self.metrics]

    def _curve(self, states: Sequence[TrialState]) -> dict[int, float]:
        """The mean of the metric over the seeds, at the epochs that all of them have."""
        common = set.intersection(*(set(state.metrics) for state in states))
        return {e: sum(state.metrics[e][self.metrics[0]] for state in states) / len(states) for e in sorted(common)}

    def _value(self, path: str, param: Any) -> Any:
        distribution = self.space[path]
        return distribution.values[param] if isinstance(distribution, Choice) else param


def _as_optunas(ours: Distribution) -> BaseDistribution:
    """Ours as Optuna's. A choice is the place of its value, since values may be mappings."""
    if isinstance(ours, Choice):
        return CategoricalDistribution(range(len(ours.values)))
    if ours.whole:
        return IntDistribution(int(ours.low), int(ours.high), log=ours.log)
    return FloatDistribution(ours.low, ours.high, log=ours.log)
