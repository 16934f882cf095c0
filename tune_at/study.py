"""Study: a YAML file → validated trial configs.

A study has a `base` config, `axes` (dotted path → list of values; their full grid is run), `seeds`, and `presets` of
overrides. An override of an axis replaces its values; an override of any other path changes the base.
"""

import copy
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

import tune_at
from tune_at.config.tree import Tree, get_path, leaves, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.config.validation import field_paths
from tune_at.errors import UserError, suggestion
from tune_at.study_file import find_study, read_study


@dataclass(frozen=True)
class Trial:
    """One point of a study. `swept` maps each axis to the value it has here."""

    name: str
    config: TrialConfig
    swept: Mapping[str, Any]
    stage: str = "main"
    teachers: Mapping[str, str] = field(default_factory=dict)
    """Names of trials of earlier stages, by the role they have for this one."""


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
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = field(default="", compare=False)

    @classmethod
    def resolve(cls, study: str, preset: str = "", overrides: Mapping[str, Any] | None = None) -> "Study":
        """Read a study by its name or path and apply a preset, then `overrides` (dotted path → value).

        Raises `UserError` for an unknown study, preset, key or value.
        """
        path = find_study(study)
        written = read_study(path)
        if preset and preset not in written.presets:
            remedy = suggestion(preset, written.presets) or "the study has no presets: leave --preset out"
            raise UserError(f"{path.name}: preset", f"{preset!r} is unknown", remedy)
        stages: Mapping[str, Mapping[str, Any]] = written.stages
        base, axes, seeds = dict(written.base), dict(written.axes), list(written.seeds)
        known = set(field_paths(TrialConfig)) - {"seed"}
        if "seed" in base:
            raise UserError(f"{path.name}: base.seed", f"{base['seed']!r}", "write `seeds: [...]` beside base")
        TrialConfig.parse(base, path.name, complete=False)
        for axis in axes:
            _check_path(f"{path.name}: axes.{axis}", axis, known)
        for stage, keys in written.stages.items():
            for key, value in keys.items():
                _check_path(f"{path.name}: stages.{stage} {key}", key, known)
                if value == []:
                    raise UserError(f"{path.name}: stages.{stage} {key}", "[] leaves no value", "write at least one")
        for origin, changes in (
            (f"{path.name}: presets.{preset}", written.presets.get(preset, {})),
            ("--set", overrides or {}),
        ):
            for key, value in changes.items():
                if key == "stages":
                    stages = _stages(origin, value, written.stages)
                    continue
                if key == "seeds":
                    seeds = _seeds(origin, value)
                    continue
                _check_path(f"{origin} {key}", key, known)
                if key in axes and value == []:
                    raise UserError(f"{origin} {key}", "[] leaves the axis without a value", "write at least one")
                override(base, axes, key, value)
        resolved = cls(
            path.stem, written.title, written.paper, preset, dict(overrides or {}), base, axes, seeds,
            list(written.figures), stages, str(path.resolve()),
        )  # fmt: skip
        TrialConfig.parse(base, resolved.origin, complete=False)
        resolved.trials()
        return resolved

    def trials(self) -> list[Trial]:
        """The full grid of the axes times the seeds, seeds innermost. Raises `UserError` for an invalid point."""
        points = [point for stage in self.stages or {"main": {}} for point in self._points(stage)]
        width = max(2, len(str(len(points) - 1)))
        columns = list(dict.fromkeys(column for _, _, found in points for column in found))
        rows = _alike([{column: swept_value(config, column) for column in columns} for _, config, _ in points])
        trials: list[Trial] = []
        for index, ((stage, config, _), swept) in enumerate(zip(points, rows, strict=True)):
            earlier = [trial for trial in trials if trial.stage != stage]
            teachers = {role: find_teacher(config, ref, earlier) for role, ref in config.objective.teachers().items()}
            name = trial_name(f"{index:0{width}d}", swept, config.seed)
            trials.append(Trial(name, config, swept, stage, teachers))
        return trials

    def _points(self, stage: str) -> Iterator[tuple[str, TrialConfig, list[str]]]:
        """The (stage, config, swept columns) of each point of a stage."""
        base, axes = copy.deepcopy(self.base), dict(self.axes)
        for key, value in self.stages.get(stage, {}).items():
            override(base, axes, key, value)
        # A section's name is set before the keys in it, in whatever order the axes are written.
        order = sorted(range(len(axes)), key=lambda i: list(axes)[i].removesuffix(".name").count("."))
        for point in itertools.product(*axes.values(), self.seeds):
            tree: Tree = {**base, "seed": point[-1]}
            for i in order:
                set_path(tree, list(axes)[i], point[i], NAMED_SECTIONS)
            yield stage, TrialConfig.parse(tree, self.origin), swept_columns(axes)

    @property
    def origin(self) -> str:
        """Where a mistake in a resolved value may stand."""
        return f"{self.name}.yaml with --set" if self.overrides else f"{self.name}.yaml"

    def configs_digest(self) -> str:
        """A digest of all resolved configs, defaults included."""
        return _digest(" ".join(trial.config.hash for trial in self.trials()))

    def as_yaml(self) -> str:
        """The resolved study as YAML, whose first line carries the digest of the rest."""
        body = yaml.safe_dump(
            {
                "study": self.name, "title": self.title, "paper": self.paper, "preset": self.preset,
                "source": self.source, "overrides": dict(self.overrides), "base": self.base,
                "axes": {k: list(v) for k, v in self.axes.items()}, "seeds": self.seeds, "figures": self.figures,
                "stages": {stage: dict(changes) for stage, changes in self.stages.items()},
                "tune_at": tune_at.__version__, "configs": self.configs_digest(),
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
        study = cls(
            tree["study"], tree["title"], tree["paper"], tree["preset"], tree["overrides"], tree["base"],
            tree["axes"], tree["seeds"], tree["figures"], tree.get("stages", {}), tree["source"],
        )  # fmt: skip
        if study.configs_digest() != tree["configs"]:
            raise UserError(
                where,
                f"a default has changed between tune-at {tree['tune_at']} and {tune_at.__version__}",
                f"continue it with version {tree['tune_at']}",
            )
        return study


def override(base: Tree, axes: dict[str, list[Any]], key: str, value: Any) -> None:
    """Replace the values of an axis, or else a key of the base, in place. A list of named sections is an axis."""
    if key in axes or (key in NAMED_SECTIONS and isinstance(value, list)):
        axes[key] = value if isinstance(value, list) else [value]
    else:
        set_path(base, key, value, NAMED_SECTIONS)


def find_teacher(config: TrialConfig, objective: str, earlier: Sequence[Trial]) -> str:
    """The trial of an earlier stage that `objective` trained with the same data, model, attack and seed."""
    found = [t for t in earlier if t.config.objective.name == objective and t.config.seed == config.seed]
    alike = [t for t in found if all(getattr(t.config, s) == getattr(config, s) for s in ("data", "model", "attack"))]
    # Of several, those that are trained like the student.
    for section in ("optim", "train"):
        alike = [t for t in alike if getattr(t.config, section) == getattr(config, section)] or alike
    same = [trial.name for trial in alike]
    if len(same) == 1:
        return same[0]
    where = f"{config.objective.name}'s teacher {objective!r}"
    if same:
        raise UserError(where, f"could be any of {', '.join(same)}", "let the earlier stages have one such trial")
    if found:
        raise UserError(where, f"{found[0].name} has other data, another model or another attack", "give both the same")
    raise UserError(where, "is no trial of an earlier stage", "write stages: {teachers: …, students: …}")


def swept_columns(axes: Mapping[str, list[Any]]) -> list[str]:
    """The dotted paths that tell a study's points apart: its axes, and what their mappings set beside a name."""
    columns: list[str] = []
    for path, values in axes.items():
        mappings = [value for value in values if isinstance(value, Mapping)]
        if path in NAMED_SECTIONS or not mappings:
            columns.append(path)
        columns += [f"{path}.{leaf}" for value in mappings for leaf, _ in leaves(value) if leaf != "name"]
    return list(dict.fromkeys(columns))


def swept_value(config: TrialConfig, path: str) -> Any:
    """The resolved value at a swept path: a named section's name, and None for a key that its type lacks."""
    try:
        value = get_path(config.as_tree(), path)
    except KeyError:
        return None
    return value["name"] if isinstance(value, Mapping) else value


def _alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The swept values of all trials, each column of one type: numbers stay, anything mixed becomes a string."""
    mixed = set()
    for column in dict.fromkeys(key for row in rows for key in row):
        kinds = {type(row[column]) for row in rows if row[column] is not None}
        if not (kinds <= {int, float} or len(kinds) == 1) or kinds & {list, dict}:
            mixed.add(column)
    return [
        {k: v if k not in mixed or v is None else v if isinstance(v, str) else json.dumps(v) for k, v in row.items()}
        for row in rows
    ]


def trial_name(index: str, swept: Mapping[str, Any], seed: int) -> str:
    """A trial's name: its place in the grid, its swept values and its seed, safe as a file's name."""
    parts = []
    for path, value in swept.items():
        if value is None:
            continue
        if path in NAMED_SECTIONS or path.removesuffix(".name") in NAMED_SECTIONS:
            parts.append(str(value))
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            parts.append(f"{path.rpartition('.')[2]}={shown}")
    text = re.sub(r"[^A-Za-z0-9_.=+-]+", "_", "-".join(parts))[:80]
    return "-".join(filter(None, (index, text, f"s{seed}")))


def _check_path(where: str, path: str, known: set[str]) -> None:
    if path == "seed":
        raise UserError(where, "a seed is no key of the base and no axis", "write seeds: [0, 1], or --set seeds=[0,1]")
    if path not in known:
        raise UserError(where, "no such key", suggestion(path, known))


def _seeds(origin: str, value: Any) -> list[int]:
    seeds = value if isinstance(value, list) else [value]
    if not seeds or not all(isinstance(seed, int) and 0 <= seed < 2**63 for seed in seeds):
        raise UserError(f"{origin} seeds", f"{value!r} is no list of whole numbers", "write seeds=[0,1,2]")
    return seeds


def _stages(origin: str, value: Any, stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if name not in stages:
            raise UserError(f"{origin} stages", f"{name!r} is unknown", suggestion(str(name), stages))
    return {name: stages[name] for name in names}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
