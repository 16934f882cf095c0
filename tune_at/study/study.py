"""Study: a YAML file → validated trial configs.

A study has a `base` config, `axes` (dotted path → list of values; their full grid is run) or a `search` with a space,
`seeds`, a `scheduler`, and `presets` of overrides. An override of an axis replaces its values; an override of any
other path changes the base.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tune_at.config.facts import KnownData
from tune_at.config.probes import ProbeSection, parse_probes
from tune_at.config.scheduler import FIFO, SchedulerSection
from tune_at.config.search import Grid, Sampled, SearchSection
from tune_at.config.space import Distribution
from tune_at.config.tree import Tree
from tune_at.config.trial import TrialConfig
from tune_at.config.versions import FIRST, SCHEMA
from tune_at.data.folder import take_facts
from tune_at.errors import UserError, suggestion
from tune_at.study import record
from tune_at.study.curves import ImportedCurves
from tune_at.study.drawn import DrawnPoints, identity
from tune_at.study.file import find_study, read_study
from tune_at.study.grid import GridPoints, grid_size
from tune_at.study.ladder import Ladder
from tune_at.study.overrides import KNOWN, Draft, check_path, check_stage
from tune_at.study.paths import PARTS, anchor_file, anchored
from tune_at.study.sampling import check_search, parse_scheduler, parse_search, require_extensible, space_of
from tune_at.study.trials import Trial
from tune_at.study.yaml_text import in_version_1


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

    probes: tuple[ProbeSection, ...] = ()
    """What is measured while the trials train; no part of their configs, since it changes nothing in them."""

    schema: int = SCHEMA
    """The schema version under which the sweep began: what is not written has that version's defaults."""

    curves: ImportedCurves | None = None
    """Where its curves come from, if nothing was trained here: then it has no points, and its trials are rows alone."""

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
            check_stage(f"{path.name}: stages.{stage}", keys)
        draft.apply(f"{path.name}: presets.{preset}", written.presets.get(preset, {}))
        draft.apply("--set", overrides or {})
        base, axes, seeds, stages = draft.base, draft.axes, draft.seeds, draft.stages
        origin = _origin(path.stem, overrides or {})
        resolved = cls(
            path.stem, written.title, written.paper, preset, dict(overrides or {}), base, axes, seeds,
            list(written.figures), stages, parse_search(draft.engine["search"], origin, schema),
            parse_scheduler(draft.engine["scheduler"], origin, schema), str(path.resolve()), data=data,
            schema=schema, probes=parse_probes(draft.probes, origin),
        )  # fmt: skip
        draft.require_effect(resolved.space)
        resolved._parse(base, complete=False)
        if announce:
            announce(resolved.points)
        if resolved.search.draws and not axes and not resolved.space:
            raise UserError(
                f"{resolved.origin}: search.space", "is empty", "name at least one key and its distribution"
            )
        check_search(resolved.search, resolved.scheduler, axes, stages, resolved._samples, resolved.origin, schema)
        resolved.samples()  # each length of a run obeys the rules
        resolved._check_probes()
        if broken := resolved.scheduler.broken_by_number(resolved.size, len(seeds)):
            raise UserError(f"{resolved.origin}: {broken.where}", broken.problem, broken.remedy)
        return resolved

    @property
    def size(self) -> int:
        """The number of trials, of an exhausted space of all its points; of points with several runs the most."""
        return self.ends[-1] * max(1, len(self.lengths))

    @property
    def points(self) -> int:
        """The number of trials that are asked for, before any is resolved: some may equal others."""
        if isinstance(self.search, Sampled):
            return self.search.trials * len(self.seeds)
        if self.curves:
            return self.curves.trials
        return grid_size(self.axes, self.seeds, self.stages)

    @property
    def ends(self) -> list[int]:
        """The number of trials after the study's start and after each extension."""
        return self._drawn.ends(self.earlier) if self._drawn else [self.points if self.curves else len(self._resolved)]

    @property
    def selection(self) -> str:
        """The split on which trials are judged, `validation` or `test`; one for all that are judged together."""
        return self.curves.selection if self.curves else self._samples[0].config.train.selection

    @property
    def notes(self) -> list[str]:
        """What of the study's points is not run, one line each."""
        return self._drawn.note() if self._drawn else self._grid.twins.note(self._grid.number)

    @property
    def dynamic(self) -> bool:
        """Whether later points depend on earlier results, so that they are known only once they have been drawn."""
        return self.search.dynamic

    def trials(self) -> list[Trial]:
        """All trials, seeds innermost, in the order in which they start.

        Of a dynamic search these are none: its trials are what the sweep's table says. Where a point has several runs
        it is its first, and the others are in `ladder`. Raises `UserError` for an invalid point.
        """
        if self.ladder is not None:
            return self.ladder.firsts()
        return [] if self.dynamic else list(self._resolved)

    def samples(self) -> list[Trial]:
        """Trials that vouch for all: every trial of a grid, the corners of a space, at each length of a run."""
        return self._ladder(self._samples).all() if self.lengths else list(self._samples)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The epochs of the complete runs that a point may have, ascending; none where each has one run."""
        return self.scheduler.runs(max((trial.config.train.epochs for trial in self._samples), default=1))

    @cached_property
    def ladder(self) -> Ladder | None:
        """The runs of all points, where a point may have several."""
        return self._ladder(self._resolved) if self.lengths else None

    def _ladder(self, points: list[Trial]) -> Ladder:
        return Ladder(points, self.lengths, self._check)

    @property
    def grows(self) -> bool:
        """Whether trials come to be while the sweep runs: drawn by its search, or promoted by its scheduler."""
        return self.dynamic or bool(self.lengths)

    @cached_property
    def _resolved(self) -> list[Trial]:
        """All trials, resolved once."""
        if self.curves:
            return list(self.curves.read())
        return self._drawn.trials() if self._drawn else self._grid.trials()

    @cached_property
    def _samples(self) -> list[Trial]:
        return self._drawn.corners() if self._drawn else self._resolved

    @cached_property
    def space(self) -> dict[str, Distribution]:
        """The distributions of a search, by dotted path; empty for a grid."""
        return space_of(self.search.drawn, KNOWN, f"{self.origin}: search.space")

    @property
    def columns(self) -> list[str]:
        """The swept columns of a search; none of a grid."""
        return self._drawn.columns if self._drawn else []

    def point(self, number: int, values: Mapping[str, Any]) -> list[Trial]:
        """The trials of a search's point, one a seed. `number` is its place in the search, from 0."""
        assert self._drawn
        return self._drawn.point(number, values)

    def identity(self, config: TrialConfig) -> str:
        """What tells points apart: a resolved config without its seed."""
        return identity(config)

    @cached_property
    def _drawn(self) -> DrawnPoints | None:
        """The points of a search; None for a grid."""
        if not isinstance(self.search, Sampled):
            return None
        return DrawnPoints(self.base, self.search, self.space, self.seeds, self.schema, self._parse)

    @cached_property
    def _grid(self) -> GridPoints:
        return GridPoints(self.base, self.axes, self.seeds, self.stages, self.schema, self._parse, self._check)

    def extended(self, trials: int) -> "Study":
        """The same search with more points. Raises `UserError` for a grid, or for fewer points than before."""
        before = require_extensible(self.search, self.scheduler, trials)
        search = self.search.model_copy(update={"trials": trials})
        return self if trials == before else replace(self, search=search, earlier=(*self.earlier, before))

    def _check_probes(self) -> None:
        """Raise `UserError` for a probe that is not defined for one of the trials."""
        for probe, trial in itertools.product(self.probes, self.samples() if self.probes else ()):
            for broken in probe.rules(trial.config) if self.data.knows(trial.config.data) else ():
                raise UserError(f"{self.origin}: {broken.where}", broken.problem, broken.remedy)

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
        samples = [] if self.curves else self.samples()  # what is told of curves stands in the tables
        return record.digest(" ".join(trial.config.hash for trial in samples))

    def as_yaml(self) -> str:
        """The resolved study as YAML, whose first line carries the digest of the rest."""
        return record.signed(record.parts(self), self.configs_digest())

    @classmethod
    def from_yaml(cls, text: str, where: str) -> "Study":
        """Read what `as_yaml` wrote, in this version or an older one.

        Raises `UserError` if it was edited since, or if a newer version wrote it.
        """
        tree, schema = record.unsigned(text, where)
        earlier = tree.get("search", {}).pop("extended", ())  # where it stood in the first sweeps of version 0.1
        study = cls(
            tree["study"], tree["title"], tree["paper"], tree["preset"], tree["overrides"], tree["base"],
            tree["axes"], tree["seeds"], tree["figures"], tree.get("stages", {}),
            parse_search(tree.get("search", {}), where, schema),
            parse_scheduler(tree.get("scheduler", {}), where, schema), tree["source"],
            tuple(tree.get("earlier", earlier)), KnownData.from_record(tree.get("data"), take_facts),
            parse_probes(tree.get("probes", ()), where), schema, ImportedCurves.from_record(tree.get("curves")),
        )  # fmt: skip
        record.require_same_configs(tree, study.configs_digest(), where)
        return study


def _origin(name: str, overrides: Mapping[str, Any]) -> str:
    return f"{name}.yaml with --set" if overrides else f"{name}.yaml"
