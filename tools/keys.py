"""The page of every key of a study, made from the sections in `tune_at/config`: `python -m tools.reference`."""

import re
import typing
from collections.abc import Iterator, Sequence
from copy import copy
from fractions import Fraction
from operator import attrgetter
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types as limits
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tune_at.config.attack import AttackSection
from tune_at.config.data import DATASETS, DataSection
from tune_at.config.model import MODELS, ModelSection
from tune_at.config.objective import OBJECTIVES, ObjectiveSection
from tune_at.config.optim import OPTIMIZERS, SCHEDULES, OptimSection, ScheduleSection
from tune_at.config.probes import PROBES, ProbeSection
from tune_at.config.scheduler import FIFO, SCHEDULERS, SchedulerSection
from tune_at.config.search import SEARCHERS, Grid, SearchSection
from tune_at.config.section import Moment, Section, parse_fraction
from tune_at.config.trial import EvaluationSection, ResourcesSection, TrainSection, TrialConfig
from tune_at.registry import Registry
from tune_at.study.file import StudyFile

HEAD = """\
# Every key

A study is one YAML file ([how to write one](../studies.md)). Below `base` stand the sections of a trial; a key is named
by its dotted path in `axes`, in presets, and in `--set data.noise_rate=0.4`. What is left out has its default. A
section with a `name` may be given as that name alone: `objective: trades`.

- A *length in pixels* is on [0, 1], and may be written as a fraction: `8/255`.
- A *moment of the run* is an epoch, or, below 1, a share of the run's epochs: `0.5` of 200 epochs is epoch 100.
- A *distribution* is one of `uniform`, `loguniform`, `int` and `logint` with its bounds, `{uniform: [LOW, HIGH]}`, or
  `{choice: [A, B]}`.

`python -m tools.reference` makes this page from the code.
"""

PLAIN: tuple[tuple[str, type[Section]], ...] = (
    ("attack", AttackSection),
    ("train", TrainSection),
    ("evaluation", EvaluationSection),
    ("resources", ResourcesSection),
)
NAMED: tuple[tuple[str, Registry, type[Section]], ...] = (
    ("data", DATASETS, DataSection),
    ("model", MODELS, ModelSection),
    ("objective", OBJECTIVES, ObjectiveSection),
    ("optim", OPTIMIZERS, OptimSection),
    ("optim.schedule", SCHEDULES, ScheduleSection),
)
OF_STUDIES: tuple[tuple[str, Registry, type[Section]], ...] = (
    ("search", SEARCHERS, SearchSection),
    ("scheduler", SCHEDULERS, SchedulerSection),
    ("probes", PROBES, ProbeSection),
)
_DEFAULT = TrialConfig()
DEFAULTS = {
    **{path: attrgetter(path)(_DEFAULT).name for path, _, _ in NAMED},
    "search": Grid().name,
    "scheduler": FIFO().name,
}
WHAT_FOR = {
    "data": "Which images, how they are split, how many labels are noise, which augmentation.",
    "model": "The network.",
    "objective": "What a training step minimises.",
    "optim": "The optimiser.",
    "optim.schedule": "How the learning rate changes with the epoch.",
    "search": "How the points of a study are chosen.",
    "scheduler": "Which trials are stopped before their last epoch, or go on from another's weights.",
    "probes": "What is measured beside accuracy: a list of names, or of mappings such as `{name: margin, every: 5}`. "
    "Their definitions: [probes](../probes.md).",
}


def render() -> str:
    """The page, as Markdown."""
    parts = [HEAD, "## The file\n", table("", StudyFile.model_fields)]
    parts += ["## Below `base`\n", table("", {"seed": TrialConfig.model_fields["seed"]})]
    for path, registry, base in NAMED:
        parts += list(_named(path, registry, base))
    for path, section in PLAIN:
        parts += [f"### {path}\n", f"{_first(section)}\n", table(path, section.model_fields)]
    parts.append("## Beside `base`\n")
    for path, registry, base in OF_STUDIES:
        parts += list(_named(path, registry, base))
    return "\n".join(parts)


def _named(path: str, registry: Registry, base: type[Section]) -> Iterator[str]:
    """A section that is one of several kinds: what all have, then each kind's own keys."""
    yield f"### {path}\n"
    default = f" Left out, it is `{DEFAULTS[path]}`." if path in DEFAULTS else ""
    yield f"{WHAT_FOR[path]}{default}\n"
    rows = (f"| `{entry.name}` | {_cell(entry.summary)} | {entry.source} |" for entry in registry.values())
    yield "\n".join(["| name | what it is | source |", "|---|---|---|", *rows, ""])
    shared = _keys(base)
    if shared:
        yield "Keys of each:\n"
        yield table(f"{path}.NAME" if path == "probes" else path, shared)
    for entry in registry.values():
        keys = {name: _described(field, shared.get(name)) for name, field in _keys(entry.config).items()}
        own = {name: field for name, field in keys.items() if _unlike(field, shared.get(name))}
        if own:
            yield f"#### {path}: {entry.name}\n"
            yield f"{_first(entry.config)}\n"
            yield table(f"{path}.{entry.name}" if path == "probes" else path, own)


def _keys(section: type[BaseModel]) -> dict[str, FieldInfo]:
    return {name: field for name, field in section.model_fields.items() if name != "name"}


def _described(field: FieldInfo, shared: FieldInfo | None) -> FieldInfo:
    """A field that changes what all kinds have, and says no more about it, means the same."""
    if field.description is None and shared is not None:
        field = copy(field)
        field.description = shared.description
    return field


def _unlike(field: FieldInfo, shared: FieldInfo | None) -> bool:
    """Whether a kind's key has another meaning, range or default than the one that all kinds have."""
    same = ("description", "default")
    return (
        shared is None
        or any(getattr(field, part) != getattr(shared, part) for part in same)
        or (values(field) != values(shared))
    )


def _first(section: type[Any]) -> str:
    return re.sub(r"\s+", " ", (section.__doc__ or "").strip().split("\n\n")[0])


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", r"\|")


def table(path: str, fields: typing.Mapping[str, FieldInfo]) -> str:
    """A row a key."""
    lines = ["| key | default | values | what it is |", "|---|---|---|---|"]
    return "\n".join([*lines, *(row(path, name, field) for name, field in fields.items()), ""])


def row(path: str, name: str, field: FieldInfo) -> str:
    """One key. Raises `ValueError` for one that says nowhere what it is."""
    holds = _section_of(field)
    said = field.description or (f"See [{path}.{name}](#{path}{name})." if holds else "")
    if not said:
        raise ValueError(f"{path}.{name} has no docstring: one below the field says what it is")
    key = f"{path}.{name}".strip(".")
    cells = (f"`{key}`", _default(field), values(field), said)
    return f"| {' | '.join(map(_cell, cells))} |"


def _section_of(field: FieldInfo) -> bool:
    return isinstance(field.default, Section)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        if field.default_factory is None:
            return "required"
        value = field.default_factory()  # type: ignore[call-arg]
    return f"`{written(value, is_length(field))}`" if value != "" else "none"


def written(value: Any, length: bool = False) -> str:
    """A value as YAML has it; lengths in pixels as fractions of 255 where they are such."""
    if isinstance(value, Section):
        return str(getattr(value, "name", ""))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, float):
        if length and value and (value * 255).is_integer():
            return f"{int(value * 255)}/255"
        near = Fraction(value).limit_denominator(9)
        return str(near) if float(near) == value and len(f"{value:g}") > 5 else f"{value:g}"
    return "{}" if value == {} else str(value)


def is_length(field: FieldInfo) -> bool:
    """Whether a field is a length in pixels: the type that reads fractions."""
    return any(getattr(mark, "func", None) is parse_fraction for mark in field.metadata)


def values(field: FieldInfo) -> str:
    """What a key takes, in words."""
    if _section_of(field):
        return "a section"
    return (
        _bounded("length in pixels", field.metadata) if is_length(field) else _words(field.annotation, field.metadata)
    )


def _words(annotation: Any, marks: Sequence[Any] = ()) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        inner = [mark for item in annotation.__metadata__ for mark in getattr(item, "metadata", [item])]
        return _words(annotation.__origin__, [*inner, *marks])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_words(one, marks) for one in arguments)
    if origin in (list, tuple):
        items = [one for one in arguments if one is not Ellipsis]
        many = "list" if origin is list or Ellipsis in arguments else f"list of {len(items)}"
        return many if items[0] is Any else f"{many}: {_words(items[0])}"
    if origin is not None or annotation is dict:
        return "mapping"
    if any(isinstance(mark, Moment) for mark in marks):
        return _bounded("moment of the run", marks)
    known = {int: "whole number", float: "number", bool: "`true` or `false`", str: "text"}
    return _bounded(known.get(annotation, "anything"), marks)


def _bounded(kind: str, marks: Sequence[Any]) -> str:
    """The kind with its range."""
    signs = ((limits.Ge, "ge", "≥"), (limits.Gt, "gt", ">"), (limits.Le, "le", "≤"), (limits.Lt, "lt", "<"))
    bounds: dict[str, str] = {}
    for mark in marks:
        for form, name, sign in signs:
            if isinstance(mark, form):
                bounds[sign] = _bound(getattr(mark, name))
    for strict, loose in ((">", "≥"), ("<", "≤")):
        if strict in bounds:  # both stand there where a key narrows a type that is bounded already
            bounds.pop(loose, None)
    if "≥" in bounds and "≤" in bounds:
        return f"{kind} from {bounds['≥']} to {bounds['≤']}"
    return " ".join([kind, ", ".join(f"{sign} {bounds[sign]}" for sign in "≥>≤<" if sign in bounds)]).strip()


def _bound(value: Any) -> str:
    return "2⁶³" if value == 2**63 else f"{value:g}"
