"""From pydantic's list of errors to one line with path, value and remedy."""

import reprlib
import typing
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tune_at.config.synonyms import remedy_for
from tune_at.errors import UserError, suggestion

RULES = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "literal_error": "must be {expected}",
    "float_type": "it is not a number",
    "int_type": "it is not a whole number",
    "bool_type": "it is neither true nor false",
    "string_type": "it is not text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}

REMEDIES = {
    "too_short": "write at least one",
    "list_type": "write its values in brackets, as [0.1, 0.2]; a distribution belongs in search.space",
}
"""Where the field itself says nothing of what it takes."""

_SHORT = reprlib.Repr()
_SHORT.maxdict, _SHORT.maxlist, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlevel = 3, 6, 80, 80, 2


def user_error(error: ValidationError, model: type[BaseModel], where: str = "", section: str = "") -> UserError:
    """The first of pydantic's errors as a `UserError`.

    Args:
        error: what pydantic raised.
        model: the type that was validated.
        where: the file, if any.
        section: the dotted path at which the model stands, if it is not the whole of a config or a file.
    """
    details = error.errors()
    # A union such as `"all" | int` reports one error a member: the last is the most specific.
    alike = [d for d in details if _path(d["loc"], model) == _path(details[0]["loc"], model)]
    # A list whose only member is refused counts as empty, too.
    first = ([d for d in alike if d["type"] != "too_short"] or alike)[-1]
    path = _path(first["loc"], model)
    prefix = (f"{where}: " if where else "") + (f"{section}." if section else "")
    kind, context = first["type"], first.get("ctx", {})
    if kind == "missing":
        return UserError(prefix + path, "is missing", _bounds(path, model, section) or f"write {path}: ...")
    if kind == "extra_forbidden":
        return _unknown_key(path, first, model, prefix, section)
    if kind == "union_tag_invalid":
        names = [tag.strip("' ") for tag in str(context["expected_tags"]).split(",")]
        return UserError(f"{prefix}{path}.name", f"{context['tag']!r} is unknown", suggestion(context["tag"], names))
    if kind == "invalid_key":
        return UserError(prefix + path, "is a number or a truth value in YAML, and a key must be text", "quote it")
    message = first["msg"].removeprefix("Value error, ")
    rule = RULES[kind].format(**context) if kind in RULES else message[0].lower() + message[1:]
    remedy = _bounds(path, model, section) or REMEDIES.get(kind, "")
    return UserError(prefix + path, f"{shown(first['input'])} {_rule(rule)}", remedy)


def shown(value: Any) -> str:
    """A value as it may stand in a message: a large one is cut short."""
    return _SHORT.repr(value)


def _unknown_key(path: str, first: Any, model: type[BaseModel], prefix: str, section: str) -> UserError:
    known = sorted(field_paths(model))
    holder, _, key = path.rpartition(".")
    if path in known:  # some other member of this union has it
        named = [m for m in _members(model, holder) if "name" in m.model_fields]
        having = [str(m.model_fields["name"].default) for m in named if key in m.model_fields]
        written = next((str(tag) for tag in first["loc"] if str(tag) in _names(named)), "")
        value = shown(first["input"])
        return UserError(
            prefix + path,
            f"no such key for this {holder}.name{', ' * bool(written)}{written}; {_joined(having)} {_has(having)} it",
            f"write {{name: {having[0]}, {key}: {value}}}, in an axis of {holder} too, or drop it",
        )
    here = [p for p in known if p.rpartition(".")[0] == holder]
    remedy = remedy_for(path, known, section) or f"known here: {', '.join(here)}"
    return UserError(prefix + path, f"no such key (value {shown(first['input'])})", remedy)


def _joined(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _names(models: Sequence[type[BaseModel]]) -> set[str]:
    return {str(m.model_fields["name"].default) for m in models}


def _rule(message: str) -> str:
    return message if message.startswith("must") else f"is refused: {message}"


@cache
def _all_paths(model: type[BaseModel], prefix: str) -> tuple[str, ...]:
    paths = []
    for name, field in model.model_fields.items():
        paths.append(prefix + name)
        for member in _models(field):
            paths += _all_paths(member, f"{prefix}{name}.")
    return tuple(dict.fromkeys(paths))


def field_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted path that some config of this type can have, over all members of its unions, each once."""
    return iter(_all_paths(model, prefix))


def find_field(model: type[BaseModel], path: str) -> FieldInfo | None:
    """The field at a dotted path, in whichever member of a union has it."""
    head, _, rest = path.partition(".")
    field = model.model_fields.get(head)
    if field is None or not rest:
        return field
    return next((f for m in _models(field) if (f := find_field(m, rest)) is not None), None)


def _members(model: type[BaseModel], path: str) -> list[type[BaseModel]]:
    """The types that the section at a dotted path can have."""
    here = [model]
    for part in path.split("."):
        here = [m for owner in here if part in owner.model_fields for m in _models(owner.model_fields[part])]
    return here


def _models(field: FieldInfo) -> Iterator[type[BaseModel]]:
    pending: list[Any] = [field.annotation]
    while pending:  # unions of annotated types
        item = pending.pop(0)
        pending.extend(typing.get_args(item))
        if isinstance(item, type) and issubclass(item, BaseModel):
            yield item


def _path(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Pydantic's location without the tags of unions and the positions in lists."""
    parts: list[str] = []
    here: list[type[BaseModel]] = [model]
    mapping = False
    for part in map(str, location):
        tagged = any(m.model_fields.get("name") and m.model_fields["name"].default == part for m in here)
        if (tagged and len(here) > 1) or (tagged and not any(part in m.model_fields for m in here)):
            continue
        fields = [m.model_fields[part] for m in here if part in m.model_fields]
        if part == "[key]" or (not fields and not mapping and (not here or part.isdigit())):
            continue
        parts.append(part)
        mapping = any(typing.get_origin(field.annotation) is dict for field in fields)
        here = [sub for field in fields for sub in _models(field)]
    return ".".join(parts)


def _bounds(path: str, model: type[BaseModel], section: str) -> str:
    field: Any = find_field(model, path)
    if field is None or not field.description:
        return ""
    return f"{section}{'.' * bool(section)}{path} is: {field.description.splitlines()[0]}"
