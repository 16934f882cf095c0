"""Registries: a name, its config type, where it stands in the paper, and where its code is."""

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union

from pydantic import Discriminator, Tag

from tune_at.errors import UserError, suggestion


@dataclass(frozen=True)
class Entry:
    """One thing a config can name.

    `factory` is `module:attribute` and is imported only when it is called for, so that listing needs no torch.
    """

    name: str
    config: type
    factory: str
    source: str
    summary: str
    pattern: str = ""
    """A regular expression of further names that the entry serves, such as any depth and width."""
    label: str = ""
    """What it is called in figures and tables: the paper's name, where that is another than `name`."""

    def load(self) -> Any:
        """The class or function behind the entry."""
        module, _, attribute = self.factory.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Registry(Mapping[str, Entry]):
    """The entries of one kind, in the order they were written. A name can stand only once."""

    def __init__(self, kind: str, *entries: Entry) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            if entry.name in self._entries:
                raise ValueError(f"{kind} {entry.name!r} is registered twice")
            self._entries[entry.name] = entry

    def _key(self, name: str) -> str | None:
        """The name of the entry that serves `name`."""
        if name in self._entries:
            return name
        served = (e.name for e in self._entries.values() if e.pattern and re.fullmatch(e.pattern, name))
        return next(served, None)

    def __getitem__(self, name: str) -> Entry:
        key = self._key(name)
        if key is None:
            raise UserError(self.kind, f"{name!r} is unknown", suggestion(name, self._entries))
        return self._entries[key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._key(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def union(self) -> Any:
        """The union of the config types, each tagged with its entry's name."""
        return Union[tuple(Annotated[entry.config, Tag(entry.name)] for entry in self._entries.values())]  # noqa: UP007

    @property
    def discriminator(self) -> Discriminator:
        """Chooses the config type by the `name` in a mapping or a config."""

        def tag(value: Any) -> str | None:
            name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
            return (self._key(name) or name) if isinstance(name, str) else None

        return Discriminator(tag)
