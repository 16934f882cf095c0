"""From pydantic's list of errors to one line with path, value and remedy."""

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tune_at.errors import UserError, nearest, suggestion

RULES = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "literal_error": "must be {expected}",
}


def user_error(error: ValidationError, model: type[BaseModel], where: str = "") -> UserError:
    """The first of pydantic's errors as a `UserError`; `where` names the file, if any."""
    details = error.errors()
    # A union such as `"all" | int` reports one error a member: the last is the most specific.
    first = [d for d in details if _path(d["loc"], model) == _path(details[0]["loc"], model)][-1]
    path = _path(first["loc"], model)
    prefix = f"{where}: " if where else ""
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        known = sorted(set(field_paths(model)))
        if path in known:
            return UserError(prefix + path, f"no such key for this {path.rpartition('.')[0]}.name", "drop it")
        near = nearest(path, known)
        section = path.rpartition(".")[0]
        here = [p for p in known if p.rpartition(".")[0] == section]
        remedy = f"did you mean {' or '.join(near)}?" if near else f"known here: {', '.join(here)}"
        return UserError(prefix + path, f"no such key (value {first['input']!r})", remedy)
    if kind == "union_tag_invalid":
        names = [tag.strip("' ") for tag in str(context["expected_tags"]).split(",")]
        return UserError(f"{prefix}{path}.name", f"{context['tag']!r} is unknown", suggestion(context["tag"], names))
    message = first["msg"].removeprefix("Value error, ")
    rule = RULES[kind].format(**context) if kind in RULES else message[0].lower() + message[1:]
    return UserError(prefix + path, f"{first['input']!r} {_rule(rule)}", _bounds(path, model))


def _rule(message: str) -> str:
    return message if message.startswith("must") else f"is refused: {message}"


def field_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted path that some config of this type can have, over all members of its unions."""
    for name, field in model.model_fields.items():
        members = list(_models(field))
        yield prefix + name
        for member in members:
            yield from field_paths(member, f"{prefix}{name}.")


def find_field(model: type[BaseModel], path: str) -> FieldInfo | None:
    """The field at a dotted path, in whichever member of a union has it."""
    head, _, rest = path.partition(".")
    field = model.model_fields.get(head)
    if field is None or not rest:
        return field
    return next((f for m in _models(field) if (f := find_field(m, rest)) is not None), None)


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
        if not fields and not mapping and (not here or part.isdigit()):
            continue
        parts.append(part)
        mapping = any(typing.get_origin(field.annotation) is dict for field in fields)
        here = [sub for field in fields for sub in _models(field)]
    return ".".join(parts)


def _bounds(path: str, model: type[BaseModel]) -> str:
    field: Any = find_field(model, path)
    if field is None or not field.description:
        return ""
    return f"{path} is: {field.description.splitlines()[0]}"
