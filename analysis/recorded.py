"""What the table of trials records as JSON, read once in a process."""

import json
import marshal
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from tune_at.config.tree import leaves
from tune_at.config.trial import TrialConfig


@lru_cache(maxsize=20_000)
def config_leaves(config: str) -> Mapping[str, Any]:
    """The values of a trial's recorded config by dotted path. Read-only: all who ask share it."""
    tree = json.loads(config)
    if tree.keys() != TrialConfig.model_fields.keys():  # an older one, which leaves whole sections out
        return MappingProxyType(dict(leaves(TrialConfig.tree_from_json(config))))
    found: dict[str, Any] = {}
    for name, part in tree.items():
        # The trials of a sweep differ in few sections. Marshalled in this version, equal ones are equal bytes.
        found |= _section_leaves(name, marshal.dumps(part, 2)) if isinstance(part, dict) else {name: part}
    return MappingProxyType(found)


@lru_cache(maxsize=20_000)
def _section_leaves(name: str, part: bytes) -> dict[str, Any]:
    """The values of one section of a recorded config, by their paths in the whole."""
    upgraded = TrialConfig.tree_from_json(json.dumps({name: marshal.loads(part)}))
    return dict(leaves({name: upgraded[name]}))
