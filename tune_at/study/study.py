"""Study: a YAML file → validated trial configs.

A study has a `base` config, `axes` (dotted path → list of values; their full grid is run) or a `search` with a space,
`seeds`, a `scheduler`, and `presets` of overrides. An override of an axis replaces its values; an override of any
other path changes the base.
"""

import copy
import hashlib
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tune_at.config.facts import KnownData
from tune_at.config.scheduler import FIFO, PBT, SchedulerSection
from tune_at.config.search import Grid, Random, Sampled, SearchSection
from tune_at.config.space import Distribution
from tune_at.config.tree import Tree
from tune_at.config.trial import TrialConfig
from tune_at.config.versions import FIRST, SCHEMA, recorded, require_known
from tune_at.data.folder import take_facts
from tune_at.errors import UserError, suggestion
from tune_at.study.exhaustion import count_distinct, distinct_draws
from tune_at.study.file import find_study, read_study
from tune_at.study.grid import GridPoints, grid_size
from tune_at.study.names import Names, linked_columns, version_1_name
from tune_at.study.overrides import KNOWN, Draft, check_path
from tune_at.study.paths import PARTS, anchor_file, anchored
from tune_at.study.sampling import (
    check_search,
    corner_points,
    draw,
    parse_scheduler,
    parse_search,
    require_population,
    space_of,
    with_values,
)  # fmt: skip
from tune_at.study.teachers import Teachers
from tune_at.study.trials import (
    Trial,
    alike,
    mixed_columns,
    swept_columns,
    swept_value,
)
from tune_at.study.yaml_text import dump, in_version_1, load
from tune_at.version import __version__
from tune_at.wording import counted


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
    search: SearchSection = field(default_factory=Grid)
    scheduler: SchedulerSection = field(default_factory=FIFO)
    source: str = field(default="", compare=False)
    earlier: tuple[int, ...] = ()
    """What `search.trials` was before each `resume --trials`."""
    data: KnownData = field(default_factory=lambda: KnownData(take_facts), compare=False, repr=False)
    """What is known of the data sets that the configs name: counted while the study is resolved, or recorded."""

    schema: int = SCHEMA
    """The schema version under which the sweep began: what is not written has that version's defaults."""

    @classmethod
    def resolve(
        cls,
        study: str,
        preset: str = "",
        overrides: Mapping[str, Any] | None = None,
        data: KnownData | None = None,
        schema: int = SCHEMA,
        announce: Callable[[int], None] | None = None,
    ) -> "Study":
        """Read a study by its name or path and apply a preset, then `overrides` (dotted path → value).

        A relative `data.path` starts from the folder of the study's file, one in `overrides` from the working folder.
        `data` is what is known of the data already; by default it is looked at.
        Under an older `schema` it is what the file meant to a program of that version.
        `announce` is told the number of points before the first of them is resolved.

        Raises `UserError` for an unknown study, preset, key or value.
        """
        path = find_study(study)
        written = read_study(path)
        if schema > FIRST:
            written = anchor_file(written, path.parent)
        else:  # to which a path of data started from the working folder, and `yes` was true
            parts = {part: in_version_1(getattr(written, part)) for part in PARTS}
            written = anchor_file(written.model_copy(update=parts), Path())
        overrides = anchored(overrides or {})
        data = data or KnownData(take_facts)
        if preset and preset not in written.presets:
            remedy = suggestion(preset, written.presets) or "the study has no presets: leave --preset out"
            raise UserError(f"{path.name}: preset", f"{preset!r} is unknown", remedy)
        draft = Draft(written)
        if "seed" in draft.base:
            raise UserError(f"{path.name}: base.seed", f"{draft.base['seed']!r}", "write `seeds: [...]` beside base")
        TrialConfig.parse(draft.base, path.name, complete=False, data=data, schema=schema)
        for axis in draft.axes:
            check_path(f"{path.name}: axes.{axis}", axis)
        for stage, keys in written.stages.items():
            for key, value in keys.items():
                check_path(f"{path.name}: stages.{stage} {key}", key)
                if value == []:
                    raise UserError(f"{path.name}: stages.{stage} {key}", "[] leaves no value", "write at least one")
        draft.apply(f"{path.name}: presets.{preset}", written.presets.get(preset, {}))
        draft.apply("--set", overrides or {})
        base, axes, seeds, stages = draft.base, draft.axes, draft.seeds, draft.stages
        origin = _origin(path.stem, overrides or {})
        resolved = cls(
            path.stem, written.title, written.paper, preset, dict(overrides or {}), base, axes, seeds,
            list(written.figures), stages, parse_search(draft.engine["search"], origin, schema),
            parse_scheduler(draft.engine["scheduler"], origin, schema), str(path.resolve()), data=data,
            schema=schema,
        )  # fmt: skip
        draft.require_effect(resolved.space)
        resolved._parse(base, complete=False)
        if announce:
            announce(resolved.points)
        if isinstance(resolved.search, Sampled) and not axes and not resolved.space:
            raise UserError(
                f"{resolved.origin}: search.space", "is empty", "name at least one key and its distribution"
            )
        check_search(resolved.search, resolved.scheduler, axes, stages, resolved.samples(), resolved.origin)
        if isinstance(resolved.scheduler, PBT):
            require_population(resolved.size, len(seeds), resolved.origin)
        return resolved

    @property
    def size(self) -> int:
        """The number of trials: of a space that is exhausted before `search.trials`, of all its points."""
        return self.ends[-1]

    @property
    def points(self) -> int:
        """The number of trials that are asked for, before any is resolved: some may equal others."""
        if isinstance(self.search, Sampled):
            return self.search.trials * len(self.seeds)
        return grid_size(self.axes, self.seeds, self.stages)

    @property
    def ends(self) -> list[int]:
        """The number of trials after the study's start and after each extension."""
        if not isinstance(self.search, Sampled):
            return [len(self._resolved)]
        most = self._possible
        asked = (*self.earlier, self.search.trials)
        return [(end if most is None else min(end, most)) * len(self.seeds) for end in asked]

    @property
    def selection(self) -> str:
        """The split on which trials are judged, `validation` or `test`; one for all that are judged together."""
        return self.samples()[0].config.train.selection

    @property
    def notes(self) -> list[str]:
        """What of the study's points is not run, one line each."""
        if not isinstance(self.search, Sampled):
            return self._grid.twins.note(self._grid.number)
        if self._possible is None or self._possible >= self.search.trials:
            return []
        return [
            f"the space has {counted(self._possible, 'point')} that differ, search.trials asks for"
            f" {self.search.trials}: each of them is tried once"
        ]

    @property
    def dynamic(self) -> bool:
        """Whether later points depend on earlier results, so that they are known only once they have been drawn."""
        return isinstance(self.search, Sampled) and not isinstance(self.search, Random)

    def trials(self) -> list[Trial]:
        """All trials, seeds innermost, in the order in which they start.

        Of a dynamic search these are none: its trials are what the sweep's table says. Raises `UserError` for an
        invalid point.
        """
        return [] if self.dynamic else list(self._resolved)

    def samples(self) -> list[Trial]:
        """Trials that vouch for all: every trial of a grid, the corners of a space."""
        return list(self._samples)

    @cached_property
    def _resolved(self) -> list[Trial]:
        """All trials, resolved once."""
        if not isinstance(self.search, Sampled):
            return self._grid_trials()
        return [t for n, values in enumerate(self._draws) for t in self.point(n, values)]

    @cached_property
    def _draws(self) -> list[dict[str, Any]]:
        """The values of a random search's points."""
        assert isinstance(self.search, Sampled)
        seed, trials = self.search.seed, self.search.trials
        if self.schema == FIRST:
            return [draw(self.space, seed, n) for n in range(trials)]
        return list(itertools.islice(distinct_draws(self.space, seed, self._identity_of), trials))

    @cached_property
    def _possible(self) -> int | None:
        """How many points a search can try; None if there are as many as are asked for."""
        assert isinstance(self.search, Sampled)
        if self.schema == FIRST or not self.space:
            return None
        if self.dynamic:
            return count_distinct(self.space, self._identity_of, self.search.trials)
        return len(self._draws) if len(self._draws) < self.search.trials else None

    def identity(self, config: TrialConfig) -> str:
        """What tells points apart: a resolved config without its seed."""
        return config.model_copy(update={"seed": 0}).model_dump_json()

    def _identity_of(self, values: Mapping[str, Any]) -> str:
        return self.identity(self._parse({**with_values(copy.deepcopy(self.base), values), "seed": self.seeds[0]}))

    @cached_property
    def _samples(self) -> list[Trial]:
        if not isinstance(self.search, Sampled):
            return self._resolved
        if not self.space:
            return [Trial("base", self._parse({**self.base, "seed": self.seeds[0]}), {})]
        return [t for n, values in enumerate(self._corners) for t in self.point(n, values)[:1]]

    @cached_property
    def _corners(self) -> list[dict[str, Any]]:
        return corner_points(self.space)

    @cached_property
    def space(self) -> dict[str, Distribution]:
        """The distributions of a search, by dotted path; empty for a grid."""
        written = self.search.space if isinstance(self.search, Sampled) else {}
        return space_of(written, KNOWN, f"{self.origin}: search.space")

    @cached_property
    def columns(self) -> list[str]:
        """The swept columns of a search."""
        return swept_columns({path: found.corners() for path, found in self.space.items()})

    def point(self, number: int, values: Mapping[str, Any]) -> list[Trial]:
        """The trials of a search's point, one a seed. `number` is its place in the search, from 0."""
        columns, trials = self.columns, []
        for seed in self.seeds:
            config = self._parse({**with_values(copy.deepcopy(self.base), values), "seed": seed})
            row = {column: swept_value(config, column) for column in columns}
            name = self._name(f"{number:04d}", row, seed)
            trials.append(Trial(name, config, alike([row], self._mixed)[0]))
        return trials

    def _name(self, index: str, row: Mapping[str, Any], seed: int) -> str:
        if self.schema == FIRST:
            return version_1_name(index, alike([row], self._mixed)[0], seed)
        return self._names.name(index, row, seed)

    @cached_property
    def _corner_rows(self) -> list[dict[str, Any]]:
        columns = self.columns
        trees = (with_values(copy.deepcopy(self.base), values) for values in self._corners)
        return [{c: swept_value(config, c) for c in columns} for config in map(self._parse, trees)]

    @cached_property
    def _mixed(self) -> frozenset[str]:
        """Columns of a search whose values are not all of one type."""
        return mixed_columns(self._corner_rows)

    @cached_property
    def _names(self) -> Names:
        """How a search's trials are named."""
        assert isinstance(self.search, Sampled)
        linked = linked_columns({path: found.corners() for path, found in self.space.items()}, self.columns)
        return Names([self.search.space, self.base], linked, self._corner_rows)

    def extended(self, trials: int) -> "Study":
        """The same search with more points. Raises `UserError` for a grid, or for fewer points than before."""
        if not isinstance(self.search, Sampled):
            remedy = "resume without --trials, and begin a new sweep for more points"
            raise UserError("--trials", "a grid has as many trials as its axes have points", remedy)
        if isinstance(self.scheduler, PBT):
            raise UserError(
                "--trials",
                "pbt has one population from the start to the end",
                "resume without --trials, and begin a new sweep for more",
            )
        if trials < self.search.trials:
            raise UserError("--trials", f"{trials} is fewer than the {self.search.trials} it has", "give more, or none")
        if trials == self.search.trials:
            return self
        search = self.search.model_copy(update={"trials": trials})
        return replace(self, search=search, earlier=(*self.earlier, self.search.trials))

    @cached_property
    def _grid(self) -> GridPoints:
        return GridPoints(
            self.base, self.axes, self.seeds, self.stages, self._parse, self._check, distinct=self.schema > FIRST
        )

    def _grid_trials(self) -> list[Trial]:
        grid = self._grid
        width = max(2, len(str(len(grid.points) - 1)))
        columns = list(dict.fromkeys(column for found in grid.columns for column in found))
        values = [{column: swept_value(point.config, column) for column in columns} for point in grid.points]
        rows = alike(values, mixed_columns(values))
        written = [grid.axes, *self.stages.values(), self.base]
        names = Names(written, linked_columns(grid.axes, columns), values if self.schema > FIRST else [])
        trials: list[Trial] = []
        teachers, stage, waiting = Teachers(), "", list[Trial]()
        for index, (point, value, swept) in enumerate(zip(grid.points, values, rows, strict=True)):
            if point.stage != stage:
                for trial in waiting:
                    teachers.add(trial)
                stage, waiting = point.stage, []
            wanted = point.config.objective.teachers()
            found = {role: teachers.find(point.config, objective) for role, objective in wanted.items()}
            number, seed = f"{index:0{width}d}", point.config.seed
            name = names.name(number, value, seed) if self.schema > FIRST else version_1_name(number, swept, seed)
            trials.append(Trial(name, point.config, swept, stage, found))
            if len(self.stages) > 1:
                waiting.append(trials[-1])
        return trials

    def _check(self, config: TrialConfig) -> None:
        # What an older version accepted obeyed the rules that it had.
        if self.schema >= SCHEMA and self.data.knows(config.data):
            config.check(self.origin)

    def _parse(self, tree: Tree, *, complete: bool = True) -> TrialConfig:
        return TrialConfig.parse(tree, self.origin, complete=complete, data=self.data, schema=self.schema)

    @property
    def origin(self) -> str:
        """Where a mistake in a resolved value may stand."""
        return _origin(self.name, self.overrides)

    def configs_digest(self) -> str:
        """A digest of all resolved configs: all that they say, but what their schema version could not say."""
        return _digest(" ".join(trial.config.hash for trial in self.samples()))

    def as_yaml(self) -> str:
        """The resolved study as YAML, whose first line carries the digest of the rest."""
        body = dump(
            {
                "study": self.name, "title": self.title, "paper": self.paper, "preset": self.preset,
                "source": self.source, "overrides": dict(self.overrides), "base": self.base,
                "axes": {k: list(v) for k, v in self.axes.items()}, "seeds": self.seeds, "figures": self.figures,
                "stages": {stage: dict(changes) for stage, changes in self.stages.items()},
                "search": recorded(self.search, self.schema), "scheduler": recorded(self.scheduler, self.schema),
                **({"earlier": list(self.earlier)} if self.earlier else {}),
                **({"data": known} if (known := self.data.as_record()) else {}),
                **({"schema": self.schema} if self.schema > FIRST else {}),  # which version 1 did not write
                "tune_at": __version__, "configs": self.configs_digest(),
            }
        )  # fmt: skip
        return f"# digest: {_digest(body)}\n{body}"

    @classmethod
    def from_yaml(cls, text: str, where: str) -> "Study":
        """Read what `as_yaml` wrote, in this version or an older one.

        Raises `UserError` if it was edited since, or if a newer version wrote it.
        """
        named = re.search(r"^schema: *(\d+) *$", text, re.MULTILINE)  # a newer record may differ in all else
        schema = require_known(int(named[1]) if named else None, where)
        head, _, body = text.partition("\n")
        if head.removeprefix("# digest: ").strip() != _digest(body):
            raise UserError(
                where, "was changed after its sweep began", "undo the change, or start a new sweep with --name"
            )
        tree = load(body, where)
        earlier = tree.get("search", {}).pop("extended", ())  # where it stood in the first sweeps of version 0.1
        study = cls(
            tree["study"], tree["title"], tree["paper"], tree["preset"], tree["overrides"], tree["base"],
            tree["axes"], tree["seeds"], tree["figures"], tree.get("stages", {}),
            parse_search(tree.get("search", {}), where, schema),
            parse_scheduler(tree.get("scheduler", {}), where, schema), tree["source"],
            tuple(tree.get("earlier", earlier)), KnownData.from_record(tree.get("data"), take_facts), schema,
        )  # fmt: skip
        if study.configs_digest() != tree["configs"]:
            raise UserError(
                where,
                f"a default has changed between tune-at {tree['tune_at']} and {__version__}",
                f"continue it with version {tree['tune_at']}",
            )
        return study


def _origin(name: str, overrides: Mapping[str, Any]) -> str:
    return f"{name}.yaml with --set" if overrides else f"{name}.yaml"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
