"""The points of a search: how many its space has, which a random search draws, and what vouches for all of them."""

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tune_at.config.search import Sampled
from tune_at.config.space import Distribution
from tune_at.config.tree import Tree
from tune_at.config.trial import TrialConfig
from tune_at.config.versions import FIRST
from tune_at.study.exhaustion import count_distinct, distinct_draws
from tune_at.study.names import Names, linked_columns, version_1_name
from tune_at.study.sampling import corner_points, draw, with_values
from tune_at.study.trials import Trial, alike, mixed_columns, swept_columns, swept_value
from tune_at.wording import counted


class DrawnPoints:
    """The points of one search.

    Args:
        base: the config that all points share, as written.
        search: the searcher.
        space: what is drawn for each path.
        seeds: the seeds of each point.
        schema: the schema version under which the sweep began.
        parse: `TrialConfig.parse` for this study.
    """

    def __init__(
        self, base: Tree, search: Sampled, space: Mapping[str, Distribution], seeds: Sequence[int], schema: int,
        parse: Callable[[Tree], TrialConfig],
    ) -> None:  # fmt: skip
        self._base, self.search, self.space, self._seeds, self._schema = base, search, space, list(seeds), schema
        self._parse = parse
        corners = {path: distribution.corners() for path, distribution in space.items()}
        self.columns = swept_columns(corners)
        """The swept columns."""
        self._linked = linked_columns(corners, self.columns)

    def trials(self) -> list[Trial]:
        """All trials of a search whose points do not depend on results, resolved now."""
        return [trial for number, values in enumerate(self._draws) for trial in self.point(number, values)]

    def corners(self) -> list[Trial]:
        """Trials at the corners of the space, which vouch for all: of each corner the first seed."""
        if not self.space:
            return [Trial("base", self._parse({**self._base, "seed": self._seeds[0]}), {})]
        return [trial for number, values in enumerate(self._corners) for trial in self.point(number, values)[:1]]

    def point(self, number: int, values: Mapping[str, Any]) -> list[Trial]:
        """The trials of a point, one a seed. `number` is its place in the search, from 0."""
        trials = []
        for seed in self._seeds:
            config = self._parse({**self._tree(values), "seed": seed})
            row = {column: swept_value(config, column) for column in self.columns}
            swept, index = alike([row], self._mixed)[0], f"{number:04d}"
            first = self._schema == FIRST
            name = version_1_name(index, swept, seed) if first else self._names.name(index, row, seed)
            trials.append(Trial(name, config, swept))
        return trials

    def identity(self, values: Mapping[str, Any]) -> str:
        """What tells a point from others. Raises `UserError` for an invalid one."""
        return identity(self._parse({**self._tree(values), "seed": self._seeds[0]}))

    def ends(self, earlier: Sequence[int]) -> list[int]:
        """The number of trials after the start and after each extension; `earlier`: `trials` before each of these."""
        most = self.possible
        asked = (*earlier, self.search.trials)
        return [(end if most is None else min(end, most)) * len(self._seeds) for end in asked]

    def note(self) -> list[str]:
        """One line, if the space has fewer points than are asked for."""
        if self.possible is None or self.possible >= self.search.trials:
            return []
        return [
            f"the space has {counted(self.possible, 'point')} that differ, search.trials asks for"
            f" {self.search.trials}: each of them is tried once"
        ]

    @cached_property
    def possible(self) -> int | None:
        """How many points the search can try; None if there are as many as are asked for."""
        if self._schema == FIRST or not self.space:
            return None
        if self.search.dynamic:
            return count_distinct(self.space, self.identity, self.search.trials)
        return len(self._draws) if len(self._draws) < self.search.trials else None

    @cached_property
    def _draws(self) -> list[dict[str, Any]]:
        """The values of a random search's points."""
        seed, trials = self.search.seed, self.search.trials
        if self._schema == FIRST:
            return [draw(self.space, seed, n) for n in range(trials)]
        return list(itertools.islice(distinct_draws(self.space, seed, self.identity), trials))

    @cached_property
    def _corners(self) -> list[dict[str, Any]]:
        return corner_points(self.space)

    @cached_property
    def _corner_rows(self) -> list[dict[str, Any]]:
        configs = (self._parse(self._tree(values)) for values in self._corners)
        return [{column: swept_value(config, column) for column in self.columns} for config in configs]

    @cached_property
    def _mixed(self) -> frozenset[str]:
        """Columns whose values are not all of one type."""
        return mixed_columns(self._corner_rows)

    @cached_property
    def _names(self) -> Names:
        return Names([self.search.space, self._base], self._linked, self._corner_rows)

    def _tree(self, values: Mapping[str, Any]) -> Tree:
        return with_values(copy.deepcopy(self._base), values)


def identity(config: TrialConfig) -> str:
    """What tells points apart: a resolved config without its seed."""
    return config.model_copy(update={"seed": 0}).model_dump_json()
