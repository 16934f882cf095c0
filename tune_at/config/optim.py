"""Optimiser sections and learning-rate schedules. A schedule is a pure function of the epoch."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, Strict

from tune_at.config.section import Broken, Rate, Section, TrialParts, When, YesNo, to_epoch
from tune_at.registry import Entry, Registry


class ScheduleSection(Section):
    """What every schedule has. Epochs count from 1."""

    name: str

    def factor_at(self, epoch: int, epochs: int) -> float:
        """What the base learning rate is multiplied by in the given epoch of a run of `epochs`."""
        raise NotImplementedError


class Piecewise(ScheduleSection):
    """The learning rate falls by `factor` after each milestone."""

    name: Literal["piecewise"] = "piecewise"
    milestones: Annotated[tuple[Annotated[When, Field(gt=0)], ...], Strict(False)] = (0.5, 0.75)
    """Last epoch before each fall; a number below 1 is a share of the run."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What the learning rate is multiplied by at a milestone."""

    def milestone_epochs(self, epochs: int) -> list[int]:
        """The milestones as whole epochs of a run of `epochs`."""
        return [to_epoch(moment, epochs) for moment in self.milestones]

    def factor_at(self, epoch: int, epochs: int) -> float:
        """`factor` to the number of milestones passed: with milestone 100, epoch 101 is the first lower one."""
        return self.factor ** sum(epoch > milestone for milestone in self.milestone_epochs(epochs))


class Cosine(ScheduleSection):
    """Half a cosine from 1 in the first epoch towards `final` after the last."""

    name: Literal["cosine"] = "cosine"
    final: Rate = 0.0
    """Share of the base learning rate that the curve ends at."""

    def factor_at(self, epoch: int, epochs: int) -> float:
        """Final + (1 - final) (1 + cos(π (epoch-1) / epochs)) / 2."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2


class StepDecay(ScheduleSection):
    """The learning rate falls by `factor` every so many epochs."""

    name: Literal["step"] = "step"
    every: Annotated[When, Field(gt=0)] = 1 / 3
    """Epochs between falls; a number below 1 is a share of the run (100 of 300 in Sec. 3)."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What the learning rate is multiplied by."""

    def factor_at(self, epoch: int, epochs: int) -> float:
        """`factor` to the number of whole periods before the epoch."""
        return self.factor ** ((epoch - 1) // to_epoch(self.every, epochs))


class Cyclic(ScheduleSection):
    """One triangle: up on a line to 1 at `peak`, and down to 0 after the last epoch (Fast AT)."""

    name: Literal["cyclic"] = "cyclic"
    peak: Annotated[Rate, Field(gt=0, lt=1)] = 0.4
    """Share of the run at which the learning rate is highest."""

    def factor_at(self, epoch: int, epochs: int) -> float:
        """The triangle at the middle of the epoch."""
        moment = (epoch - 0.5) / epochs
        return moment / self.peak if moment < self.peak else (1 - moment) / (1 - self.peak)


class Constant(ScheduleSection):
    """The learning rate stays as it is."""

    name: Literal["constant"] = "constant"

    def factor_at(self, epoch: int, epochs: int) -> float:
        """1."""
        return 1.0


SCHEDULES = Registry(
    "schedule",
    Entry("piecewise", Piecewise, "tune_at.config.optim:Piecewise", "Sec. 5", "falls by a factor at milestones"),
    Entry("step", StepDecay, "tune_at.config.optim:StepDecay", "Sec. 3", "falls by a factor every so many epochs"),
    Entry("cosine", Cosine, "tune_at.config.optim:Cosine", "Sec. 5 (SVHN)", "half a cosine down to zero"),
    Entry("cyclic", Cyclic, "tune_at.config.optim:Cyclic", "App. A.2.1 (Fast AT)", "one triangle up and down"),
    Entry("constant", Constant, "tune_at.config.optim:Constant", "ours", "stays as it is"),
)

if TYPE_CHECKING:
    ScheduleConfig = ScheduleSection
else:
    ScheduleConfig = Annotated[SCHEDULES.union, SCHEDULES.discriminator]


_Share = Annotated[float, Field(ge=0, lt=1)]


class OptimSection(Section):
    """What every optimiser has."""

    name: str
    lr: Annotated[float, Field(gt=0)] = 0.1
    """Base learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 penalty, added to the gradient of every parameter."""
    schedule: ScheduleConfig = Piecewise()
    """How the learning rate changes with the epoch; see below."""

    def lr_at(self, epoch: int, epochs: int) -> float:
        """The learning rate of the given epoch (from 1) of a run of `epochs`."""
        return self.lr * self.schedule.factor_at(epoch, epochs)


class SGD(OptimSection):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share of the last update that is taken again; 0 is none."""
    nesterov: YesNo = False
    """Nesterov's form of momentum."""

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """Nesterov's form needs momentum."""
        if self.nesterov and self.momentum == 0:
            yield Broken("optim.nesterov", "True, but optim.momentum is 0", "raise optim.momentum")


class Adam(OptimSection):
    """Adam (Kingma and Ba, 2015); weight decay is added to the gradient."""

    name: Literal["adam"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Base learning rate."""
    betas: Annotated[tuple[_Share, _Share], Strict(False)] = (0.9, 0.999)
    """Decay of the two moving averages."""


OPTIMIZERS = Registry(
    "optimiser",
    Entry("sgd", SGD, "tune_at.training.optim:build_sgd", "Sec. 5", "SGD with momentum, Nesterov's form too"),
    Entry("adam", Adam, "tune_at.training.optim:build_adam", "App. A.2.1", "Adam"),
)

if TYPE_CHECKING:
    OptimConfig = OptimSection
else:
    OptimConfig = Annotated[OPTIMIZERS.union, OPTIMIZERS.discriminator]
