"""The points of a study: their names, and the columns that tell them apart."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_at.config.section import Section
from tune_at.config.tree import Tree, leaves, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig


@dataclass(frozen=True)
class Trial:
    """One point of a study. `swept` maps each axis to the value it has here."""

    name: str
    config: TrialConfig
    swept: Mapping[str, Any]
    stage: str = "main"
    teachers: Mapping[str, str] = field(default_factory=dict)
    """Names of trials of earlier stages, by the role they have for this one."""


def override(base: Tree, axes: dict[str, list[Any]], key: str, value: Any) -> None:
    """Replace the values of an axis, or else a key of the base, in place. A list of named sections is an axis."""
    if key in axes or (key in NAMED_SECTIONS and isinstance(value, list)):
        axes[key] = value if isinstance(value, list) else [value]
    else:
        set_path(base, key, value, NAMED_SECTIONS)


def swept_columns(axes: Mapping[str, list[Any]]) -> list[str]:
    """The dotted paths that tell a study's points apart: its axes, and what their mappings set beside a name."""
    columns: list[str] = []
    for path, values in axes.items():
        mappings = [value for value in values if isinstance(value, Mapping)]
        if path in NAMED_SECTIONS or not mappings:
            columns.append(path)
        columns += [f"{path}.{leaf}" for value in mappings for leaf, _ in leaves(value) if leaf != "name"]
    return list(dict.fromkeys(columns))


def swept_value(config: TrialConfig, path: str) -> Any:
    """The resolved value at a swept path: a named section's name, and None for a key that its type lacks."""
    value: Any = config
    for part in path.split("."):
        value = getattr(value, part, None) if isinstance(value, Section) and part in type(value).model_fields else None
    if isinstance(value, Section):
        return getattr(value, "name", None)
    return list(value) if isinstance(value, tuple) else value


def mixed_columns(rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The columns whose values are not all numbers, or not all of one type."""
    mixed = set()
    for column in dict.fromkeys(key for row in rows for key in row):
        kinds = {type(row[column]) for row in rows if row[column] is not None}
        if not (kinds <= {int, float} or len(kinds) == 1) or kinds & {list, dict}:
            mixed.add(column)
    return frozenset(mixed)


def alike(rows: Sequence[Mapping[str, Any]], mixed: Collection[str]) -> list[dict[str, Any]]:
    """Rows with each column of one type: numbers stay, anything mixed becomes a string."""
    return [
        {k: v if k not in mixed or v is None else v if isinstance(v, str) else json.dumps(v) for k, v in row.items()}
        for row in rows
    ]
