"""Registries: a name, its config type, where it stands in the paper, and where its code is."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

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

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise UserError(self.kind, f"{name!r} is unknown", suggestion(name, self._entries)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def union(self) -> Any:
        """The union of the distinct config types, to be told apart by their `name`."""
        return Union[tuple(dict.fromkeys(entry.config for entry in self._entries.values()))]  # noqa: UP007
