"""The base of all config sections and the number types that they share."""

import typing
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo


class Broken(NamedTuple):
    """A rule that a config breaks."""

    where: str
    """Dotted path."""
    problem: str
    remedy: str


class TrialParts(Protocol):
    """What the rules of a section may ask of the whole config; `TrialConfig` is one."""

    @property
    def data(self) -> Any: ...
    @property
    def objective(self) -> Any: ...
    @property
    def attack(self) -> Any: ...
    @property
    def train(self) -> Any: ...


class Section(BaseModel):
    """A frozen part of a TrialConfig or a study.

    Unknown keys, NaN and infinity are refused. Types are strict: no boolean is a number, no number a boolean, and no
    text either, but for fractions where a length is meant.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, use_attribute_docstrings=True,
        strict=True,
    )  # fmt: skip

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """What this section breaks of the rules between it and the rest of its trial's config; usually nothing."""
        return iter(())

    def moments(self) -> Iterator[tuple[str, float, Any]]:
        """The (dotted path, value, default) of each moment of the run in this section and in those within it."""
        own, within = _moment_fields(type(self))
        for name, default in own:
            value = getattr(self, name)
            for moment in value if isinstance(value, tuple) else (value,):
                yield name, moment, default
        for name in within:
            yield from ((f"{name}.{path}", *rest) for path, *rest in getattr(self, name).moments())


@cache
def _moment_fields(section: type[Section]) -> tuple[tuple[tuple[str, Any], ...], tuple[str, ...]]:
    """The (name, default) of the fields that are moments, and the names of those that hold sections."""
    fields = section.model_fields.items()
    own = tuple((name, field.default) for name, field in fields if is_moment(field))
    return own, tuple(name for name, field in fields if isinstance(field.default, Section))


def is_moment(field: FieldInfo) -> bool:
    """Whether a field is a `When`, or a list of such."""
    marks = [*field.metadata, *(m for item in typing.get_args(field.annotation) for m in typing.get_args(item)[1:])]
    return any(isinstance(mark, Moment) for mark in marks)


class Moment:
    """Marks the type of a moment of the run."""


def parse_fraction(value: Any) -> Any:
    """'8/255' as a float; anything else is left to pydantic."""
    if isinstance(value, str) and "/" in value:
        try:
            return float(Fraction(value.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            return value
    return value


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


def _yes_or_no(value: Any) -> Any:
    words = {"yes": True, "on": True, "no": False, "off": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; `1e3` and `128.0` are such, `true` and `"3"` are not."""

YesNo = Annotated[bool, BeforeValidator(_yes_or_no)]
"""True or false, or YAML 1.1's words yes, no, on and off; 1 and 0 are not."""

Pixels = Annotated[float, BeforeValidator(parse_fraction), Field(ge=0, le=1)]
"""A length in pixel values on [0, 1]; '8/255' is read as the fraction."""

When = Annotated[float, Moment(), Field(ge=0)]
"""A moment of a run: below 1 a share of its epochs, otherwise an epoch. `to_epoch` makes it an epoch."""


def to_epoch(moment: float, epochs: int) -> int:
    """The whole epoch of a moment in a run of `epochs`; a share of the run is at least one epoch, and 0 is 0."""
    return max(1, round(moment * epochs)) if 0 < moment < 1 else round(moment)


SELECTION_SPLITS = {"validation": "val", "test": "test"}
"""The split that each value of `train.selection` judges on."""

Rate = Annotated[float, Field(ge=0, le=1)]
"""A share between 0 and 1."""
