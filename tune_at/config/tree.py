"""Nested dictionaries of config values and the dotted paths into them."""

from collections.abc import Iterator, Mapping
from typing import Any

from tune_at.registry import Registry

Tree = dict[str, Any]


def fill_names(value: Mapping[str, Any], named: Mapping[str, Registry]) -> Tree:
    """A copy in which each named section is a mapping with a `name`; the registry's first entry is the default."""
    tree = {key: dict(item) if isinstance(item, Mapping) else item for key, item in value.items()}
    for path, registry in named.items():
        *parents, last = path.split(".")
        holder: Any = tree
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if not isinstance(holder, dict) or last not in holder:
            continue
        section = holder[last]
        if isinstance(section, str):
            holder[last] = {"name": section}
        elif isinstance(section, Mapping) and "name" not in section:
            holder[last] = {"name": next(iter(registry)), **section}
    return tree


def set_path(tree: Tree, path: str, value: Any, named: Mapping[str, Registry]) -> None:
    """Set a dotted path in place.

    A mapping is merged into what is there. A named section may be set by its name alone or through `.name`; keys that
    its new type has too are kept; keys that only its old type has are dropped; keys that neither has stay, so that
    validation names them.
    """
    if path.endswith(".name") and path.removesuffix(".name") in named:
        path = path.removesuffix(".name")
    *parents, last = path.split(".")
    node = tree
    for index, parent in enumerate(parents):
        child = node.get(parent)
        if isinstance(child, str) and ".".join(parents[: index + 1]) in named:
            child = {"name": child}
        if child is not None and not isinstance(child, Mapping):
            return  # a value where a section belongs: validation names it
        node[parent] = child = dict(child or {})
        node = child
    if path in named and isinstance(value, str):
        value = {"name": value}
    if isinstance(value, Mapping):
        old = node.get(last, {})
        if path in named:
            old = _renamed(old, value.get("name"), named[path])
        value = {**old, **value} if isinstance(old, Mapping) else dict(value)
    node[last] = value


def _renamed(section: Any, name: Any, registry: Registry) -> Tree:
    old = {"name": section} if isinstance(section, str) else dict(section)
    old_name = old.pop("name", next(iter(registry)))
    name = old_name if name is None else name
    if old_name == name or name not in registry or old_name not in registry:
        return {"name": name, **old}
    old_fields, new_fields = (registry[n].config.model_fields for n in (old_name, name))  # type: ignore[attr-defined]
    return {"name": name, **{k: v for k, v in old.items() if k in new_fields or k not in old_fields}}


def get_path(tree: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path. Raises `KeyError`."""
    node: Any = tree
    for part in path.split("."):
        node = node[part]
    return node


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All (dotted path, value) pairs whose value is not a mapping, in order."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line `path: old → new` for each leaf in which two trees differ."""
    before, after = dict(leaves(old)), dict(leaves(new))
    return [
        f"{path}: {before.get(path, 'absent')} → {after.get(path, 'absent')}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path, "absent") != after.get(path, "absent")
    ]
