"""How a study's scheduler has its trials in groups: it judges a trial against such as are measured on the same."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tune_at.config.rungs import Bracket
from tune_at.config.scheduler import HyperBand, find_metric
from tune_at.config.versions import FIRST
from tune_at.study.groups import groups_of, telling_keys
from tune_at.study.study import Study


@dataclass(frozen=True)
class Judged:
    """The trials of a study as its scheduler compares them."""

    metric: str
    """Without a split."""
    groups: Sequence[Sequence[int]]
    """The places in the sweep of those that are judged against each other."""
    keys: tuple[str, ...] = ()
    """What tells the groups apart; none if there is one."""


def scheduler_metric(study: Study) -> str:
    """What the study's scheduler judges by, without a split."""
    return find_metric(study.scheduler.metric, study.selection, study.origin)


def is_apart(study: Study) -> bool:
    """Whether the scheduler's metric does not compare all of the trials.

    A sweep of schema version 1 judges all of its trials together, and goes on as it began.
    """
    if study.schema == FIRST or not study.scheduler.early:
        return False
    return len(groups_of(study.samples(), scheduler_metric(study))) > 1


def judged_trials(study: Study) -> Judged:
    """The groups in which a study's scheduler judges."""
    metric = scheduler_metric(study)
    # A search whose trials depend on results has one group: another is refused.
    if study.dynamic or not is_apart(study):
        return Judged(metric, [range(study.ends[-1])])
    trials = study.trials()
    groups = groups_of(trials, metric)
    return Judged(metric, groups, telling_keys([trials[group[0]] for group in groups], metric))


def ends_within(study: Study, group: Sequence[int]) -> list[int]:
    """How many trials a group has after the study's start and after each extension."""
    return [bisect_left(group, end) for end in study.ends]


def brackets_of(study: Study, scheduler: HyperBand, groups: Sequence[Sequence[int]]) -> list[Bracket]:
    """Hyperband's brackets, in the order of their first trials. Each group of trials fills brackets of its own."""
    longest = max(trial.config.train.epochs for trial in study.samples())
    brackets = [
        Bracket(bracket.halvings, [places[member] for member in bracket.places])
        for places in groups
        for bracket in scheduler.brackets(longest, ends_within(study, places))
    ]
    return sorted(brackets, key=lambda bracket: bracket.places[0])
