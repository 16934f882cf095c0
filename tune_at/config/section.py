"""The base of all config sections and the number types that they share."""

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A frozen part of a TrialConfig. Unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, use_attribute_docstrings=True
    )


def parse_fraction(value: Any) -> Any:
    """'8/255' as a float; anything else is left to pydantic."""
    if isinstance(value, str) and "/" in value:
        try:
            return float(Fraction(value.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            return value
    return value


Pixels = Annotated[float, BeforeValidator(parse_fraction), Field(ge=0, le=1)]
"""A length in pixel values on [0, 1]; '8/255' is read as the fraction."""

When = Annotated[float, Field(ge=0)]
"""A moment of a run: below 1 a share of its epochs, otherwise an epoch. `to_epoch` makes it an epoch."""


def to_epoch(moment: float, epochs: int) -> int:
    """The whole epoch of a moment in a run of `epochs`; a share of the run is at least one epoch, and 0 is 0."""
    return max(1, round(moment * epochs)) if 0 < moment < 1 else round(moment)


SELECTION_SPLITS = {"validation": "val", "test": "test"}
"""The split that each value of `train.selection` judges on."""

Rate = Annotated[float, Field(ge=0, le=1)]
"""A share between 0 and 1."""
