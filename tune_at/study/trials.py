"""The points of a study: their names, and the columns that tell them apart."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_at.config.tree import Tree, get_path, leaves, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.errors import UserError


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


def find_teacher(config: TrialConfig, objective: str, earlier: Sequence[Trial]) -> str:
    """The trial of an earlier stage that `objective` trained with the same data, model, attack and seed."""
    found = [t for t in earlier if t.config.objective.name == objective and t.config.seed == config.seed]
    alike = [t for t in found if all(getattr(t.config, s) == getattr(config, s) for s in ("data", "model", "attack"))]
    # Of several, those that are trained like the student.
    for section in ("optim", "train"):
        alike = [t for t in alike if getattr(t.config, section) == getattr(config, section)] or alike
    same = [trial.name for trial in alike]
    if len(same) == 1:
        return same[0]
    where = f"{config.objective.name}'s teacher {objective!r}"
    if same:
        raise UserError(where, f"could be any of {', '.join(same)}", "let the earlier stages have one such trial")
    if found:
        raise UserError(where, f"{found[0].name} has other data, another model or another attack", "give both the same")
    raise UserError(where, "is no trial of an earlier stage", "write stages: {teachers: …, students: …}")


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
    try:
        value = get_path(config.as_tree(), path)
    except KeyError:
        return None
    return value["name"] if isinstance(value, Mapping) else value


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


def trial_name(index: str, swept: Mapping[str, Any], seed: int) -> str:
    """A trial's name: its place in the grid, its swept values and its seed, safe as a file's name."""
    parts = []
    for path, value in swept.items():
        if value is None:
            continue
        if path in NAMED_SECTIONS or path.removesuffix(".name") in NAMED_SECTIONS:
            parts.append(str(value))
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            parts.append(f"{path.rpartition('.')[2]}={shown}")
    text = re.sub(r"[^A-Za-z0-9_.=+-]+", "_", "-".join(parts))[:80]
    return "-".join(filter(None, (index, text, f"s{seed}")))
