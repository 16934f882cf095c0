"""Points of a space without repeats, and spaces that have no more of them."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tune_at.config.space import Choice, Distribution
from tune_at.errors import UserError
from tune_at.seeding import derive_seed
from tune_at.study.sampling import draw

MOST = 100_000
"""Points of a finite space that are listed at most."""
PATIENCE = 100
"""Draws in a row that only repeat what there was, before the rest of a finite space is listed."""

Values = dict[str, Any]


def space_size(space: Mapping[str, Distribution]) -> int | None:
    """The number of points of a space of choices and whole numbers; None for one with other numbers."""
    sizes = []
    for distribution in space.values():
        if isinstance(distribution, Choice):
            sizes.append(len(distribution.values))
        elif distribution.whole:
            sizes.append(int(distribution.high) - int(distribution.low) + 1)
        else:
            return None
    return math.prod(sizes)


def combinations(space: Mapping[str, Distribution]) -> Iterator[Values]:
    """Every point of a finite space."""
    values = [d.values if isinstance(d, Choice) else range(int(d.low), int(d.high) + 1) for d in space.values()]
    return (dict(zip(space, point, strict=True)) for point in itertools.product(*values))


def distinct_draws(space: Mapping[str, Distribution], seed: int, identity: Callable[[Values], str]) -> Iterator[Values]:
    """The points of a random search in order, none twice; it ends when the space is exhausted.

    The first so many are the same however many are asked for.

    Args:
        space: what is drawn for each path.
        seed: of the search.
        identity: of what a point resolves to. Raises `UserError` for an invalid point.
    """
    total, written, resolved = space_size(space), set[str](), set[str]()

    def is_new(values: Values) -> bool:
        if (key := repr(values)) in written:
            return False
        written.add(key)
        before = len(resolved)
        resolved.add(identity(values))
        return len(resolved) > before

    repeats = 0
    for number in itertools.count():
        if len(written) == total or repeats == (PATIENCE if total and total <= MOST else MOST):
            break
        values = draw(space, seed, number)
        if is_new(values):
            repeats = 0
            yield values
        else:
            repeats += 1
    if total and len(written) < total <= MOST:
        left = list(combinations(space))
        order = np.random.default_rng(derive_seed(seed, "search", "rest")).permutation(len(left))
        yield from (left[i] for i in order if is_new(left[i]))


def count_distinct(space: Mapping[str, Distribution], identity: Callable[[Values], str], enough: int) -> int | None:
    """How many valid points a space has that differ in what they resolve to; None if they are certainly `enough`."""
    total = space_size(space)
    if total is None or total > min(MOST, max(2000, 4 * enough)):
        return None
    identities = set()
    for values in combinations(space):
        try:
            identities.add(identity(values))
        except UserError:
            continue  # a searcher passes by what is invalid
    return len(identities)
