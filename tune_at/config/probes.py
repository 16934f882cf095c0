"""Probes: what a study measures of its networks beside their accuracy. Definitions: App. A.3 to A.5 and Sec. 3."""

from typing import Annotated

from pydantic import Field

from tune_at.config.section import Section, Whole


class ProbeSection(Section):
    """What every probe has. Nothing in it changes training."""

    name: str
    every: Annotated[Whole, Field(ge=1)] = 1
    """Measured after one in how many epochs, and after the last, while a trial trains."""
    samples: Annotated[Whole, Field(ge=1)] = 500
    """Training images that are measured: a class-balanced part, the same for every trial of a data set."""
