"""Points that are drawn from a space instead of a grid, and what is checked of a search before anything starts."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from tune_at.config.scheduler import FIFO, PBT, SCHEDULERS, SchedulerSection, find_measure
from tune_at.config.search import SEARCHERS, Grid, Optuna, Sampled, SearchSection
from tune_at.config.space import Choice, Distribution, Range, parse_distribution
from tune_at.config.tree import Tree, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.config.validation import user_error
from tune_at.errors import UserError, suggestion
from tune_at.points import Trial
from tune_at.seeding import derive_seed

MUTABLE = ("optim", "objective")
"""Sections whose numbers PBT may change: the others decide what is measured, or which tensors there are."""


def parse_search(tree: Mapping[str, Any], where: str) -> SearchSection:
    """The `search` section of a study; none is the grid."""
    name = tree.get("algorithm", "grid")
    if name not in SEARCHERS:
        raise UserError(f"{where}: search.algorithm", f"{name!r} is unknown", suggestion(str(name), SEARCHERS))
    found: SearchSection = _parse(SEARCHERS[name].config, tree, where, "search")
    return found


def parse_scheduler(tree: Mapping[str, Any], where: str) -> SchedulerSection:
    """The `scheduler` section of a study; none is FIFO."""
    name = tree.get("name", "fifo")
    if name not in SCHEDULERS:
        raise UserError(f"{where}: scheduler.name", f"{name!r} is unknown", suggestion(str(name), SCHEDULERS))
    found: SchedulerSection = _parse(SCHEDULERS[name].config, tree, where, "scheduler")
    return found


def _parse(section: Any, tree: Mapping[str, Any], where: str, part: str) -> Any:
    model: type[BaseModel] = section
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        found = user_error(error, model)
        raise UserError(f"{where}: {part}.{found.where}", found.problem, found.remedy) from None


def space_of(written: Mapping[str, Any], known: Collection[str], where: str) -> dict[str, Distribution]:
    """A space as distributions, the named sections first. A path whose distribution is null is dropped (presets)."""
    for path in written:
        if path not in known:
            raise UserError(f"{where}.{path}", "no such key", suggestion(path, known))
    found = {p: parse_distribution(w, f"{where}.{p}") for p, w in written.items() if w is not None}
    # A section's name is set before the keys in it.
    return dict(sorted(found.items(), key=lambda item: item[0].removesuffix(".name").count(".")))


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
    """Points that vouch for the whole space: every choice with every other, up to 256, and each end of each range."""
    choices = {path: found.corners() for path, found in space.items() if isinstance(found, Choice)}
    ranges = {path: found for path, found in space.items() if isinstance(found, Range)}
    combined = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    step = -(-len(combined) // 256)
    lows = {path: found.corners()[0] for path, found in ranges.items()}
    points = [_ordered(space, {**point, **lows}) for point in combined[::step]]
    return points + [_ordered(space, {**points[0], path: found.corners()[1]}) for path, found in ranges.items()]


def _ordered(space: Mapping[str, Distribution], values: Mapping[str, Any]) -> dict[str, Any]:
    return {path: values[path] for path in space}


def check_search(
    search: SearchSection, scheduler: SchedulerSection, axes: Collection[str], stages: Collection[str],
    trials: Sequence[Trial], where: str,
) -> None:  # fmt: skip
    """Rules between a study's parts, its searcher and its scheduler. `trials`: all, or such as vouch for all.

    Raises:
        UserError: what does not go together, and the remedy.
    """
    early = not isinstance(scheduler, FIFO)
    if stages and (early or not isinstance(search, Grid)):
        raise UserError(f"{where}: stages", "are for grids without early stopping", "drop search and scheduler")
    if isinstance(search, Sampled):
        if axes:
            first = next(iter(axes))
            raise UserError(f"{where}: axes.{first}", "a search has no axes", f"move {first} into search.space")
        if not search.space:
            raise UserError(f"{where}: search.space", "is empty", "name at least one key and its distribution")
    selection = trials[0].config.train.selection
    if isinstance(search, Optuna):
        measures = [find_measure(o, selection, f"{where}: search.objectives") for o in search.objectives]
        if len(set(measures)) < len(measures):
            raise UserError(f"{where}: search.objectives", f"{list(search.objectives)} name one twice", "drop it")
        if len(measures) > 1 and early:
            raise UserError(
                f"{where}: scheduler.name",
                f"{scheduler.name} judges by one metric, but the search has {len(measures)} objectives",
                "set scheduler=fifo, or search for one objective",
            )
    if not early:
        return
    find_measure(scheduler.metric, selection, f"{where}: scheduler.metric")
    if any(trial.config.train.selection != selection for trial in trials):
        raise UserError(f"{where}: train.selection", "differs among trials that are judged together", "choose one")
    longest = max(trial.config.train.epochs for trial in trials)
    for key in ("grace", "every"):
        if getattr(scheduler, key, 0) >= longest:
            raise UserError(
                f"{where}: scheduler.{key}",
                f"{getattr(scheduler, key)} is not before the last epoch, {longest}: no trial would ever be judged",
                "lower it, or raise train.epochs",
            )
    if isinstance(scheduler, PBT):
        _check_population(scheduler, trials, where)


def mutations_of(scheduler: PBT, known: Collection[str], where: str) -> dict[str, Distribution]:
    """PBT's mutations as distributions. Raises `UserError`."""
    if not scheduler.mutations:
        raise UserError(f"{where}: scheduler.mutations", "is empty", "name keys such as optim.lr with a distribution")
    found = space_of(scheduler.mutations, known, f"{where}: scheduler.mutations")
    for path, distribution in found.items():
        numbers = isinstance(distribution, Range) or all(isinstance(v, int | float) for v in distribution.corners())
        if path.partition(".")[0] not in MUTABLE or not numbers:
            raise UserError(
                f"{where}: scheduler.mutations.{path}",
                "cannot change while a trial runs",
                f"only numbers of {' and '.join(MUTABLE)} can",
            )
    return found


def _check_population(scheduler: PBT, trials: Sequence[Trial], where: str) -> None:
    first = trials[0].config
    for trial in trials:
        config = trial.config
        for section in ("data", "model", "attack", "train", "seed"):
            if getattr(config, section) != getattr(first, section):
                raise UserError(
                    f"{where}: scheduler",
                    f"pbt copies weights, but {trials[0].name} and {trial.name} differ in {section}",
                    "let the trials differ in optim and in the objective's numbers only",
                )
        if (config.objective.name, config.optim.name) != (first.objective.name, first.optim.name):
            raise UserError(f"{where}: scheduler", "pbt copies weights among trials of one objective", "choose one")
        for path, distribution in mutations_of(scheduler, scheduler.mutations.keys(), where).items():
            for corner in distribution.corners():
                TrialConfig.parse(with_values(config.as_tree(), {path: corner}), f"{where}: scheduler.mutations")
