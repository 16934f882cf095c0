"""Study: a YAML file → validated trial configs.

A study has a `base` config, `axes` (dotted path → list of values; their full grid is run), `seeds`, and `presets` of
overrides. An override of an axis replaces its values; an override of any other path changes the base.
"""

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tune_at.config.tree import Tree, get_path, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.config.validation import field_paths, user_error
from tune_at.errors import UserError, suggestion

SHIPPED = Path(__file__).parent.parent / "search_spaces"
"""The folder of the studies that come with the program."""


class StudyFile(BaseModel):
    """The keys of a study's YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    paper: str = ""
    base: dict[str, Any] = {}
    axes: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [0]
    presets: dict[str, dict[str, Any]] = {}
    figures: list[str] = []


@dataclass(frozen=True)
class Trial:
    """One point of a study. `swept` maps each axis to the value it has here."""

    name: str
    config: TrialConfig
    swept: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """A study with its preset and overrides applied: what a sweep's `study.yaml` records."""

    name: str
    title: str
    paper: str
    preset: str
    overrides: Mapping[str, Any]
    base: Tree
    axes: Mapping[str, list[Any]]
    seeds: list[int]
    figures: list[str]
    source: str = field(default="", compare=False)

    @classmethod
    def resolve(cls, study: str, preset: str = "", overrides: Mapping[str, Any] | None = None) -> "Study":
        """Read a study by its name or path and apply a preset, then `overrides` (dotted path → value).

        Raises `UserError` for an unknown study, preset, key or value.
        """
        path = find_study(study)
        written = read_study(path)
        if preset and preset not in written.presets:
            raise UserError(f"{path.name}: preset", f"{preset!r} is unknown", suggestion(preset, written.presets))
        base, axes, seeds = dict(written.base), dict(written.axes), list(written.seeds)
        TrialConfig.parse(base, path.name, complete=False)
        known = set(field_paths(TrialConfig))
        for axis in axes:
            _check_path(f"{path.name}: axes.{axis}", axis, known)
        for origin, changes in (
            (f"{path.name}: presets.{preset}", written.presets.get(preset, {})),
            ("--set", overrides or {}),
        ):
            for key, value in changes.items():
                if key == "seeds":
                    seeds = _seeds(origin, value)
                    continue
                _check_path(f"{origin} {key}", key, known)
                if key in axes:
                    axes[key] = value if isinstance(value, list) else [value]
                else:
                    set_path(base, key, value, NAMED_SECTIONS)
        resolved = cls(
            path.stem, written.title, written.paper, preset, dict(overrides or {}), base, axes, seeds,
            list(written.figures), str(path),
        )  # fmt: skip
        resolved.trials()
        return resolved

    def trials(self) -> list[Trial]:
        """The full grid of the axes times the seeds, seeds innermost. Raises `UserError` for an invalid point."""
        points = list(itertools.product(*self.axes.values(), self.seeds))
        width = max(2, len(str(len(points) - 1)))
        where = f"{self.name}.yaml with --set" if self.overrides else f"{self.name}.yaml"
        trials = []
        for index, (*values, seed) in enumerate(points):
            tree: Tree = {**self.base, "seed": seed}
            for path, value in zip(self.axes, values, strict=True):
                set_path(tree, path, value, NAMED_SECTIONS)
            config = TrialConfig.parse(tree, where)
            swept = {path: swept_value(config, path) for path in self.axes}
            trials.append(Trial(trial_name(f"{index:0{width}d}", swept, seed), config, swept))
        return trials

    def as_yaml(self) -> str:
        """The resolved study as YAML, whose first line carries the digest of the rest."""
        body = yaml.safe_dump(
            {
                "study": self.name, "title": self.title, "paper": self.paper, "preset": self.preset,
                "source": self.source, "overrides": dict(self.overrides), "base": self.base,
                "axes": {k: list(v) for k, v in self.axes.items()}, "seeds": self.seeds, "figures": self.figures,
            },
            sort_keys=False,
        )  # fmt: skip
        return f"# digest: {_digest(body)}\n{body}"

    @classmethod
    def from_yaml(cls, text: str, where: str) -> "Study":
        """Read what `as_yaml` wrote. Raises `UserError` if it was edited since."""
        head, _, body = text.partition("\n")
        if head.removeprefix("# digest: ").strip() != _digest(body):
            raise UserError(
                where, "was changed after its sweep began", "undo the change, or start a new sweep with --name"
            )
        tree = yaml.safe_load(body)
        return cls(
            tree["study"], tree["title"], tree["paper"], tree["preset"], tree["overrides"], tree["base"],
            tree["axes"], tree["seeds"], tree["figures"], tree["source"],
        )  # fmt: skip


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
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(str(path), f"cannot be read: {error}") from None
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
        except yaml.YAMLError:
            raise UserError(f"--set {path}", f"{text!r} is no valid YAML value", "quote it for the shell") from None
    return overrides


def swept_value(config: TrialConfig, path: str) -> Any:
    """The resolved value at an axis; for a named section its name, with what the study sets beside it."""
    value = get_path(config.as_tree(), path)
    if isinstance(value, Mapping):
        return value["name"]
    return value


def trial_name(index: str, swept: Mapping[str, Any], seed: int) -> str:
    """A trial's name: its place in the grid, its swept values and its seed, safe as a file's name."""
    parts = []
    for path, value in swept.items():
        if path in NAMED_SECTIONS or path.removesuffix(".name") in NAMED_SECTIONS:
            parts.append(str(value))
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            parts.append(f"{path.rpartition('.')[2]}={shown}")
    text = re.sub(r"[^A-Za-z0-9_.=+-]+", "_", "-".join(parts))[:80]
    return "-".join(filter(None, (index, text, f"s{seed}")))


def _check_path(where: str, path: str, known: set[str]) -> None:
    if path not in known:
        raise UserError(where, "no such key", suggestion(path, known))


def _seeds(origin: str, value: Any) -> list[int]:
    seeds = value if isinstance(value, list) else [value]
    if not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise UserError(f"{origin} seeds", f"{value!r} is no list of whole numbers", "write seeds=[0,1,2]")
    return seeds


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
