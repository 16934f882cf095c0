"""Objective sections: what a training step minimises."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from tune_at.config.section import Section
from tune_at.registry import Entry, Registry


class ObjectiveSection(Section):
    """What every objective has."""

    outer_passes: ClassVar[int]
    """Forward and backward passes of the outer loss, for the estimate of a sweep's time."""
    attacks: ClassVar[bool] = True
    """Whether a step runs the training attack."""

    name: str


class Standard(ObjectiveSection):
    """Standard training (ST): CE(x)."""

    outer_passes: ClassVar[int] = 1
    attacks: ClassVar[bool] = False
    name: Literal["standard"] = "standard"


class PGDAT(ObjectiveSection):
    """PGD adversarial training: CE(x'), Eq. 1 and 2."""

    outer_passes: ClassVar[int] = 1
    name: Literal["pgd_at"] = "pgd_at"


class TRADES(ObjectiveSection):
    """TRADES: CE(x) + beta · KL(f(x) ‖ f(x')), Eq. 3."""

    outer_passes: ClassVar[int] = 2
    name: Literal["trades"] = "trades"
    beta: Annotated[float, Field(ge=0)] = 6.0
    """Weight of the KL term."""


OBJECTIVES = Registry(
    "objective",
    Entry("standard", Standard, "tune_at.objectives.standard:StandardObjective", "Sec. 3.1 (ST)", "CE on x"),
    Entry("pgd_at", PGDAT, "tune_at.objectives.pgd_at:PGDATObjective", "Eq. 1, 2", "CE on x' found by PGD"),
    Entry("trades", TRADES, "tune_at.objectives.trades:TRADESObjective", "Eq. 3", "CE on x + beta · KL(f(x) ‖ f(x'))"),
)

if TYPE_CHECKING:
    ObjectiveConfig = ObjectiveSection
else:
    ObjectiveConfig = Annotated[OBJECTIVES.union, OBJECTIVES.discriminator]
