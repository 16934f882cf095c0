"""What a study may do, but hardly wants to: notes and warnings before it runs."""

import itertools
from collections.abc import Iterable, Sequence

from tune_at.config.scheduler import find_metric
from tune_at.study.groups import groups_of, telling_keys
from tune_at.study.judged import Judged, ends_within, judged_trials
from tune_at.study.study import Study
from tune_at.study.trials import Trial
from tune_at.wording import counted


def warnings_of(study: Study) -> list[str]:
    """One line for each thing that the trials' comparison suffers from, notes first."""
    groups = judged_trials(study)
    notes = [f"note: {line}" for line in (*study.notes, *_judged_apart(study, groups))]
    checks = (_learns_little, _not_judged, _against_seeds, _never_best, _confounded)
    warnings = [line for check in checks for line in check(study, groups)]
    return notes + [f"warning: {line}" for line in (*warnings, *study.data.left_out())]


def _judged_apart(study: Study, judged: Judged) -> list[str]:
    """Trials that a scheduler judges in groups."""
    sizes = sorted({len(group) for group in judged.groups})
    if not judged.keys or sizes[-1] < study.scheduler.least:
        return []
    each = " to ".join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))
    return [
        f"{study.scheduler.name} judges a trial only against those with the same {' and '.join(judged.keys)}, on which"
        f" {judged.metric} is measured: {counted(len(judged.groups), 'group')} of {each} trials"
    ]


def _not_judged(study: Study, judged: Judged) -> list[str]:
    """Groups that are too small for a scheduler."""
    name, least = study.scheduler.name, study.scheduler.least
    small = sum(len(group) < least for group in judged.groups)
    if not judged.keys or not small:
        return []
    keys, all_of_them = " and ".join(judged.keys), counted(len(judged.groups), "group")
    if small < len(judged.groups):
        return [
            f"{small} of {all_of_them} of equal {keys} {'has' if small == 1 else 'have'} fewer than {least} trials, so"
            f" that {name} stops none of them; give {keys} fewer values, or add trials"
        ]
    return [
        f"{_differ(judged.keys)} from trial to trial, so that {judged.metric} does not compare them: {name} judges only"
        f" trials for which what they are measured on is equal, needs {least} of these, and stops none; fix {keys} in"
        " base, give it fewer values, add trials, or set scheduler=fifo"
    ]


def _against_seeds(study: Study, judged: Judged) -> list[str]:
    """Groups of one point, in which a scheduler has only its seeds to compare."""
    if not judged.keys:
        return []
    trials, name, keys = study.trials(), study.scheduler.name, " and ".join(judged.keys)
    groups = [group for group in judged.groups if len(group) >= study.scheduler.least]
    alone = sum(not _varied(trials[place] for place in group) for group in groups)
    if not alone:
        return []
    return [
        f"{counted(alone, 'group')} of equal {keys} {'is' if alone == 1 else 'are each'} a single point, so that {name}"
        f" judges its seeds against each other alone; give {keys} fewer values, or set scheduler=fifo"
    ]


def _learns_little(study: Study, judged: Judged) -> list[str]:
    """A search that learns from its points, of which not all can be compared."""
    if not study.dynamic:
        return []
    metrics = [find_metric(written, study.selection, study.origin) for written in study.search.judged_by]
    metrics += [judged.metric] if study.scheduler.early else []
    lines = []
    for metric in dict.fromkeys(metrics):
        if keys := telling_keys(study.samples(), metric):
            group = "the largest group of points" if len(study.search.judged_by) == 1 else "the points"
            first = "" if len(study.search.judged_by) == 1 else " as for the first"
            learns = (
                f"{study.search.name} learns only from {group} for which it is measured on the same{first}, and draws"
                " at random where no two are"
            )
            lines.append(
                f"{_differ(keys)} from trial to trial, so that {metric} does not compare like with like: {learns};"
                f" fix {' and '.join(keys)} in base, a sweep for each value"
            )
    return lines[:1]


def _never_best(study: Study, judged: Judged) -> list[str]:
    """A search no two of whose points can be compared; a grid's stand side by side."""
    if study.scheduler.early or study.dynamic or not study.search.draws:
        return []
    points, metric = study.trials()[:: len(study.seeds)], "robust_accuracy"
    if len(points) < 2 or len(groups_of(points, metric)) < len(points):
        return []
    return [
        f"{_differ(telling_keys(points, metric))} from trial to trial, so that {metric} does not compare any two"
        " points, and none will be the best; fix what differs in base, or give it few values"
    ]


def _differ(keys: Sequence[str]) -> str:
    return f"{' and '.join(keys)} {'differ' if len(keys) > 1 else 'differs'}"


def _varied(trials: Iterable[Trial]) -> bool:
    """Whether trials differ in more than their seed."""
    return len({str(trial.swept) for trial in trials}) > 1


def _confounded(study: Study, judged: Judged) -> list[str]:
    """What a scheduler makes of a grid's order, within each group."""
    if study.search.draws or not study.scheduler.early:
        return []
    longest, trials = max(trial.config.train.epochs for trial in study.samples()), study.trials()
    varied = [group for group in judged.groups if _varied(trials[place] for place in group)]
    lines = (study.scheduler.warnings_on_grid(longest, ends_within(study, group)) for group in varied)
    return list(dict.fromkeys(itertools.chain.from_iterable(lines)))
