"""What the table of trials records as JSON, read once in a process."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from tune_at.config.tree import leaves
from tune_at.config.trial import TrialConfig


@lru_cache(maxsize=20_000)
def config_leaves(config: str) -> Mapping[str, Any]:
    """The values of a trial's recorded config by dotted path. Read-only: all who ask share it."""
    return MappingProxyType(dict(leaves(TrialConfig.tree_from_json(config))))
