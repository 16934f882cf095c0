"""Search spaces: what a searcher may draw for a dotted path."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Strict

from tune_at.config.section import Section, parse_fraction
from tune_at.config.synonyms import FORMS as FOREIGN
from tune_at.errors import UserError, suggestion

FORMS = ("uniform", "loguniform", "int", "logint", "choice")


class Range(Section):
    """Numbers between two bounds, both included; `log` draws their logarithm evenly, `whole` whole numbers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, rng: np.random.Generator) -> float | int:
        """One value."""
        if self.whole and not self.log:
            return int(rng.integers(int(self.low), int(self.high), endpoint=True))
        # Whole numbers on a logarithmic scale: each has half a unit on either side of it.
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        value = math.exp(rng.uniform(math.log(low), math.log(high))) if self.log else rng.uniform(low, high)
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else value

    def corners(self) -> list[Any]:
        """Values that, if they are valid, vouch for all others."""
        return [int(self.low), int(self.high)] if self.whole else [self.low, self.high]


class Choice(Section):
    """One of several values: numbers, names, or mappings such as `{name: trades, beta: 3}`."""

    values: Annotated[tuple[Any, ...], Strict(False)]

    def draw(self, rng: np.random.Generator) -> Any:
        """One value."""
        return self.values[int(rng.integers(len(self.values)))]

    def corners(self) -> list[Any]:
        """All values."""
        return list(self.values)


Distribution = Range | Choice


def parse_distribution(written: Any, where: str) -> Distribution:
    """`{loguniform: [1e-3, 0.5]}`, `{choice: [a, b]}`, ... as a distribution; `8/255` is a number here too.

    Raises:
        UserError: an unknown form, an empty or reversed range, a logarithm of zero.
    """
    remedy = "write {loguniform: [1e-3, 0.5]} or {choice: [a, b]}"
    if isinstance(written, list):
        written = {"choice": written}
    if not isinstance(written, Mapping) or len(written) != 1:
        raise UserError(where, f"{written!r} is not a distribution", remedy)
    form, values = next(iter(written.items()))
    if form not in FORMS:
        raise UserError(
            where,
            f"{form!r} is unknown",
            f"did you mean {meant}?" if (meant := FOREIGN.get(str(form))) else suggestion(str(form), FORMS) or remedy,
        )
    if not isinstance(values, list) or not values:
        raise UserError(where, f"{values!r} is empty" if values == [] else f"{values!r} is not a list", remedy)
    if form == "choice":
        if any(value in values[:place] for place, value in enumerate(values)):
            raise UserError(where, f"{values!r} names a value twice", "drop one of them")
        return Choice(values=tuple(map(parse_fraction, values)))
    return _range(form, values, where)


def _range(form: Literal["uniform", "loguniform", "int", "logint"], values: list[Any], where: str) -> Range:
    bounds = [_number(value) for value in values]
    numbers = all(isinstance(b, int | float) and not isinstance(b, bool) and math.isfinite(b) for b in bounds)
    if len(bounds) != 2 or not numbers:
        raise UserError(where, f"{values!r} are not two numbers", f"write {{{form}: [LOW, HIGH]}}")
    low, high = bounds
    if low > high:
        raise UserError(where, f"the range {values!r} is reversed", f"write [{values[1]}, {values[0]}]")
    if low == high:
        raise UserError(where, f"the range {values!r} is empty", "set the key in base instead")
    log, whole = form.startswith("log"), form.endswith("int")
    if log and low <= 0:
        raise UserError(where, f"{low} has no logarithm", "start above 0")
    if whole and not all(float(bound).is_integer() for bound in bounds):
        raise UserError(where, f"{values!r} are not whole numbers", "use uniform or loguniform")
    return Range(low=low, high=high, log=log, whole=whole)


def _number(value: Any) -> Any:
    """A bound. Text that is a number is taken, too: YAML 1.1 read `1e-3` as text, and recorded studies have it so."""
    try:
        return float(value) if isinstance(value, str) and "/" not in value else parse_fraction(value)
    except ValueError:
        return value
