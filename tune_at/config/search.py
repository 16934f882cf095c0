"""Searchers: how the points of a study are chosen."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, Strict

from tune_at.config.section import Section, Whole
from tune_at.config.versions import Renamed
from tune_at.registry import Entry, Registry


class SearchSection(Section):
    """What every searcher has."""

    draws: ClassVar[bool] = False
    """Whether points are drawn from a space, and not those of the axes' grid."""
    dynamic: ClassVar[bool] = False
    """Whether later points depend on earlier results."""

    name: Annotated[str, Renamed(2, "algorithm")]

    @property
    def algorithm(self) -> str:
        """`name` in the spelling of version 1."""
        return self.name

    @property
    def drawn(self) -> Mapping[str, Any]:
        """What is drawn for each dotted path, as written."""
        return {}

    @property
    def judged_by(self) -> tuple[str, ...]:
        """The metrics by which points are proposed, as written; none if they do not depend on results."""
        return ()


class Grid(SearchSection):
    """Every point of the axes' grid, once for each seed."""

    name: Annotated[Literal["grid"], Renamed(2, "algorithm")] = "grid"


class Sampled(SearchSection):
    """What searchers that draw points have. Each point is run once for each of the study's seeds."""

    draws: ClassVar[bool] = True

    trials: Annotated[Whole, Field(ge=1)] = 16
    """Points to try; `resume --trials` raises it."""
    space: Mapping[str, Any] = Field(default_factory=dict)
    """Dotted path to distribution: uniform, loguniform, int, logint with [low, high], or choice with a list."""
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 0
    """Seed of the search itself."""

    @property
    def drawn(self) -> Mapping[str, Any]:
        """The space."""
        return self.space


class Random(Sampled):
    """Independent points; point n follows from the search's seed and n alone."""

    name: Annotated[Literal["random"], Renamed(2, "algorithm")] = "random"


class Optuna(Sampled):
    """Optuna: TPE for one objective, NSGA-II for several."""

    dynamic: ClassVar[bool] = True
    name: Annotated[Literal["optuna"], Renamed(2, "algorithm")] = "optuna"
    objectives: Annotated[tuple[str, ...], Strict(False), Field(min_length=1)] = ("robust_accuracy",)
    """Metrics on the selection split; of several, the whole Pareto front is searched."""
    score: Literal["best", "last"] = "best"
    """The epoch whose metrics count: the trial's best by robust accuracy, or its last."""
    startup: Annotated[Whole, Field(ge=1)] = 10
    """Points drawn at random before TPE models them; for NSGA-II the size of a generation."""

    @property
    def judged_by(self) -> tuple[str, ...]:
        """The objectives."""
        return self.objectives


SEARCHERS = Registry(
    "search",
    Entry("grid", Grid, "tune_at.study.study:Study", "ours", "the full grid of the axes"),
    Entry("random", Random, "tune_at.study.sampling:draw", "Bergstra and Bengio 2012", "independent points"),
    Entry("optuna", Optuna, "tune_at.scheduling.proposals:Proposer", "Akiba et al. 2019", "TPE, NSGA-II"),
)
