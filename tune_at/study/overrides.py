"""Presets and `--set`: what they may name, and how they change the parts of a study."""

from collections.abc import Mapping, Sequence
from typing import Any

from tune_at.config.scheduler import SCHEDULERS
from tune_at.config.search import SEARCHERS
from tune_at.config.space import Distribution
from tune_at.config.synonyms import remedy_for
from tune_at.config.tree import Tree, leaves, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.config.validation import field_paths
from tune_at.errors import UserError, suggestion
from tune_at.study.file import StudyFile
from tune_at.study.sampling import search_name
from tune_at.study.trials import override

KNOWN = frozenset(field_paths(TrialConfig)) - {"seed"}
"""Every key that base, axes, spaces and overrides may name."""

SPACES = ("search.space", "scheduler.mutations")
"""Mappings whose keys are dotted paths themselves."""

ENGINE = frozenset(
    f"{part}.{key}"
    for part, registry in (("search", SEARCHERS), ("scheduler", SCHEDULERS))
    for entry in registry.values()
    for key in field_paths(entry.config)
)
"""Every key of `search` and `scheduler`."""


WHOLE = frozenset({"seeds", "stages", "search", "scheduler", "probes"})
"""Parts of a study that may be given as a whole."""


class Draft:
    """The parts of a study's file while presets and overrides are applied to them."""

    def __init__(self, written: StudyFile) -> None:
        self.base, self.axes, self.seeds = dict(written.base), dict(written.axes), list(written.seeds)
        self.stages: Mapping[str, Mapping[str, Any]] = written.stages
        self._all_stages = written.stages
        self.engine: Tree = {"search": written.search, "scheduler": written.scheduler}
        self.probes = list(written.probes)
        self._set: list[tuple[str, str, frozenset[str]]] = []

    def apply(self, origin: str, changes: Mapping[str, Any]) -> None:
        """Apply one preset, or all of `--set`. Raises `UserError` for an unknown key or an impossible value."""
        keys = []
        for key, value in changes.items():
            if key == "stages":
                self.stages = _stages(origin, value, self._all_stages)
            elif key == "seeds":
                self.seeds = _seeds(origin, value)
            elif key.partition(".")[0] == "probes":
                self.probes = _probes(f"{origin} {key}", self.probes, key, value)
            elif key.partition(".")[0] in self.engine:
                _set_engine(self.engine, key, value)
            else:
                check_path(f"{origin} {key}", key, known=KNOWN | ENGINE | WHOLE)
                if key in self.axes and value == []:
                    raise UserError(f"{origin} {key}", "[] leaves the axis without a value", "write at least one")
                override(self.base, self.axes, key, value)
                keys += [leaf for leaf, _ in leaves({key: value})]
        space = self.engine["search"].get("space")
        drawn = frozenset(p for p, w in space.items() if w is not None) if isinstance(space, Mapping) else frozenset()
        self._set += [(f"{origin} {key}", key, drawn) for key in keys]

    def require_effect(self, space: Mapping[str, Distribution]) -> None:
        """Raise `UserError` for an override of a key that the space draws anyway, since it would change nothing.

        What a later override has put into the space is drawn on purpose.
        """
        always = _always_drawn(space)
        for where, key, drawn_then in self._set:
            path = always.get(_unnamed(key))
            if path in drawn_then:
                dropped = (
                    f"--set search.space.{path}=null" if where.startswith("--set") else f"search.space.{path}: null"
                )
                raise UserError(
                    where,
                    "is drawn by search.space, so that this value would never be used",
                    f"take {path} out of the space, too, with {dropped}, or change what the space draws",
                )


def check_path(where: str, path: str, known: frozenset[str] = KNOWN) -> None:
    """Raise `UserError` unless a base, an axis or a space may have this key; `known`: what may be proposed instead."""
    if path == "seed":
        raise UserError(
            where, "a seed is neither a key of the base nor an axis", "write seeds: [0, 1], or --set seeds=[0,1]"
        )
    if path in KNOWN:
        return
    section = path.rpartition(".")[0]
    section = section if section in KNOWN else ""
    listed = f"known here: {', '.join(sorted(p for p in known if p.rpartition('.')[0] == section))}"
    raise UserError(
        where, "no such key", remedy_for(path, known) or listed or "docs/reference/config.md says what keys there are"
    )


def _always_drawn(space: Mapping[str, Distribution]) -> dict[str, str]:
    """The keys that every value of a path sets, and that path: `{name: trades, beta: 3}` sets more than its own."""
    always: dict[str, str] = {}
    for path, distribution in space.items():
        sets = [
            {_unnamed(leaf) for leaf, _ in leaves({path: value})} if isinstance(value, Mapping) else {_unnamed(path)}
            for value in distribution.corners()
        ]
        always |= dict.fromkeys(set.intersection(*sets), path)
    return always


def _unnamed(path: str) -> str:
    """`objective.name` is `objective`."""
    section = path.removesuffix(".name")
    return section if section in NAMED_SECTIONS else path


def _set_engine(engine: Tree, key: str, value: Any) -> None:
    """Set a key of `search` or `scheduler`; `search=random` and `scheduler=asha` set their names, null drops all."""
    if key in engine and (value is None or not isinstance(value, str | Mapping)):
        if value is not None:
            raise UserError(key, f"{value!r} is neither a name nor a mapping", f"write {key}=NAME")
        engine[key] = {}
        return
    for holder in SPACES:
        if key.startswith(f"{holder}."):
            key, value = holder, {key.removeprefix(f"{holder}."): value}
    if isinstance(value, str) and key in engine:
        key += ".name"
    if key == "search" and isinstance(value, Mapping) and engine["search"]:
        spelled, written = search_name(engine["search"]), search_name(value)
        value = {spelled if k == written else k: v for k, v in value.items()}
    if key in ("search.name", "search.algorithm"):
        key = f"search.{search_name(engine['search'])}"
    if key in ("search.name", "search.algorithm") and value != engine["search"].get(key.rpartition(".")[2]):
        # Keys that only the old search has go; the space and the number of points stay. A grid takes no space: it
        # is kept so that it is refused rather than lost.
        keep = {"space"} if value == "grid" else {"trials", "space", "seed"}
        engine["search"] = {k: v for k, v in engine["search"].items() if k in keep}
    set_path(engine, key, value, {"scheduler": SCHEDULERS})


def _probes(where: str, probes: Sequence[Any], key: str, value: Any) -> list[Any]:
    """The probes with `probes` or `probes.NAME.FIELD` set."""
    name, _, field = key.removeprefix("probes").removeprefix(".").partition(".")
    if not name:
        if value is not None and not isinstance(value, list):
            raise UserError(where, f"{value!r} is not a list", "write probes=[gradient_norms]")
        return value or []
    trees = [{"name": probe} if isinstance(probe, str) else probe for probe in probes]
    if not field or not any(isinstance(tree, Mapping) and tree.get("name") == name for tree in trees):
        remedy = f"give the whole list, probes=[{name}], or a field of a probe that the study names"
        raise UserError(where, "names no field of one of the study's probes", remedy)
    return [{**tree, field: value} if tree.get("name") == name else tree for tree in trees]


def _seeds(origin: str, value: Any) -> list[int]:
    seeds = value if isinstance(value, list) else [value]
    if isinstance(value, list) and len(set(map(str, value))) < len(value):
        raise UserError(f"{origin} seeds", f"{value!r} names a seed twice", "drop one of them")
    if not seeds or not all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds):
        raise UserError(f"{origin} seeds", f"{value!r} is not a list of whole numbers", "write seeds=[0,1,2]")
    return seeds


def _stages(origin: str, value: Any, stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The stages that are named, in this order; a mapping also says what is changed in each."""
    changes = value if isinstance(value, Mapping) else dict.fromkeys(value if isinstance(value, list) else [value])
    chosen: dict[str, Mapping[str, Any]] = {}
    for name, change in changes.items():
        where = f"{origin} stages"
        if name not in stages:
            raise UserError(where, f"{name!r} is unknown", suggestion(str(name), stages))
        if change is not None and not isinstance(change, Mapping):
            raise UserError(f"{where}.{name}", f"{change!r} is not a mapping", "write NAME: {key: value}")
        check_stage(f"{where}.{name}", change or {})
        chosen[name] = {**stages[name], **(change or {})}
    return chosen


def check_stage(where: str, changes: Mapping[str, Any]) -> None:
    """Raise `UserError` for an unknown key of a stage, or a key without a value."""
    for key, value in changes.items():
        check_path(f"{where} {key}", key)
        if value == []:
            raise UserError(f"{where} {key}", "[] leaves no value", "write at least one")
