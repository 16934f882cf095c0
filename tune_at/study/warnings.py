"""What a study may do, but hardly wants to: warnings before it runs."""

from collections.abc import Collection

from tune_at.config.scheduler import find_metric
from tune_at.study.comparison import is_measured_on
from tune_at.study.study import Study


def warnings_of(study: Study) -> list[str]:
    """One line for each choice that makes the trials' comparison unfair."""
    notes = [f"note: {line}" for line in study.notes]
    return notes + [
        f"warning: {line}" for line in (*_moving_targets(study), *_confounded(study), *study.data.left_out())
    ]


def _moving_targets(study: Study) -> list[str]:
    """Trials that are compared with each other, each by a metric of its own."""
    if not study.search.draws and not study.scheduler.early:
        return []  # a grid's trials stand side by side
    selection = study.selection
    written = list(study.search.judged_by)
    if study.scheduler.early:
        written.append(study.scheduler.metric)
    # What nothing else judges is ranked at the end, by robust accuracy.
    judged = [find_metric(m, selection, study.origin) for m in written or ["robust_accuracy"]]
    lines = []
    for metric in dict.fromkeys(judged):
        if keys := [key for key in _varied(study) if is_measured_on(key, metric, selection)]:
            verb = "differ" if len(keys) > 1 else "differs"
            lines.append(
                f"{' and '.join(keys)} {verb} from trial to trial, so that {metric}"
                " does not compare like with like and the easiest setting wins; fix it in base, or make it an axis"
                " without early stopping"
            )
    return lines


def _varied(study: Study) -> list[str]:
    """The keys in which the trials differ: those of a space or of axes with more than one value, mappings opened."""
    rows = [trial.swept for trial in study.samples()]
    columns = dict.fromkeys(column for row in rows for column in row)
    return [c.removesuffix(".name") for c in columns if len({str(row.get(c)) for row in rows}) > 1]


def _confounded(study: Study) -> Collection[str]:
    """What a scheduler makes of a grid's order."""
    if study.search.draws or not study.scheduler.early or not _varied(study):
        return []
    longest = max(trial.config.train.epochs for trial in study.samples())
    return list(study.scheduler.warnings_on_grid(longest, study.ends))
