"""The threat model, shared by the training attack and the evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from tune_at.config.section import Pixels, Section
from tune_at.registry import Entry, Registry

LossName = Literal["ce", "kl", "cw", "dlr"]
StartName = Literal["uniform", "gaussian", "zero"]


class AttackSection(Section):
    """The ball and the attack that training runs in it. Evaluation uses the same ball and step size."""

    norm: Literal["linf", "l2"] = "linf"
    """Norm of the ball; l2 is over all pixels and channels of an image."""
    eps: Pixels = 8 / 255
    """Radius of the ball, in pixels on [0, 1]."""
    step: Pixels = 2 / 255
    """Length of one attack step, in pixels on [0, 1]."""
    steps: Annotated[int, Field(ge=1)] = 10
    """Steps of the training attack."""


ATTACKS = Registry(
    "attack",
    Entry("pgd", AttackSection, "tune_at.attacks.pgd:pgd", "Eq. 2", "projected gradient ascent on CE or KL"),
)
