"""Paths in studies: made absolute when a study is read, so that its record means the same from every working folder."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune_at.config.data import absolute
from tune_at.study.file import StudyFile

PATH = re.compile(r"(?:.*\.)?data\.path(?:\.choice)?")
"""Where a path of data may stand in a study's file, the choices of a space among them."""
PARTS = ("base", "axes", "stages", "presets", "search")
"""The parts of a study's file that may hold paths."""


def anchored(value: Any, folder: str | Path = "", key: str = "") -> Any:
    """A copy of a value of a study in which each path of data is absolute.

    Args:
        value: a mapping from keys or dotted paths, or what stands at `key`.
        folder: what a relative path starts from; by default the working folder.
        key: the dotted path of `value` within the study.
    """
    if isinstance(value, Mapping):
        return {name: anchored(item, folder, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [anchored(item, folder, key) for item in value]
    return absolute(value, folder) if isinstance(value, str) and PATH.fullmatch(key) else value


def anchor_file(written: StudyFile, folder: Path) -> StudyFile:
    """A study's file whose relative paths start from `folder`."""
    parts = {part: anchored(getattr(written, part), folder, part) for part in PARTS}
    return written.model_copy(update=parts)
