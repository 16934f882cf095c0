"""Points that are drawn from a space instead of a grid, and what is checked of a search before anything starts."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from tune_at.config.scheduler import SCHEDULERS, SchedulerSection, find_metric
from tune_at.config.search import SEARCHERS, Sampled, SearchSection
from tune_at.config.space import Choice, Distribution, Range, parse_distribution
from tune_at.config.synonyms import NAMES, remedy_for
from tune_at.config.tree import Tree, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.config.validation import user_error
from tune_at.config.versions import FIRST, SCHEMA, upgraded
from tune_at.errors import UserError, suggestion
from tune_at.seeding import derive_seed
from tune_at.study.groups import require_one_group
from tune_at.study.trials import Trial

MUTABLE = ("optim", "objective")
"""Sections whose numbers PBT may change: the others decide what is measured, or which tensors there are."""

MOST_CORNERS = 256
"""Combinations of choices that are tried before a search starts."""


def parse_search(tree: Mapping[str, Any], where: str, schema: int = SCHEMA) -> SearchSection:
    """The `search` section of a study, written under a schema version; none is the grid."""
    key = search_name(tree)
    name = tree.get(key, "grid")
    if not isinstance(name, str) or name not in SEARCHERS:
        raise UserError(f"{where}: search.{key}", f"{name!r} is unknown", name_remedy(name, SEARCHERS))
    if key != "name" and "name" in tree:
        raise UserError(f"{where}: search.{key}", "is search.name in an older spelling, which is there too", "drop one")
    if name == "grid":
        space = tree.get("space", {})
        drawn = [path for path, written in space.items() if written is not None] if isinstance(space, Mapping) else []
        if drawn:
            raise UserError(
                f"{where}: search.{key}",
                f"grid needs axes, but this study has a space ({', '.join(drawn)})",
                "choose random or optuna, or drop the space with the whole search: search=null",
            )
        if "trials" in tree:
            raise UserError(
                f"{where}: search.trials",
                f"{tree['trials']!r}, but a grid has as many trials as its axes have points",
                "write more seeds to repeat them, or search=random with a space to draw points from",
            )
        tree = {key: value for key, value in tree.items() if key != "space" or not isinstance(space, Mapping)}
    tree = {"name": name, **{k: value for k, value in tree.items() if k != key}}
    search: SearchSection = _parse(SEARCHERS[name].config, tree, where, "search", schema)
    return search


def search_name(tree: Mapping[str, Any]) -> str:
    """The key by which a search is named: `name`, or `algorithm` as in version 1."""
    return "algorithm" if "algorithm" in tree else "name"


def name_remedy(name: Any, known: Collection[str]) -> str:
    """The remedy for an unknown search or scheduler."""
    meant = NAMES.get(str(name).lower())
    return f"did you mean {meant}?" if meant in known else suggestion(str(name), known)


def parse_scheduler(tree: Mapping[str, Any], where: str, schema: int = SCHEMA) -> SchedulerSection:
    """The `scheduler` section of a study, written under a schema version; none is FIFO."""
    name = tree.get("name", "fifo")
    if not isinstance(name, str) or name not in SCHEDULERS:
        raise UserError(f"{where}: scheduler.name", f"{name!r} is unknown", name_remedy(name, SCHEDULERS))
    scheduler: SchedulerSection = _parse(SCHEDULERS[name].config, tree, where, "scheduler", schema)
    return scheduler


def _parse(section: Any, tree: Mapping[str, Any], where: str, part: str, schema: int) -> Any:
    model: type[BaseModel] = section
    tree = upgraded(tree, model, schema, {})
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise user_error(error, model, where, part) from None


def space_of(written: Mapping[str, Any], known: Collection[str], where: str) -> dict[str, Distribution]:
    """A space as distributions, the named sections first. A path whose distribution is null is dropped (presets)."""
    for path in written:
        if path not in known:
            remedy = remedy_for(path, known) or "docs/reference/config.md says what keys there are"
            raise UserError(f"{where}.{path}", "no such key", remedy)
    space = {p: parse_distribution(w, f"{where}.{p}") for p, w in written.items() if w is not None}
    # A section's name is set before the keys in it.
    return dict(sorted(space.items(), key=lambda item: item[0].removesuffix(".name").count(".")))


def draw(space: Mapping[str, Distribution], seed: int, number: int) -> dict[str, Any]:
    """Point `number` of a random search: a function of the seed and the number alone."""
    rng = np.random.default_rng(derive_seed(seed, "search", number))
    return {path: distribution.draw(rng) for path, distribution in space.items()}


def with_values(base: Tree, values: Mapping[str, Any]) -> Tree:
    """A copy of the base with a point's values in it."""
    tree = dict(base)
    for path, value in values.items():
        set_path(tree, path, value, NAMED_SECTIONS)
    return tree


def corner_points(space: Mapping[str, Distribution]) -> list[dict[str, Any]]:
    """Points at the edge of a space: every choice with every other, or 256 such, and each end of each range.

    Where these are valid, points within are, but for rules between two keys.
    """
    choices = {path: drawn.corners() for path, drawn in space.items() if isinstance(drawn, Choice)}
    ranges = {path: drawn for path, drawn in space.items() if isinstance(drawn, Range)}
    if math.prod(map(len, choices.values())) <= MOST_CORNERS:
        combined = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    else:  # in step through shuffled lists: each value is there
        rng = np.random.default_rng(0)
        orders = {path: [values[i] for i in rng.permutation(len(values))] for path, values in choices.items()}
        length = max(MOST_CORNERS, *map(len, orders.values()))
        combined = [{path: order[n % len(order)] for path, order in orders.items()} for n in range(length)]
    lows = {path: drawn.corners()[0] for path, drawn in ranges.items()}
    points = [_ordered(space, {**point, **lows}) for point in combined]
    return points + [_ordered(space, {**points[0], path: drawn.corners()[1]}) for path, drawn in ranges.items()]


def _ordered(space: Mapping[str, Distribution], values: Mapping[str, Any]) -> dict[str, Any]:
    return {path: values[path] for path in space}


def check_search(
    search: SearchSection, scheduler: SchedulerSection, axes: Collection[str], stages: Collection[str],
    trials: Sequence[Trial], where: str, schema: int = SCHEMA,
) -> None:  # fmt: skip
    """Rules between a study's parts, its searcher and its scheduler. `trials`: all, or such as vouch for all.

    What is compared was no rule of schema version 1.

    Raises:
        UserError: what does not go together, and the remedy.
    """
    early = scheduler.early
    if stages and (early or search.draws):
        raise UserError(f"{where}: stages", "are for grids without early stopping", "drop search and scheduler")
    if search.draws and axes:
        axis = next(iter(axes))
        raise UserError(f"{where}: axes.{axis}", "a search has no axes", f"move {axis} into search.space")
    selection = trials[0].config.train.selection
    metrics = [find_metric(written, selection, f"{where}: search.objectives") for written in search.judged_by]
    if len(set(metrics)) < len(metrics):
        raise UserError(f"{where}: search.objectives", f"{list(search.judged_by)} name one twice", "drop it")
    if len(metrics) > 1 and early:
        raise UserError(
            f"{where}: scheduler.name",
            f"{scheduler.name} judges by one metric, but the search has {len(metrics)} objectives",
            "set scheduler=fifo, or search for one objective",
        )
    if scheduler.compared_within:
        _check_runs(search, axes, scheduler.compared_within, where)
    if early:
        _check_scheduler(scheduler, trials, where)
    if search.dynamic and schema > FIRST and scheduler.bracketed:
        require_one_group(find_metric(scheduler.metric, selection, where), search.drawn, trials, where)


def _check_runs(search: SearchSection, axes: Collection[str], set_by_rungs: Collection[str], where: str) -> None:
    """Rules of complete runs as rungs: points do not depend on results, and the runs' length is the scheduler's."""
    if search.dynamic:
        raise UserError(
            f"{where}: search.name",
            f"{search.name} proposes points by their results, which complete runs of several lengths would mix",
            "set search.name=random, or scheduler.fidelity=epochs",
        )
    for part, drawn in (("axes", axes), ("search.space", [p for p, w in search.drawn.items() if w is not None])):
        for path in set(set_by_rungs) & set(drawn):
            raise UserError(
                f"{where}: {part}.{path}",
                "is what scheduler.fidelity: schedule sets for each rung",
                f"take it out of {part} and set {path} in base to the longest run's, or set scheduler.fidelity=epochs",
            )


def _check_scheduler(scheduler: SchedulerSection, trials: Sequence[Trial], where: str) -> None:
    selection = trials[0].config.train.selection
    find_metric(scheduler.metric, selection, f"{where}: scheduler.metric")
    if any(trial.config.train.selection != selection for trial in trials):
        raise UserError(f"{where}: train.selection", "differs among trials that are judged together", "choose one")
    configs = [trial.config for trial in trials]
    for broken in scheduler.never_judging(configs):
        raise UserError(f"{where}: {broken.where}", broken.problem, broken.remedy)
    mutations = mutations_of(scheduler, scheduler.drawn.keys(), where)
    for broken in scheduler.broken_between(trials):
        raise UserError(f"{where}: {broken.where}", broken.problem, broken.remedy)
    for path, distribution in mutations.items():
        for config, corner in itertools.product(configs, distribution.corners()):
            tree = with_values(config.as_tree(), {path: corner})
            TrialConfig.parse(tree, f"{where}: scheduler.mutations", data=config.data.known)


def require_extensible(search: SearchSection, scheduler: SchedulerSection, trials: int) -> int:
    """The number of points that a search has. Raises `UserError` if it cannot be extended to `trials`."""
    if not isinstance(search, Sampled):
        remedy = "resume without --trials, and begin a new sweep for more points"
        raise UserError("--trials", "a grid has as many trials as its axes have points", remedy)
    if scheduler.population:
        raise UserError(
            "--trials",
            f"{scheduler.name} has one population from the start to the end",
            "resume without --trials, and begin a new sweep for more",
        )
    if trials < search.trials:
        raise UserError("--trials", f"{trials} is fewer than the {search.trials} it has", "give more, or none")
    return search.trials


def mutations_of(scheduler: SchedulerSection, known: Collection[str], where: str) -> dict[str, Distribution]:
    """What a scheduler draws while trials run, as distributions. Raises `UserError`."""
    if scheduler.population and not scheduler.drawn:
        raise UserError(f"{where}: scheduler.mutations", "is empty", "name keys such as optim.lr with a distribution")
    mutations = space_of(scheduler.drawn, known, f"{where}: scheduler.mutations")
    for path, distribution in mutations.items():
        numbers = isinstance(distribution, Range) or all(
            type(value) in (int, float) for value in distribution.corners()
        )
        if path.partition(".")[0] not in MUTABLE or not numbers:
            raise UserError(
                f"{where}: scheduler.mutations.{path}",
                "cannot change while a trial runs",
                f"only numbers of {' and '.join(MUTABLE)} can",
            )
    return mutations
