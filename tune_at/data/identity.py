"""What data was, by number and digest of each split, and the refusal where state by sample would meet other data."""

import socket
from collections.abc import Iterable, Mapping
from typing import Any

from tune_at.config.data import DataSection
from tune_at.config.facts import DataFacts, Identity, KnownData
from tune_at.data.arrays import ImageSet, Source
from tune_at.data.sources import load_source
from tune_at.errors import UserError
from tune_at.wording import counted


def identity_of(splits: Mapping[str, ImageSet]) -> Identity:
    """Number and digest of each split's images, as plain values."""
    return {name: {"images": len(images), "digest": images.digest} for name, images in splits.items()}


def difference(then: Identity, now: Identity, when: str) -> str:
    """The first split in which two identities differ, in words; empty if they agree.

    `when` names the moment of `then`: `when the sweep began`.
    """
    for split in dict.fromkeys([*then, *now]):
        before, here = then.get(split), now.get(split)
        if before is None or here is None:
            return f"there was no {split} split {when}" if before is None else f"there is no {split} split by now"
        if before["images"] != here["images"]:
            return f"{split} has {counted(here['images'], 'image')} by now, {before['images']} {when}"
        if before["digest"] != here["digest"]:
            count = counted(here["images"], "image")
            return f"{split} has other images or labels, or another order, than {when} ({count} then and now)"
    return ""


def require_same(then: Identity | None, now: Identity, when: str, place: str, remedy: str) -> None:
    """Raise `UserError` that names what differs. What was recorded before identities were is not compared."""
    if then and (problem := difference(then, now, when)):
        raise UserError("data", f"{problem} ({place})", remedy)


def place_of(config: DataSection) -> str:
    """Where a config's data lies, for a message: `data.path /pictures`, and on which machine."""
    path = getattr(config, "path", None)
    return f"{f'data.path {path}' if path else config.name} on {socket.gethostname()}"


def prepared(config: DataSection) -> tuple[DataSection, Source]:
    """The data of a config, and the config told what there is of it.

    Raises `UserError` if the config is that of a sweep whose data was another when it began.
    """
    known = config.known
    source = _source(known, config)
    if known is not None and known.recorded:
        _require_recorded(known, config, source)
        if source.facts is None or config.listing_key in known.facts:
            return config, source
    # In Python, while a sweep is planned, or in one of version 1: what lies there now.
    facts = {} if source.facts is None else {config.listing_key: source.facts}
    return config.told(KnownData(recorded=known is not None and known.recorded, facts=facts)), source


def settle(known: KnownData, configs: Iterable[DataSection]) -> None:
    """Compare the data of these configs with what is known of it, and remember what was not known yet.

    Each source is read once. Raises `UserError` if one is not what it was when its sweep began.
    """
    for config in {config.source_key: config for config in configs}.values():
        source = _source(known, config)
        _require_recorded(known, config, source)
        if source.facts is not None:
            known.facts.setdefault(config.listing_key, source.facts)
        known.identities.setdefault(config.source_key, identity_of(source.splits()))


RESTORE = "restore it, or start a new sweep"
"""What to do where a sweep's data is not what it was."""


def _source(known: KnownData | None, config: DataSection) -> Source:
    """The data of a config. Of a sweep that has begun, another folder is not the remedy where it is gone."""
    try:
        return load_source(config)
    except UserError as error:
        if known is None or not known.recorded or not config.listed:
            raise
        raise UserError(error.where, error.problem, RESTORE) from None


def _require_recorded(known: KnownData, config: DataSection, source: Source) -> None:
    when = "when the sweep began" if known.recorded else "a moment ago"
    require_same(known.identity(config), identity_of(source.splits()), when, place_of(config), RESTORE)
    then = known.facts.get(config.listing_key)
    if source.facts is not None and then is not None and (problem := _changed(then, source.facts)):
        raise UserError("data", f"{problem} {when} ({place_of(config)})", RESTORE)


def _changed(then: DataFacts, now: DataFacts) -> str:
    """How the counts of a folder differ, as the beginning of a sentence; empty if they agree."""
    for split, count in now.images.items():
        if count != then.images.get(split, 0):
            return f"{split} has {counted(count, 'image')} by now, {then.images.get(split, 0)}"
    if then.classes != now.classes:
        name = min(set(now.classes) ^ set(then.classes))
        return f"there is {'a' if name in now.classes else 'no'} class {name} by now, other than"
    return ""


def as_state(identity: Identity) -> dict[str, dict[str, Any]]:
    """An identity for a checkpoint."""
    return {split: dict(known) for split, known in identity.items()}
