"""Schedulers: which trials are stopped before their last epoch, or go on from another's weights."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tune_at.config.section import SELECTION_SPLITS, Rate, Section, Whole
from tune_at.errors import UserError, suggestion
from tune_at.registry import Entry, Registry

METRICS = ("robust_accuracy", "natural_accuracy", "robust_loss", "natural_loss")
"""What schedulers and searchers judge by, always on the selection split."""


class SchedulerSection(Section):
    """What every scheduler has. Time is counted in the trial's own epochs."""

    name: str
    metric: str = "robust_accuracy"
    """On the selection split (validation): {robust,natural}_{accuracy,loss}."""
    smooth: Annotated[Whole, Field(ge=1)] = 1
    """Evaluated epochs over which the metric is averaged before it is judged."""


class FIFO(SchedulerSection):
    """No early stopping: every trial runs to its last epoch."""

    name: Literal["fifo"] = "fifo"


class ASHA(SchedulerSection):
    """Asynchronous successive halving (Li et al., 2020): at each rung the best 1/eta go on."""

    name: Literal["asha"] = "asha"
    grace: Annotated[Whole, Field(ge=1)] = 1
    """Epoch of the first rung; the others are at grace * eta^k."""
    eta: Annotated[float, Field(gt=1)] = 3
    """At each rung a trial goes on if it is among the best 1/eta so far."""
    brackets: Annotated[Whole, Field(ge=1)] = 1
    """Ladders of rungs, each starting one rung later; a trial is in one of them by chance."""


class HyperBand(SchedulerSection):
    """Hyperband (Li et al., 2018): brackets of trials, each halved when all of its trials have reached the rung."""

    name: Literal["hyperband"] = "hyperband"
    eta: Annotated[Whole, Field(ge=2)] = 3
    """At each rung the best 1/eta of the bracket go on."""


class Median(SchedulerSection):
    """The median stopping rule (Golovin et al., 2017): stop what is worse than the median of the others' means."""

    name: Literal["median"] = "median"
    grace: Annotated[Whole, Field(ge=1)] = 1
    """Epochs before which nothing is stopped, and which no mean includes."""
    min_trials: Annotated[Whole, Field(ge=1)] = 3
    """Trials that must have come as far before one is judged."""


class PBT(SchedulerSection):
    """Population based training (Jaderberg et al., 2017): the worst go on from the best's weights, with new values."""

    name: Literal["pbt"] = "pbt"
    every: Annotated[Whole, Field(ge=1)] = 5
    """Epochs between two rounds."""
    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """Share of the population that is replaced in a round."""
    resample: Rate = 0.25
    """Probability that a value is drawn anew rather than multiplied by 0.8 or 1.2."""
    mutations: Mapping[str, Any] = Field(default_factory=dict)
    """Dotted path to distribution, as in `search.space`; numbers of `optim` and `objective` only."""


_POLICIES = "tune_at.scheduling.policies"

SCHEDULERS = Registry(
    "scheduler",
    Entry("fifo", FIFO, f"{_POLICIES}.base:FifoPolicy", "ours", "every trial runs to its end"),
    Entry("asha", ASHA, f"{_POLICIES}.asha:AshaPolicy", "Li et al. 2020", "the best 1/eta go on at each rung"),
    Entry("hyperband", HyperBand, f"{_POLICIES}.hyperband:HyperBandPolicy", "Li et al. 2018", "halves whole brackets"),
    Entry("median", Median, f"{_POLICIES}.median:MedianPolicy", "Golovin et al. 2017", "stops the lower half"),
    Entry("pbt", PBT, f"{_POLICIES}.pbt:PbtPolicy", "Jaderberg et al. 2017", "the worst go on from the best's weights"),
)


def find_metric(written: str, selection: str, where: str) -> str:
    """`robust_accuracy` or `val_robust_accuracy` as a metric; the split must be the one that trials are judged on.

    Raises:
        UserError: a metric that is never reported, or one of another split.
    """
    split = SELECTION_SPLITS[selection]
    metric = written.removeprefix(f"{split}_")
    if metric in METRICS:
        return metric
    tail = written.partition("_")[2]
    if tail in METRICS and written.partition("_")[0] in ("train", "val", "test"):
        remedy = f"write {tail}" + ("; for the paper's protocol set train.selection=test" if split == "val" else "")
        raise UserError(where, f"{written!r} is not of the split that trials are judged on, {split}", remedy)
    raise UserError(where, f"{written!r} is never reported", suggestion(written, METRICS))


def is_loss(metric: str) -> bool:
    """Whether less is better."""
    return metric.endswith("loss")
