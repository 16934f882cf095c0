"""The one exception that stands for a user's mistake, and the search for near names."""

import difflib
from collections.abc import Iterable

SHOWN = 6
"""Mistakes that one line tells at most."""


class UserError(Exception):
    """A mistake that its user can fix; the command line shows it as one line and exits with 2.

    Args:
        where: what is wrong, as a path the user knows (`data.noise_rate`, a file and its line).
        problem: the value given and the rule it breaks.
        remedy: what to do about it.
    """

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        line = f"{where}: {problem}" + (f"; {remedy}" if remedy else "")
        super().__init__(" ".join(line.split()))

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str, str]]:
        """An error that is raised in a worker comes back whole."""
        return type(self), (self.where, self.problem, self.remedy)

    def _render_traceback_(self) -> list[str]:
        """In a notebook, too, it is one line."""
        return [f"{type(self).__name__}: {self}"]


def joined(errors: Iterable[UserError], where: str = "", remedy: str = "") -> UserError:
    """Several mistakes as one, in one line; a single one stays as it is, but for a `remedy` of all.

    `where`: what they belong to, if they are several.
    """
    listed = list(errors)
    if len(listed) == 1:
        (one,) = listed
        return UserError(one.where, one.problem, ", or ".join(filter(None, (one.remedy, remedy)))) if remedy else one
    shown = [f"({number}) {error}" for number, error in enumerate(listed[:SHOWN], 1)]
    more = [f"and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
    problem = f"{len(listed)} problems: {'; '.join([*shown, *more])}"
    return UserError(where or "preflight", problem, f"or {remedy}" if remedy else "")


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Up to `count` of the known names, nearest first, whatever the case; for dotted paths the last part counts too.

    Where a path's last part is right, only paths that end in it are near.
    """
    name = name.lower()
    # The section that the name stands in is not what was meant.
    paths = {path.lower(): path for path in known if not name.startswith(f"{path.lower()}.")}
    tail = name.rpartition(".")[2]
    if same := [path for path in paths if path.rpartition(".")[2] == tail]:
        close = difflib.get_close_matches(name, same, n=count, cutoff=0.8)
        return [paths[path] for path in close or difflib.get_close_matches(name, same, n=count, cutoff=0)]
    tails = {path.rpartition(".")[2]: path for path in paths}
    close = difflib.get_close_matches(name, paths, n=count, cutoff=0.6)
    by_tail = difflib.get_close_matches(tail, list(tails), n=count, cutoff=0.75)
    return [paths[path] for path in dict.fromkeys(close + [tails[tail] for tail in by_tail])][:count]


def suggestion(name: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest ones, or all where none is near and they are few."""
    known = sorted(known)
    near = nearest(name, known)
    if near and difflib.SequenceMatcher(None, name, near[0]).ratio() > 0.92:  # a slip of the pen: no other is meant
        near = near[:1]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(known)}" if known and len(known) <= 20 else ""
