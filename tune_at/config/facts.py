"""What is known of the data that a study's configs name: taken once, when a sweep is planned, and recorded with it.

A config never looks at the disk for itself. It is told these facts while it is parsed (`TrialConfig.parse(…, data=…)`)
and answers from them how many classes and images there are; they are no part of it, nor of its hash.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Identity = Mapping[str, Mapping[str, Any]]
"""What the images and labels of each split are: {split: {"images": their number, "digest": of their content}}."""

Record = dict[str, list[dict[str, Any]]]
"""`KnownData` as plain values, for YAML, JSON and the way to a worker."""


class Listed(Protocol):
    """What is asked of a section of `data`; each `DataSection` is one."""

    @property
    def listed(self) -> Any: ...
    @property
    def listing_key(self) -> str: ...
    @property
    def source_key(self) -> str: ...


@dataclass(frozen=True)
class DataFacts:
    """What a folder of images holds.

    Attributes:
        classes: the names of the classes, in the order of their numbers.
        images: number of images used of each split; `validation` is 0 where the folder has no such split.
        unused: one line for each split of which something is not used, and why.
    """

    classes: tuple[str, ...]
    images: Mapping[str, int]
    unused: tuple[str, ...] = ()


@dataclass
class KnownData:
    """The facts and identities of the data sets of one study.

    Attributes:
        take: looks at a data set; None where nothing may be looked at.
        recorded: whether this was read back from a sweep's record: its paths mean what they meant then.
        facts: by `DataSection.listing_key`.
        identities: of each source as it lies, by `DataSection.source_key`; empty before a sweep has begun.
    """

    take: Callable[[Any], DataFacts] | None = None
    recorded: bool = False
    facts: dict[str, DataFacts] = field(default_factory=dict)
    identities: dict[str, Identity] = field(default_factory=dict)

    def knows(self, section: Listed) -> bool:
        """Whether the facts of a section can be had: those of a sweep of version 1 were not recorded."""
        return not section.listed or section.listing_key in self.facts or not self.recorded

    def of(self, section: Listed) -> DataFacts:
        """The facts of a data set, taken at its first mention. Raises `UserError` if it is not there."""
        key = section.listing_key
        if key not in self.facts:
            if self.take is None:
                raise LookupError(f"nothing is known of {key}")
            self.facts[key] = self.take(section)
        return self.facts[key]

    def identity(self, section: Listed) -> Identity | None:
        """What the source of a section was when its sweep began; None if that is not known."""
        return self.identities.get(section.source_key)

    def left_out(self) -> list[str]:
        """One line for each split of which files are not used."""
        lines = []
        for key, facts in self.facts.items():
            where = " ".join(f"{name} {value}" for name, value in json.loads(key).items() if name == "path")
            lines += [f"data.{where}: {line}" for line in facts.unused]
        return lines

    def only(self, sections: Iterable[Listed]) -> Record:
        """The record of what concerns these sections, for a worker that runs one trial."""
        sections = list(sections)
        return self._record({s.listing_key for s in sections}, {s.source_key for s in sections})

    def as_record(self) -> Record:
        """All of it as plain values."""
        return self._record(self.facts.keys(), self.identities.keys())

    def _record(self, listed: Iterable[str], sources: Iterable[str]) -> Record:
        folders = [
            {**json.loads(key), "classes": list(facts.classes), "images": dict(facts.images),
             "unused": list(facts.unused)}
            for key in sorted(listed) if (facts := self.facts.get(key)) is not None
        ]  # fmt: skip
        identities = [
            {"source": json.loads(key), "splits": {split: dict(known) for split, known in identity.items()}}
            for key in sorted(sources)
            if (identity := self.identities.get(key)) is not None
        ]
        return {name: part for name, part in (("folders", folders), ("identities", identities)) if part}

    @classmethod
    def from_record(
        cls, record: Mapping[str, Any] | None, take: Callable[[Any], DataFacts] | None = None
    ) -> "KnownData":
        """What `as_record` or `only` gave; none of it where a record has nothing, as those of version 1."""
        known = cls(take, recorded=True)
        for entry in (record or {}).get("folders", ()):
            key = {name: value for name, value in entry.items() if name not in ("classes", "images", "unused")}
            known.facts[as_key(key)] = DataFacts(
                tuple(entry["classes"]), dict(entry["images"]), tuple(entry.get("unused", ()))
            )
        for entry in (record or {}).get("identities", ()):
            known.identities[as_key(entry["source"])] = entry["splits"]
        return known


def as_key(values: Mapping[str, Any]) -> str:
    """Values as a key that does not depend on their order."""
    return json.dumps(values, sort_keys=True)
