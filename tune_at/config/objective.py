"""Objective sections: what a training step minimises."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from tune_at.config.section import Broken, Pixels, Rate, Section, TrialParts, When, Whole, to_epoch
from tune_at.config.versions import Since, Was
from tune_at.registry import Entry, Registry


class ObjectiveSection(Section):
    """What every objective has."""

    outer_passes: ClassVar[int]
    """Forward and backward passes of the outer loss, for the estimate of a sweep's time."""
    attack_steps: ClassVar[int | None] = None
    """Steps of the training attack where the method fixes them; None takes them from `attack`."""
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")
    """Norms in which the method is defined."""

    name: str

    @property
    def attacks(self) -> bool:
        """Whether training attacks at all."""
        return self.attack_steps != 0

    def teachers(self) -> dict[str, str]:
        """Roles of teachers and the objectives that train them; none for most."""
        return {}

    def phase(self, epoch: int, epochs: int) -> object:
        """All that an epoch (from 1) does in its own way because of its place in a run of `epochs`.

        Runs of different lengths are equal for as long as this is (`TrialConfig.shared_epochs`). A section with a
        moment of the run has its own.
        """
        return None

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """The norm must be one of the method's."""
        if config.attack.norm not in self.norms:
            yield Broken(
                "attack.norm",
                f"{config.attack.norm!r}, but {self.name} is for {' and '.join(self.norms)} only",
                "change one of them",
            )


class Standard(ObjectiveSection):
    """Standard training (ST): CE(x)."""

    outer_passes: ClassVar[int] = 1
    attack_steps: ClassVar[int | None] = 0
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


class MixedPGDAT(ObjectiveSection):
    """Refined PGD-AT: (1 - g) CE(x) + g CE(x') with g from 0 to 1, Eq. 6."""

    outer_passes: ClassVar[int] = 2
    name: Literal["mixed_pgd_at"] = "mixed_pgd_at"
    ramp_end: Annotated[When, Field(gt=0)] = 1.0
    """Epoch in which g reaches 1, on a line from 0 in the first; 1 is the last epoch of the run."""

    def phase(self, epoch: int, epochs: int) -> object:
        """The weight g."""
        return self.gamma_at(epoch, epochs)

    def gamma_at(self, epoch: int, epochs: int) -> float:
        """g of an epoch (from 1)."""
        last = epochs if self.ramp_end == 1 else to_epoch(self.ramp_end, epochs)
        return min(1.0, (epoch - 1) / (last - 1)) if last > 1 else 1.0


class TemporalEnsembling(ObjectiveSection):
    """What the objectives with temporal ensembling share: the weight w(t) and the momentum of p."""

    weight: Annotated[float, Field(ge=0)] = 30.0
    """w, on the squared distance summed over classes; reached at `full`."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of the ensemble prediction: p ← momentum · p + (1 - momentum) · f(x)."""
    start: When = 0.45
    """Epoch from which p is kept and the penalty counts: 90 of 200."""
    full: When = 0.75
    """Epoch from which the weight is w: 150 of 200."""

    def phase(self, epoch: int, epochs: int) -> object:
        """Whether p is kept, and w(t)."""
        return epoch >= self.start_epoch(epochs), self.weight_at(epoch, epochs)

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """The weight must rise from `start` to `full`."""
        yield from super().rules(config)
        start, full = (to_epoch(moment, config.train.epochs) for moment in (self.start, self.full))
        if start > full:
            yield Broken("objective.start", f"epoch {start} is after objective.full, {full}", "lower it")

    def start_epoch(self, epochs: int) -> int:
        """`start` as an epoch."""
        return to_epoch(self.start, epochs)

    def weight_at(self, epoch: int, epochs: int) -> float:
        """w(t) = w exp(-5 (1 - (t - start) / (full - start))²) from `start` to `full`, 0 before, w after."""
        start, full = self.start_epoch(epochs), to_epoch(self.full, epochs)
        if epoch < start:
            return 0.0
        if epoch >= full:
            return self.weight
        return self.weight * math.exp(-5 * (1 - (epoch - start) / (full - start)) ** 2)


class PGDATTE(TemporalEnsembling):
    """PGD-AT with temporal ensembling: CE(x') + w(t) ‖f(x') - p̂‖², Eq. 7."""

    outer_passes: ClassVar[int] = 2
    name: Literal["pgd_at_te"] = "pgd_at_te"


class TRADESTE(TemporalEnsembling):
    """TRADES with temporal ensembling (Sec. 4.2)."""

    outer_passes: ClassVar[int] = 3
    name: Literal["trades_te"] = "trades_te"
    beta: Annotated[float, Field(ge=0)] = 6.0
    """Weight of the KL term."""
    penalise: Literal["clean", "adversarial"] = "clean"
    """Whose prediction the outer loss pulls to p̂: f(x), as the public code does, or f(x'), as Eq. 7 reads."""


class PGDATLS(ObjectiveSection):
    """PGD-AT with label smoothing in the outer loss; the attack sees hard labels (Tab. 2)."""

    outer_passes: ClassVar[int] = 1
    name: Literal["pgd_at_ls"] = "pgd_at_ls"
    smoothing: Rate = 0.2
    """s: the target is (1 - s) one-hot + s / C."""


class SAT(ObjectiveSection):
    """Self-adaptive training: soft targets that follow the predictions (Tab. 2)."""

    outer_passes: ClassVar[int] = 2
    name: Literal["sat"] = "sat"
    form: Literal["pgd_at", "trades"] = "pgd_at"
    """Soft cross-entropy on x', or on x beside TRADES' KL term."""
    start: When = 0.35
    """Epoch from which targets move: 70 of 200."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """t ← momentum · t + (1 - momentum) · f(x)."""
    beta: Annotated[float, Field(ge=0)] = 6.0
    """Weight of the KL term in the TRADES form."""

    def phase(self, epoch: int, epochs: int) -> object:
        """Whether targets move."""
        return epoch >= self.start_epoch(epochs)

    def start_epoch(self, epochs: int) -> int:
        """`start` as an epoch."""
        return to_epoch(self.start, epochs)


class CoTeaching(ObjectiveSection):
    """Co-teaching AT: two networks, each trained on the other's small-loss samples (footnote 2)."""

    outer_passes: ClassVar[int] = 4
    name: Literal["co_teaching"] = "co_teaching"
    forget_rate: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """t: share of a batch that is left out in the end."""
    warmup: Annotated[When, Was(3, 10)] = 9
    """Epochs over which the share left out grows from 0 to `forget_rate`, on a line; 0 leaves it out from the start."""
    delay: Annotated[Whole, Field(ge=0), Since(3, absent=1)] = 0
    """Epochs before that line begins."""

    def phase(self, epoch: int, epochs: int) -> object:
        """The share left out."""
        return self.forget_at(epoch, epochs)

    def forget_at(self, epoch: int, epochs: int) -> float:
        """t(e) of an epoch (from 1): t · min(1, e / 9) by default, as the public code trains."""
        warmup = to_epoch(self.warmup, epochs)
        grown = max(0, epoch - self.delay) / warmup if warmup else 1.0
        return self.forget_rate * min(1.0, grown)


class FGSMAT(ObjectiveSection):
    """FGSM adversarial training: one step of length eps from x (App. A.2.1)."""

    outer_passes: ClassVar[int] = 1
    attack_steps: ClassVar[int | None] = 1
    name: Literal["fgsm_at"] = "fgsm_at"


class FastAT(ObjectiveSection):
    """Fast AT: one step from a uniform start, l-inf only (App. A.2.1)."""

    outer_passes: ClassVar[int] = 1
    attack_steps: ClassVar[int | None] = 1
    norms: ClassVar[tuple[str, ...]] = ("linf",)
    name: Literal["fast_at"] = "fast_at"
    step: Annotated[Pixels, Field(gt=0)] = 10 / 255
    """Length of the step, in pixels on [0, 1]; the ball is that of `attack`."""


class KDSWA(ObjectiveSection):
    """Distillation from a standard and a robust teacher, with stochastic weight averaging (Tab. 2)."""

    outer_passes: ClassVar[int] = 2
    name: Literal["kd_swa"] = "kd_swa"
    standard_teacher: str = "standard"
    """Objective of the teacher in an earlier stage, with the same data, model and seed; its last epoch teaches."""
    robust_teacher: str = "pgd_at"
    """The same for the robust teacher; its best epoch teaches."""
    ce_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of CE(x')."""
    standard_weight: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the distance to the standard teacher on x'."""
    robust_weight: Annotated[float, Field(ge=0)] = 0.6
    """Weight of the distance to the robust teacher on x'."""
    temperature: Annotated[float, Field(gt=0)] = 2.0
    """T: logits are divided by it, the distances multiplied by its square."""
    swa_start: Annotated[When, Was(3, 0.275)] = 0.28
    """Epoch from whose end on weights are averaged: 56 of 200 (55 where epochs are counted from 0)."""

    def teachers(self) -> dict[str, str]:
        """The teacher of each role, by the objective that trained it."""
        return {"standard": self.standard_teacher, "robust": self.robust_teacher}

    def phase(self, epoch: int, epochs: int) -> object:
        """Whether weights are averaged."""
        return self.averages(epoch, epochs)

    def averages(self, epoch: int, epochs: int) -> bool:
        """Whether the weights at the end of this epoch are averaged."""
        return epoch >= to_epoch(self.swa_start, epochs)


def _entry(config: type[ObjectiveSection], factory: str, label: str, source: str, summary: str) -> Entry:
    name: str = config.model_fields["name"].default
    return Entry(name, config, f"tune_at.objectives.{factory}", source, summary, label=label)


OBJECTIVES = Registry(
    "objective",
    _entry(Standard, "standard:StandardObjective", "ST", "Sec. 3.1 (ST)", "CE on x"),
    _entry(PGDAT, "pgd_at:PGDATObjective", "PGD-AT", "Eq. 1, 2", "CE on x' found by PGD"),
    _entry(TRADES, "trades:TRADESObjective", "TRADES", "Eq. 3", "CE on x + beta · KL(f(x) ‖ f(x'))"),
    _entry(
        MixedPGDAT, "mixed_pgd_at:MixedPGDATObjective", "refined PGD-AT", "Eq. 6",
        "(1-g) CE on x + g CE on x', g from 0 to 1",
    ),
    _entry(PGDATTE, "temporal_ensembling:PGDATTEObjective", "PGD-AT+TE", "Eq. 7", "PGD-AT + w(t) ‖f(x') - p̂‖²"),
    _entry(TRADESTE, "temporal_ensembling:TRADESTEObjective", "TRADES+TE", "Sec. 4.2", "TRADES + w(t) ‖f - p̂‖²"),
    _entry(
        PGDATLS, "pgd_at:PGDATLSObjective", "PGD-AT+LS", "Tab. 2 (LS)", "PGD-AT with label smoothing in the outer loss"
    ),
    _entry(SAT, "sat:SATObjective", "SAT", "Tab. 2 (SAT)", "self-adaptive soft targets, PGD-AT or TRADES form"),
    _entry(
        KDSWA, "kd_swa:KDSWAObjective", "KD-SWA", "Tab. 2 (KD-SWA)",
        "two teachers of an earlier stage, averaged weights",
    ),
    _entry(
        CoTeaching, "co_teaching:CoTeachingObjective", "Co-teaching", "Sec. 4.2, footnote 2",
        "two networks that choose samples",
    ),
    _entry(
        FGSMAT, "pgd_at:FGSMATObjective", "FGSM AT", "App. A.2.1", "CE on x' found by one step of length eps from x"
    ),
    _entry(FastAT, "pgd_at:FastATObjective", "Fast AT", "App. A.2.1", "CE on x' found by one step from a random start"),
)  # fmt: skip

if TYPE_CHECKING:
    ObjectiveConfig = ObjectiveSection
else:
    ObjectiveConfig = Annotated[OBJECTIVES.union, OBJECTIVES.discriminator]
