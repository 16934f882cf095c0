"""Schedulers: which trials are stopped before their last epoch, or go on from another's weights."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field

from tune_at.config.rungs import Bracket, broken_runs, run_lengths
from tune_at.config.section import SELECTION_SPLITS, Broken, Rate, Section, Whole
from tune_at.config.versions import Since
from tune_at.errors import UserError, suggestion
from tune_at.registry import Entry, Registry

if TYPE_CHECKING:
    from tune_at.config.trial import TrialConfig

METRICS = ("robust_accuracy", "natural_accuracy", "robust_loss", "natural_loss")
"""What schedulers and searchers judge by, always on the selection split."""


class JudgedTrial(Protocol):
    """What the rules of a scheduler may ask of a trial; `study.trials.Trial` is one."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> "TrialConfig": ...


class SchedulerSection(Section):
    """What every scheduler has. Time is counted in the trial's own epochs."""

    early: ClassVar[bool] = True
    """Whether trials are judged before their last epoch."""
    stops: ClassVar[bool] = True
    """Whether trials may end before their last epoch."""
    bracketed: ClassVar[bool] = False
    """Whether it puts trials into brackets by their places in the sweep, before they are known."""
    population: ClassVar[bool] = False
    """Whether all trials are one population that is complete from the start, and go on from each other's weights."""

    name: str
    metric: str = "robust_accuracy"
    """On the selection split (validation): {robust,natural}_{accuracy,loss}."""
    smooth: Annotated[Whole, Field(ge=1)] = 1
    """Evaluated epochs over which the metric is averaged before it is judged."""

    @property
    def least(self) -> int:
        """The number of trials, measured on the same, without which none of them is ever stopped."""
        return 2

    def never_judging(self, configs: Sequence["TrialConfig"]) -> Iterator[Broken]:
        """What keeps this scheduler from judging any trial of these configs; usually nothing."""
        return iter(())

    def broken_between(self, trials: Sequence[JudgedTrial]) -> Iterator[Broken]:
        """What it asks of trials that it judges together, and these break; usually nothing."""
        return iter(())

    def broken_by_number(self, size: int, seeds: int) -> Broken | None:
        """What it asks of the number of trials and of the number of seeds, and these break; usually nothing."""
        return None

    def warnings_on_grid(self, longest: int, ends: Sequence[int]) -> Iterator[str]:
        """What it does on a grid that hardly anybody wants, one line each; the arguments are those of `brackets`."""
        return iter(())

    @property
    def drawn(self) -> Mapping[str, Any]:
        """What is drawn while trials run for each dotted path, as written."""
        return {}

    @property
    def compared_within(self) -> tuple[str, ...]:
        """Keys of a config that tell trials apart which do not compare, beside what their metric is measured on."""
        return ()

    def runs(self, longest: int) -> tuple[int, ...]:
        """The lengths, in epochs and ascending, of the complete runs that a point may have; none: one run each."""
        return ()

    def _from(self, key: str, first: int, configs: Sequence["TrialConfig"]) -> Iterator[Broken]:
        """The rule of those that judge from an epoch on."""
        if not any(config.evaluated_from(first) < config.train.epochs for config in configs):
            yield Broken(
                f"scheduler.{key}",
                f"no epoch from {first} on is evaluated before the last: no trial would ever be judged",
                "lower it or evaluation.every, or raise train.epochs",
            )


class FIFO(SchedulerSection):
    """No early stopping: every trial runs to its last epoch."""

    early: ClassVar[bool] = False
    stops: ClassVar[bool] = False
    name: Literal["fifo"] = "fifo"


class ASHA(SchedulerSection):
    """Asynchronous successive halving (Li et al., 2020): at each rung the best 1/eta go on."""

    name: Literal["asha"] = "asha"
    grace: Annotated[Whole, Field(ge=1)] = 1
    """Epoch of the first rung; the others are at grace * eta^k."""
    eta: Annotated[float, Field(gt=1)] = 3
    """At each rung a trial goes on if it is among the best 1/eta so far."""
    brackets: Annotated[Whole, Field(ge=1)] = 1
    """Ladders of rungs, each starting one rung later; a trial is in one of them at random."""
    fidelity: Annotated[Literal["epochs", "schedule"], Since(3, absent="epochs")] = "epochs"
    """What a rung is: `epochs` of the trial's one run, or a complete run of that length, its whole `schedule` in it."""

    def never_judging(self, configs: Sequence["TrialConfig"]) -> Iterator[Broken]:
        """The first rung must be before the end."""
        if self.fidelity == "schedule":
            return broken_runs(self.grace, self.eta, self.brackets, [config.train.epochs for config in configs])
        return self._from("grace", self.grace, configs)

    @property
    def compared_within(self) -> tuple[str, ...]:
        """With complete runs of several lengths, their length."""
        return ("train.epochs",) if self.fidelity == "schedule" else ()

    def runs(self, longest: int) -> tuple[int, ...]:
        """With `fidelity: schedule` grace * eta^k epochs, the last of these made `train.epochs`."""
        return run_lengths(self.grace, self.eta, longest) if self.fidelity == "schedule" else ()


class HyperBand(SchedulerSection):
    """Hyperband (Li et al., 2018): brackets of trials, each halved when all of its trials have reached the rung."""

    bracketed: ClassVar[bool] = True
    name: Literal["hyperband"] = "hyperband"
    eta: Annotated[Whole, Field(ge=2)] = 3
    """At each rung the best 1/eta of the bracket go on."""

    def most_halvings(self, longest: int) -> int:
        """S = floor(log_eta R): how often the first bracket is halved before the last epoch R."""
        return int(round(math.log(longest) / math.log(self.eta), 5))

    def brackets(self, longest: int, ends: Sequence[int]) -> list[Bracket]:
        """The brackets, in the order in which they are filled.

        Bracket s has n = ceil((S + 1) / (s + 1) * eta^s) trials; after s = 0 comes S again.

        Args:
            longest: epochs R of the longest trial.
            ends: the number of trials, after the numbers that it had before each extension: an extension starts a new
                bracket, since the last one was halved already.
        """
        most = self.most_halvings(longest)
        filled: list[Bracket] = []
        place, halvings = 0, most
        for end in ends:
            while place < end:
                size = math.ceil((most + 1) / (halvings + 1) * self.eta**halvings)
                filled.append(Bracket(halvings, range(place, min(end, place + size))))
                place = min(end, place + size)
                halvings = halvings - 1 if halvings else most
        return filled

    def never_judging(self, configs: Sequence["TrialConfig"]) -> Iterator[Broken]:
        """The first bracket, which has the most rungs, must judge some trial."""
        longest = max(config.train.epochs for config in configs)
        rungs = self.rungs(longest, self.most_halvings(longest))
        if not any(config.evaluated_from(rung) < config.train.epochs for rung in rungs for config in configs):
            yield Broken(
                "scheduler.eta",
                f"{self.eta} leaves no rung that is evaluated before the last epoch: no trial would ever be judged",
                "lower it or evaluation.every, or raise train.epochs",
            )

    def warnings_on_grid(self, longest: int, ends: Sequence[int]) -> Iterator[str]:
        """Neighbours of the grid share a bracket."""
        if len(self.brackets(longest, ends)) > 1:
            yield (
                "hyperband fills its brackets in the order of the grid, so that trials are judged only against"
                " neighbours in it; to mix them, write search: {name: random, space: ...} in place of axes"
            )

    def rungs(self, longest: int, halvings: int) -> list[int]:
        """The epochs R / eta^s, R / eta^(s-1), ..., below R at which a bracket is halved."""
        return [max(1, int(longest / self.eta**k)) for k in range(halvings, 0, -1)]


class Median(SchedulerSection):
    """The median stopping rule (Golovin et al., 2017): stop what is worse than the median of the others' means."""

    name: Literal["median"] = "median"
    grace: Annotated[Whole, Field(ge=1)] = 1
    """Epochs before which nothing is stopped, and which no mean includes."""
    min_trials: Annotated[Whole, Field(ge=1)] = 3
    """Trials that must have come as far before one is judged."""

    @property
    def least(self) -> int:
        """Those that must have come as far, and the one that is judged."""
        return self.min_trials + 1

    def never_judging(self, configs: Sequence["TrialConfig"]) -> Iterator[Broken]:
        """`grace` must be before the end."""
        return self._from("grace", self.grace, configs)


class PBT(SchedulerSection):
    """Population based training (Jaderberg et al., 2017): the worst go on from the best's weights, with new values."""

    stops: ClassVar[bool] = False
    population: ClassVar[bool] = True
    name: Literal["pbt"] = "pbt"
    every: Annotated[Whole, Field(ge=1)] = 5
    """Epochs between two rounds."""
    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """Share of the population that is replaced in a round."""
    resample: Rate = 0.25
    """Probability that a value is drawn again rather than multiplied by 0.8 or 1.2."""
    mutations: Mapping[str, Any] = Field(default_factory=dict)
    """Dotted path to distribution, as in `search.space`; numbers of `optim` and `objective` only."""

    def never_judging(self, configs: Sequence["TrialConfig"]) -> Iterator[Broken]:
        """A round must be before the end."""
        return self._from("every", self.every, configs)

    @property
    def drawn(self) -> Mapping[str, Any]:
        """The mutations."""
        return self.mutations

    def broken_by_number(self, size: int, seeds: int) -> Broken | None:
        """A population has one seed, and trials to learn from each other."""
        if seeds > 1:
            return Broken("seeds", "pbt copies weights, and so needs one seed", "write one")
        if size > 1:
            return None
        problem = "pbt with a population of one: no trial would ever go on from another"
        return Broken("scheduler.name", problem, "raise search.trials, or add values to an axis")

    def broken_between(self, trials: Sequence[JudgedTrial]) -> Iterator[Broken]:
        """The trials' networks must fit each other, and have checkpoints where the rounds are."""
        first = trials[0].config
        saved = first.train.checkpoint_every
        for rung in range(self.every, first.train.epochs, self.every):
            if first.evaluated_from(rung) % saved:
                yield Broken(
                    "train.checkpoint_every",
                    f"{saved}, but pbt needs the checkpoint of epoch {first.evaluated_from(rung)}",
                    "set it to 1, or let scheduler.every and evaluation.every be multiples of it",
                )
        for trial in trials:
            config = trial.config
            for section in ("data", "model", "attack", "train", "evaluation", "resources", "seed"):
                if getattr(config, section) != getattr(first, section):
                    yield Broken(
                        "scheduler",
                        f"pbt copies weights, but {trials[0].name} and {trial.name} differ in {section}",
                        "let the trials differ in optim and in the objective's numbers only",
                    )
            if (config.objective.name, config.optim.name) != (first.objective.name, first.optim.name):
                yield Broken("scheduler", "pbt copies weights among trials of one objective", "choose one")


_POLICIES = "tune_at.scheduling.policies"

SCHEDULERS = Registry(
    "scheduler",
    Entry("fifo", FIFO, f"{_POLICIES}.base:FifoPolicy", "ours", "every trial runs to its end"),
    Entry("asha", ASHA, f"{_POLICIES}.asha:asha_policy", "Li et al. 2020", "the best 1/eta go on at each rung"),
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
