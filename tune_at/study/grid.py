"""The points of a grid: each section is validated once for each combination of the axes in it, not once a trial."""

import copy
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_at.config.tree import Tree, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.config.versions import FIRST
from tune_at.study.names import Names, linked_columns, version_1_name
from tune_at.study.teachers import Teachers
from tune_at.study.trials import Trial, alike, mixed_columns, override, swept_columns, swept_value

Parse = Callable[..., TrialConfig]

SHOWN = 3
"""Pairs of equal values that a note names."""


@dataclass
class Point:
    """One trial of a grid, before it has a name."""

    stage: str
    config: TrialConfig


@dataclass
class Twins:
    """Points that are left out because an earlier one resolves to the same config."""

    number: int = 0
    pairs: dict[tuple[str, str, str], None] = field(default_factory=dict)
    """(axis, value of the earlier point, value of the later one) of some of them, as written."""

    def add(self, axes: Sequence[str], kept: Sequence[Any], dropped: Sequence[Any]) -> None:
        """Count a point, and remember in which axes it is written in another way."""
        self.number += 1
        if len(self.pairs) < SHOWN:
            values = zip(axes, kept, dropped, strict=False)
            self.pairs.update({(a, _text(k), _text(d)): None for a, k, d in values if k is not d or len(axes) == 1})

    def note(self, points: int) -> list[str]:
        """One line, if any point is left out. `points`: all that are written."""
        if not self.number:
            return []
        pairs = [f"{a} {k} and {d}" if k != d else f"{a} {k} twice" for a, k, d in list(self.pairs)[:SHOWN]]
        named = f": {', '.join(pairs)}" if pairs else ""
        return [f"{self.number} of {points} points equal an earlier one, and run once{named}"]


def grid_size(axes: Mapping[str, Sequence[Any]], seeds: Sequence[int], stages: Mapping[str, Mapping[str, Any]]) -> int:
    """The number of points of a grid over all its stages, before any is resolved."""
    total = 0
    for changes in stages.values() or ({},):
        in_stage: dict[str, list[Any]] = {path: list(values) for path, values in axes.items()}
        for key, value in changes.items():
            override({}, in_stage, key, value)
        size = len(seeds)
        for values in in_stage.values():
            size *= len(values)
        total += size
    return total


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, Mapping | list | bool) else str(value)


class GridPoints:
    """The points of one study, stage by stage, seeds innermost.

    Args:
        base: the config that all points share, as written.
        axes: dotted path to values.
        seeds: the seeds of each point.
        stages: overrides by stage; none is one stage.
        schema: the schema version under which the sweep began. Since 2 a point whose config equals an earlier one's is
            left out.
        parse: `TrialConfig.parse` for this study.
        check: raises `UserError` where a config breaks a rule between its sections.
    """

    def __init__(
        self, base: Tree, axes: Mapping[str, list[Any]], seeds: Sequence[int], stages: Mapping[str, Mapping[str, Any]],
        schema: int, parse: Parse, check: Callable[[TrialConfig], None],
    ) -> None:  # fmt: skip
        self._parse, self._check, self._seeds = parse, check, list(seeds)
        self._base, self._stages, self._distinct = base, stages, schema > FIRST
        self._equal: dict[tuple[str, str], Any] = {}
        self._seen: dict[tuple[int, ...], Sequence[Any]] = {}
        self.twins = Twins()
        self.axes: dict[str, list[Any]] = {}
        """The values of each axis over all stages."""
        self.points: list[Point] = []
        self.columns: list[list[str]] = []
        """The swept columns of each stage."""
        for stage, changes in (stages or {"main": {}}).items():
            stage_base, stage_axes = copy.deepcopy(base), {path: list(values) for path, values in axes.items()}
            for key, value in changes.items():
                override(stage_base, stage_axes, key, value)
            for path, values in stage_axes.items():
                self.axes[path] = self.axes.get(path, []) + values
            self.points += self._of_stage(stage, stage_base, stage_axes)

    @property
    def number(self) -> int:
        """The number of points, those that equal earlier ones among them."""
        return len(self.points) + self.twins.number

    def trials(self) -> list[Trial]:
        """The points as trials, each with its name and its teachers. Raises `UserError` for a missing teacher."""
        width = max(2, len(str(len(self.points) - 1)))
        columns = list(dict.fromkeys(column for of_stage in self.columns for column in of_stage))
        values = [{column: swept_value(point.config, column) for column in columns} for point in self.points]
        rows = alike(values, mixed_columns(values))
        written = [self.axes, *self._stages.values(), self._base]
        names = Names(written, linked_columns(self.axes, columns), values if self._distinct else [])
        trials: list[Trial] = []
        known, stage, waiting = Teachers(), "", list[Trial]()
        for index, (point, value, swept) in enumerate(zip(self.points, values, rows, strict=True)):
            if point.stage != stage:
                for trial in waiting:
                    known.add(trial)
                stage, waiting = point.stage, []
            wanted = point.config.objective.teachers()
            teachers = {role: known.find(point.config, objective) for role, objective in wanted.items()}
            number, seed = f"{index:0{width}d}", point.config.seed
            name = names.name(number, value, seed) if self._distinct else version_1_name(number, swept, seed)
            trials.append(Trial(name, point.config, swept, stage, teachers))
            if len(self._stages) > 1:
                waiting.append(trials[-1])
        return trials

    def _of_stage(self, stage: str, base: Tree, axes: dict[str, list[Any]]) -> Iterator[Point]:
        paths = list(axes)
        self.columns.append(swept_columns(axes))
        # A section's name is set before the keys in it, in whatever order the axes are written.
        order = sorted(range(len(paths)), key=lambda i: paths[i].removesuffix(".name").count("."))
        heads: dict[str, list[int]] = {}
        for i in order:
            heads.setdefault(paths[i].partition(".")[0], []).append(i)
        resolved: dict[str, dict[tuple[int, ...], Any]] = {head: {} for head in heads}
        first: TrialConfig | None = None
        identity: dict[str, int] = {}
        for places in itertools.product(*(range(len(values)) for values in axes.values())):
            point = [values[place] for values, place in zip(axes.values(), places, strict=True)]
            if first is None:
                first = self._whole(base, paths, order, point)
                sections = {n: self._one(n, getattr(first, n)) for n in type(first).model_fields if n != "seed"}
                first = first.model_copy(update=sections)
                identity = {name: id(section) for name, section in sections.items()}
            update: dict[str, Any] = {}
            # In the order of the fields, so that of several mistakes the first one is told that a whole config shows.
            for head in sorted(heads, key=list(type(first).model_fields).index) if len(heads) > 1 else heads:
                own = tuple(places[i] for i in heads[head])
                section = resolved[head].get(own)
                if section is None:
                    section = resolved[head][own] = self._section(head, base, paths, heads[head], point)
                update[head] = section
            identity.update({head: id(section) for head, section in update.items()})
            identities = tuple(identity.values())
            for seed in self._seeds:
                if self._distinct:
                    kept = self._seen.setdefault((*identities, seed), point)
                    if kept is not point:
                        self.twins.add(paths, kept, point)
                        continue
                config = first.model_copy(update={**update, "seed": seed})
                self._check(config)
                yield Point(stage, config)

    def _whole(self, base: Tree, paths: Sequence[str], order: Sequence[int], point: Sequence[Any]) -> TrialConfig:
        tree: Tree = dict(base)
        for i in order:
            set_path(tree, paths[i], point[i], NAMED_SECTIONS)
        return self._parse({**tree, "seed": self._seeds[0]}, complete=False)

    def _section(
        self, head: str, base: Tree, paths: Sequence[str], own: Sequence[int], point: Sequence[Any]
    ) -> Any:  # fmt: skip
        tree: Tree = {head: base[head]} if head in base else {}
        for i in own:
            set_path(tree, paths[i], point[i], NAMED_SECTIONS)
        return self._one(head, getattr(self._parse(tree, complete=False), head))

    def _one(self, head: str, section: Any) -> Any:
        """The one instance of all sections that are equal to this one."""
        return self._equal.setdefault((head, section.model_dump_json()), section)
