"""Trials' names: what tells trials apart, in the user's own writing, safe as a file's name."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tune_at.config.section import parse_fraction
from tune_at.config.space import FORMS
from tune_at.config.trial import NAMED_SECTIONS

Row = Mapping[str, Any]


class Names:
    """Names a study's trials.

    A name has the trial's index, its swept values and its seed. Values are as they were written, a fraction as `8_255`
    (`wording.trial_label` shows `8/255`). A key that a mapping sets beside others is left out where it follows from
    them: a step that always is a quarter of eps, or what is set for one objective alone.

    Args:
        written: what the study says, by dotted path: axes, a space, a base. Fractions in it are shown as such.
        linked: the columns that each axis or choice of mappings sets, a section's own name first.
        rows: swept values of all trials, or of such as have every value of every mapping.
    """

    def __init__(
        self, written: Iterable[Mapping[str, Any]], linked: Sequence[Sequence[str]], rows: Sequence[Row]
    ) -> None:
        self._texts: dict[str, dict[float, str]] = {}
        numbers: dict[str, dict[float, None]] = {}
        for tree in written:
            _gather(tree, "", self._texts, numbers)
        for path, values in numbers.items():
            texts = self._texts.setdefault(path, {})
            shown = Counter(texts.get(value) or shortest(value) for value in values)
            close = {value: repr(value) for value in values if value not in texts and shown[shortest(value)] > 1}
            texts.update(close)  # few digits would not tell them apart
        self._following: dict[str, tuple[str, frozenset[Any] | None]] = {}
        for columns in linked:
            self._leave_out(columns, {tuple(_key(row.get(c)) for c in columns) for row in rows})

    def _leave_out(self, columns: Sequence[str], values: set[tuple[Any, ...]]) -> None:
        """Find the columns of one axis that follow from its others, for each name of a named section apart."""
        named = columns[0] in NAMED_SECTIONS
        left_out: dict[str, set[Any]] = {}
        for name in {row[0] for row in values} if named else {None}:
            rows = [row for row in values if not named or row[0] == name]
            kept: list[int] = []
            for place in range(1 if named else 0, len(columns)):
                constant = named and len({row[place] for row in rows}) == 1
                if constant or any(_determines(other, place, rows) for other in kept):
                    left_out.setdefault(columns[place], set()).add(name)
                else:
                    kept.append(place)
            for place in [p for p in kept if any(_determines(o, p, rows) for o in kept if o != p)]:
                left_out.setdefault(columns[place], set()).add(name)  # a later, finer column says it too
        for column, names in left_out.items():
            self._following[column] = (columns[0], frozenset(names) if named else None)

    def name(self, index: str, row: Row, seed: int) -> str:
        """The name of the trial at a place of the study, with its swept values and its seed."""
        parts = []
        for path, value in row.items():
            if value is None or self._follows(path, row):
                continue
            if path in NAMED_SECTIONS or path.removesuffix(".name") in NAMED_SECTIONS:
                parts.append(str(value))
            else:
                parts.append(f"{path.rpartition('.')[2]}={self._shown(path, value)}")
        return joined(index, parts, seed)

    def _follows(self, path: str, row: Row) -> bool:
        holder, names = self._following.get(path, ("", frozenset()))
        return names is None or (bool(names) and _key(row.get(holder)) in names)

    def _shown(self, path: str, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, list | tuple):
            return "+".join(self._shown(path, item) for item in value)
        if isinstance(value, int | float):
            return self._texts.get(path, {}).get(value) or shortest(value)
        return str(value)


def joined(index: str, parts: Sequence[str], seed: int) -> str:
    """`03-trades-eps=8_255-s0`, at most about 100 characters."""
    text = re.sub(r"[^A-Za-z0-9_.=+-]+", "_", "-".join(parts))[:80]
    return "-".join(filter(None, (index, text, f"s{seed}")))


def shortest(value: float) -> str:
    """A number as a user would write it: up to eight digits if that is all of it, else four."""
    for digits in (4, 8):
        if float(text := f"{value:.{digits}g}") == value:
            return text
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def linked_columns(values: Mapping[str, Sequence[Any]], columns: Sequence[str]) -> list[list[str]]:
    """The columns that the mappings of each axis or choice set, without those that have an axis of their own."""
    groups = []
    for path, items in values.items():
        if any(isinstance(item, Mapping) for item in items):
            own = [c for c in columns if c == path or (c.startswith(f"{path}.") and c not in values)]
            groups.append(own)
    return [group for group in groups if group]


def version_1_name(index: str, swept: Row, seed: int) -> str:
    """The name that schema version 1 gave."""
    parts = []
    for path, value in swept.items():
        if value is None:
            continue
        if path in NAMED_SECTIONS or path.removesuffix(".name") in NAMED_SECTIONS:
            parts.append(str(value))
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            parts.append(f"{path.rpartition('.')[2]}={shown}")
    return joined(index, parts, seed)


def _determines(cause: int, effect: int, rows: Sequence[Sequence[Any]]) -> bool:
    seen: dict[Any, Any] = {}
    return all(seen.setdefault(row[cause], row[effect]) == row[effect] for row in rows)


def _key(value: Any) -> Any:
    return repr(value) if isinstance(value, list | dict) else value


def _gather(value: Any, path: str, texts: dict[str, dict[float, str]], numbers: dict[str, dict[float, None]]) -> None:
    """Gather the numbers that are written for each column, and the fractions with their text."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _gather(item, path if key in FORMS else f"{path}{'.' * bool(path)}{key}", texts, numbers)
    elif isinstance(value, list):
        for item in value:
            _gather(item, path, texts, numbers)
    elif isinstance(value, float):
        numbers.setdefault(path, {})[value] = None
    elif isinstance(value, str) and isinstance(number := parse_fraction(value), float):
        numbers.setdefault(path, {})[number] = None
        texts.setdefault(path, {}).setdefault(number, value.replace(" ", ""))
