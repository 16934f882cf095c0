"""Reading studies: finding the file, YAML with its line numbers, and `--set`."""

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from tune_at.config.validation import user_error
from tune_at.errors import UserError, suggestion

SHIPPED = Path(__file__).parents[2] / "search_spaces"
"""The folder of the studies that come with the program."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class StudyFile(BaseModel):
    """The keys of a study's YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    paper: str = ""
    base: dict[str, Any] = {}
    axes: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0]
    presets: dict[str, dict[str, Any]] = {}
    stages: dict[str, dict[str, Any]] = {}
    """Run one after the other, each with its own overrides of base and axes; later ones may learn from earlier ones."""
    search: dict[str, Any] = {}
    """How points are chosen, `{algorithm: grid | random | optuna, ...}`; without it, the grid of the axes."""
    scheduler: dict[str, Any] = {}
    """What is stopped early, `{name: fifo | asha | hyperband | median | pbt, ...}`."""
    figures: list[str] = []

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("it names a seed twice")
        return seeds

    @field_validator("search", "scheduler", mode="before")
    @classmethod
    def _named(cls, value: Any, info: ValidationInfo) -> Any:
        key = "algorithm" if info.field_name == "search" else "name"
        return {key: value} if isinstance(value, str) else value


def find_study(study: str) -> Path:
    """The file of a study given by a shipped name or by a path."""
    path = Path(study)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if not path.is_file():
            raise UserError("study", f"no file {study}", "`python run.py list studies` names the shipped ones")
        return path
    shipped = {p.stem: p for p in sorted(SHIPPED.glob("*.yaml"))}
    if study not in shipped:
        raise UserError("study", f"{study!r} is unknown", suggestion(study, shipped))
    return shipped[study]


def read_study(path: Path) -> StudyFile:
    """Read a study's file. Raises `UserError` with file and line for a syntax error."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UserError(f"{path}{line}", f"is no valid YAML: {problem}", "mend that line") from None
    except (OSError, ValueError) as error:  # ValueError: no text, or no date where YAML takes one
        raise UserError(str(path), f"cannot be read: {error}", "mend or quote that value") from None
    if not isinstance(tree, dict):
        raise UserError(str(path), "holds no study", "write title, base, axes and presets; see docs/studies.md")
    try:
        return StudyFile.model_validate(tree)
    except ValidationError as error:
        raise user_error(error, StudyFile, path.name) from None


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a key stand twice and keeps the last; a study must not lose an axis that way."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is no plain name", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """`["a.b=c", …]` as a mapping; values are YAML, so numbers, lists and true/false are themselves."""
    overrides: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals or not path.strip():
            raise UserError("--set", f"{pair!r} is no assignment", "write --set data.noise_rate=0.4")
        try:
            overrides[path.strip()] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            raise UserError(f"--set {path}", f"{text!r} is no valid YAML value", "quote it for the shell") from None
    return overrides
