"""Hyperband's brackets: which trials are in each, and where it judges them. Known before anything runs."""

import math
from collections.abc import Sequence


def most_halvings(longest: int, eta: int) -> int:
    """S = floor(log_eta R): how often the first bracket is halved before the last epoch R."""
    return int(round(math.log(longest) / math.log(eta), 5))


def bracket_spans(longest: int, eta: int, ends: Sequence[int]) -> list[tuple[int, range]]:
    """The (halvings s, places of its trials) of each bracket.

    Bracket s has n = ceil((S + 1) / (s + 1) * eta^s) trials; after s = 0 comes S again. `ends`: the number of trials,
    after the numbers that it had before each extension: an extension starts a new bracket, the last was halved already.
    """
    most = most_halvings(longest, eta)
    found: list[tuple[int, range]] = []
    place, halvings = 0, most
    for end in ends:
        while place < end:
            size = math.ceil((most + 1) / (halvings + 1) * eta**halvings)
            found.append((halvings, range(place, min(end, place + size))))
            place = min(end, place + size)
            halvings = halvings - 1 if halvings else most
    return found


def bracket_rungs(longest: int, eta: int, halvings: int) -> list[int]:
    """R / eta^s, R / eta^(s-1), ..., below R."""
    return [max(1, int(longest / eta**k)) for k in range(halvings, 0, -1)]
