"""What trials are measured on: a metric compares only trials for which that is equal.

This is the one rule by which the tables at a sweep's end, `status`, the live view, the best line, the figures,
searches and schedulers decide which trials stand beside each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

TRAINING_ONLY = frozenset(
    {
        "data.crop", "data.flip", "attack.steps", "evaluation.batch_size", "evaluation.every", "evaluation.train_every",
        "evaluation.train_samples",
    }
)  # fmt: skip
"""Keys of `data`, `attack` and `evaluation` that change how a trial learns, or what else is measured, but not what a
metric on the selection split is measured on."""

FIRST = ("data", "data.name", "attack.norm", "attack.eps", "data.noise_rate")
"""Keys that are named before others where several tell groups apart."""


@cache
def is_measured_on(key: str, metric: str, selection: str) -> bool:
    """Whether a metric on the selection split is measured on, or with, what a config's key says.

    Args:
        key: dotted path of a leaf, or of a named section.
        metric: `robust_accuracy` and the like, without a split.
        selection: `train.selection`, `validation` or `test`.
    """
    if key in TRAINING_ONLY:
        return False
    if key == "evaluation.test_samples":
        return selection == "test"
    section = key.partition(".")[0]
    return (
        section == "data"
        or key == "train.selection"
        or (section in ("attack", "evaluation") and metric.startswith("robust"))
    )


@dataclass(frozen=True)
class Comparison:
    """Trials in groups within which a metric compares like with like."""

    keys: tuple[str, ...]
    """The keys that tell the groups apart; none if all trials can be compared."""
    groups: tuple[int, ...]
    """The group of each trial, counted from 0 in the order of first appearance."""
    values: tuple[tuple[Any, ...], ...]
    """The values of `keys`, by group; None for a key that the group's configs lack."""

    @property
    def count(self) -> int:
        """The number of groups."""
        return len(self.values)

    def label(self, group: int) -> str:
        """`attack.norm=l2, attack.eps=16/255`."""
        known = zip(self.keys, self.values[group], strict=True)
        return ", ".join(f"{key}={plain(value)}" for key, value in known if value is not None)


def measured_on(config: Mapping[str, Any], metric: str) -> tuple[tuple[str, Any], ...]:
    """What a metric of one trial is measured on: equal for two trials if it compares them.

    Args:
        config: the trial's whole config as leaves by dotted path.
        metric: `robust_accuracy` and the like, without a split.
    """
    return tuple(sorted(_measured(config, metric).items()))


def compare(
    configs: Iterable[Mapping[str, Any]], metric: str = "robust_accuracy", within: Sequence[str] = ()
) -> Comparison:
    """Group trials by what `metric` is measured on.

    Args:
        configs: each trial's config as leaves by dotted path. Other keys are passed over, and so are absent values
            (None and NaN).
        metric: `robust_accuracy` and the like, without a split.
        within: further keys whose values must be equal: `SchedulerSection.compared_within`.
    """
    rows = [_measured(config, metric, within) for config in configs]
    # A key that some records lack is younger than they are, and tells nothing of them; but a key of `data` may belong
    # to one kind of data set alone.
    kinds: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(row.get("data.name"), []).append(row)
    everywhere = _common(rows)
    of_kind = {kind: _common(members) for kind, members in kinds.items()}
    rows = [
        {k: v for k, v in row.items() if k in (of_kind[row.get("data.name")] if k.startswith("data") else everywhere)}
        for row in rows
    ]
    keys = _telling(rows)
    numbers: dict[tuple[Any, ...], int] = {}
    groups = tuple(numbers.setdefault(tuple(row.get(key) for key in keys), len(numbers)) for row in rows)
    return Comparison(keys, groups, tuple(numbers))


def plain(value: Any) -> str:
    """A value as a person writes it, as in YAML; pixels as a fraction of 255 where the decimal would be long."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {plain(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(plain, value))}]"
    if not isinstance(value, float):
        return str(value)
    value = float(value)  # numpy's floats are long when they are written
    steps = value * 255
    if len(repr(value)) > 7 and 0 < value < 1 and abs(steps - round(steps)) < 1e-9:
        return f"{round(steps)}/255"
    return f"{value:.4g}"


def _measured(config: Mapping[str, Any], metric: str, within: Sequence[str] = ()) -> dict[str, Any]:
    selection = str(config.get("train.selection"))
    return {
        key: value if isinstance(value, str | int | float) else repr(value)
        for key, value in config.items()
        if value is not None and value == value and (is_measured_on(key, metric, selection) or key in within)
    }


def _common(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    return set.intersection(*(set(row) for row in rows)) if rows else set()


def _telling(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """As few keys as tell the same groups apart as all of them do; names stay, for other keys follow from them."""
    known = dict.fromkeys(key for row in rows for key in row)
    varied = [key for key in known if len({row.get(key) for row in rows}) > 1]
    keys = sorted(varied, key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST))

    def count(chosen: Sequence[str]) -> int:
        return len({tuple(row.get(key) for key in chosen) for row in rows})

    whole = count(keys)
    for key in reversed(keys):
        fewer = [other for other in keys if other != key]
        if not key.endswith(".name") and count(fewer) == whole:
            keys = fewer
    return tuple(keys)
