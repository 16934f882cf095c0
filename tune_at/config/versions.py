"""Schema versions: what a record that an older version of this program wrote means today.

A field that is added says since which version it is there and what its absence means; one whose default or name
changes says what it was before:

    start: Annotated[StartName, Since(2, absent="uniform")] = "gaussian"
    steps: Annotated[int, Field(ge=1), Was(2, 10)] = 20
    name: Annotated[str, Renamed(2, "algorithm")] = "grid"

So a record is read as what it meant when it was written, and a config keeps its identity (`TrialConfig.hash`) for as
long as it leaves what is new at what its absence meant. `SCHEMA` is raised with the first such change after a release.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from tune_at.config.tree import Tree
from tune_at.errors import UserError
from tune_at.registry import Registry

SCHEMA = 3
"""The version in which this program records studies and configs; it reads all versions up to it."""

FIRST = 1
"""The version of records that name none."""


@dataclass(frozen=True)
class Since:
    """Metadata of a field that was added.

    Attributes:
        version: the first schema version that has the field.
        absent: the value, as validation leaves it, that its absence means in an older record.
    """

    version: int
    absent: Any


@dataclass(frozen=True)
class Was:
    """Metadata of a field whose default has changed.

    Attributes:
        version: the first schema version with the newer default.
        default: the default before.
    """

    version: int
    default: Any


@dataclass(frozen=True)
class Renamed:
    """Metadata of a field that had another name.

    Attributes:
        version: the first schema version with the newer name.
        before: the older name.
    """

    version: int
    before: str


def require_known(schema: Any, where: str) -> int:
    """A record's schema version; None is that of records that name none.

    Raises:
        UserError: it is newer than `SCHEMA`, or not a version.
    """
    if schema is None:
        return FIRST
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < FIRST:
        raise UserError(where, f"{schema!r} is not a schema version", "restore the file")
    if schema > SCHEMA:
        raise UserError(
            where, f"was recorded with schema version {schema}, this program reads up to {SCHEMA}", "upgrade tune-at"
        )
    return schema


def upgraded(
    tree: Mapping[str, Any], section: type[BaseModel], schema: int, named: Mapping[str, Registry], path: str = ""
) -> Tree:
    """A tree that was written under an older schema, with all that it left unsaid written out.

    Args:
        tree: what was recorded of `section`, its named sections with their `name` (`fill_names`).
        section: the type that the tree is to be read as.
        schema: the version under which it was written; of a complete record, which leaves nothing at its default,
            `FIRST` is right whatever its version.
        named: the registries of the named sections, by dotted path.
        path: where the section stands, as `named` has it.
    """
    tree = dict(tree)
    for name, marks in _marks(section).items():
        field = section.model_fields[name]
        for mark in marks:
            if mark.version <= schema:
                continue
            if isinstance(mark, Renamed):
                if name not in tree and mark.before in tree:
                    tree[name] = tree.pop(mark.before)
            elif name not in tree:
                tree[name] = _plain(mark.absent if isinstance(mark, Since) else mark.default)
        below = f"{path}.{name}" if path else name
        value, held = tree.get(name), None
        if name not in tree and isinstance(field.default, BaseModel):
            value, held = _plain(field.default), type(field.default)
        elif isinstance(value, Mapping):
            held = _type_of(field.annotation, value, named.get(below))
        if held is not None and isinstance(value, Mapping):
            filled = upgraded(value, held, schema, named, below)
            if filled != value:
                tree[name] = filled
    return tree


def recorded(section: BaseModel, schema: int) -> Tree:
    """All values of a section as a version of the schema knows them, as nested plain dictionaries.

    A field that came later is left out where its value is what its absence means, and one that was renamed later has
    its older name; so nothing is lost, whatever the version.
    """
    tree = section.model_dump(mode="json")
    _forget(tree, section, schema)
    return tree


def unlike_absent(section: BaseModel, names: Iterable[str]) -> Tree:
    """The values of these fields, but for those that have what their absence means: a key that later fields keep."""
    marks = _marks(type(section))
    return {
        name: value
        for name, value in ((name, getattr(section, name)) for name in names)
        if not any(isinstance(mark, Since) and mark.absent == value for mark in marks.get(name, ()))
    }


def _forget(tree: Tree, section: BaseModel, schema: int) -> None:
    for name, marks in _marks(type(section)).items():
        value = getattr(section, name)
        later = [mark for mark in marks if mark.version > schema]
        if any(isinstance(mark, Since) and mark.absent in (value, tree[name]) for mark in later):
            del tree[name]
            continue
        if isinstance(value, BaseModel):
            _forget(tree[name], value, schema)
        for mark in later:
            if isinstance(mark, Renamed):
                tree[mark.before] = tree.pop(name)
                break


@cache
def is_dated(section: type[BaseModel]) -> bool:
    """Whether a field of the section itself, not of those within it, was added or has changed in some version."""
    return any(_marks(section).values())


@cache
def _marks(section: type[BaseModel]) -> dict[str, tuple[Since | Was | Renamed, ...]]:
    """The fields whose meaning depends on the version, with their marks, oldest first, and those that hold sections."""
    fields = {}
    for name, field in section.model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, Since | Was | Renamed)]
        if marks or isinstance(field.default, BaseModel) or any(_sections(field.annotation)):
            fields[name] = tuple(sorted(marks, key=lambda mark: mark.version))
    return fields


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The types of sections in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections(argument)


def _type_of(annotation: Any, tree: Mapping[str, Any], registry: Registry | None) -> type[BaseModel] | None:
    """The type of section that a tree will become; None if it is not one, or not a known one."""
    if registry is not None:
        name = tree.get("name")
        return registry[name].config if isinstance(name, str) and name in registry else None
    held = list(_sections(annotation))
    return held[0] if len(held) == 1 else None


def _plain(value: Any) -> Any:
    """A section as the tree that says no more than it was made with; any other value as it is."""
    if not isinstance(value, BaseModel):
        return value
    name = {"name": value.name} if hasattr(value, "name") else {}
    return {**name, **value.model_dump(mode="json", exclude_unset=True)}
