"""Probes: what a study measures of its networks beside their accuracy. Definitions: docs/probes.md."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError

from tune_at.config.objective import ObjectiveSection
from tune_at.config.section import Broken, Section, TrialParts, Whole
from tune_at.config.validation import user_error
from tune_at.errors import UserError, suggestion
from tune_at.registry import Entry, Registry


def measured_loss(objective: ObjectiveSection) -> Literal["clean", "adversarial", "trades"]:
    """Which loss probes look at: CE(x) for standard training, TRADES' terms for its forms, CE(x') for all others."""
    if objective.name.startswith("trades") or getattr(objective, "form", "") == "trades":
        return "trades"
    return "adversarial" if objective.attacks else "clean"


class ProbeSection(Section):
    """What every probe has. Nothing in it changes training."""

    moment: ClassVar[Literal["epochs", "start", "training"]] = "epochs"
    """When it is measured in a trial that trains: after epochs, before the first, or in each batch or epoch as training
    goes by, which no checkpoint can tell of later."""

    name: str
    every: Annotated[Whole, Field(ge=1)] = 1
    """Measured after one in how many epochs, and after the last, while a trial trains."""
    samples: Annotated[Whole, Field(ge=1)] = 500
    """Training images that are measured: a class-balanced part, the same for every trial of a data set."""

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """There must be as many training images as are asked for; a default takes those there are."""
        if "samples" in self.model_fields_set and self.samples > config.data.train_samples:
            yield Broken(
                f"probes.{self.name}.samples",
                f"{self.samples} is more than the {config.data.train_samples} training images",
                "lower it",
            )

    def due(self, epoch: int, epochs: int) -> bool:
        """Whether it is measured after this epoch (0: before training) of a run."""
        if self.moment == "start" or epoch == 0:
            return self.moment == "start" and epoch == 0
        return epoch % self.every == 0 or epoch == epochs


class GradientNorms(ProbeSection):
    """Mean over samples of ‖∇θ loss‖₂, each sample's by itself (Fig. 3a)."""

    name: Literal["gradient_norms"] = "gradient_norms"


class GradientRatio(ProbeSection):
    """Of each batch ‖∇CE(x') - ∇CE(x)‖ / ‖∇CE(x)‖; of TRADES ‖∇KL‖ / ‖∇CE‖ (Fig. 3b)."""

    moment: ClassVar[Literal["epochs", "start", "training"]] = "training"
    name: Literal["gradient_ratio"] = "gradient_ratio"
    samples: Annotated[Whole, Field(ge=1)] = 1
    """Not used: it is the training batches that are measured."""
    iterations: Annotated[Whole, Field(ge=1)] = 1000
    """Updates that are measured, from the first."""

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """The objective must attack."""
        if measured_loss(config.objective) == "clean":
            yield Broken(
                f"probes.{self.name}",
                f"is not defined for {config.objective.name}, which attacks nothing",
                "drop the probe, or choose another objective",
            )


class GradientStability(ProbeSection):
    """Mean over samples of ‖∇J(θ + l d) - ∇J(θ)‖₂ along a filter-normalised direction d, at θ's start (Fig. 4a)."""

    moment: ClassVar[Literal["epochs", "start", "training"]] = "start"
    name: Literal["gradient_stability"] = "gradient_stability"
    reach: Annotated[float, Field(gt=0)] = 0.05
    """The largest |l|."""
    points: Annotated[Whole, Field(ge=3)] = 21
    """Values of l, evenly spaced from -reach to reach; an odd number has 0 among them."""


class GradientCosine(ProbeSection):
    """Cosine between the gradients of the same images after successive epochs, attacked again (Fig. 4b)."""

    moment: ClassVar[Literal["epochs", "start", "training"]] = "training"
    name: Literal["gradient_cosine"] = "gradient_cosine"


class GroupGradientNorms(ProbeSection):
    """Mean per-sample ‖∇θ loss‖₂ of mislabelled and of rightly labelled images (Fig. A.9)."""

    name: Literal["group_gradient_norms"] = "group_gradient_norms"
    samples: Annotated[Whole, Field(ge=1)] = 100
    """Images of each group."""

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """Some labels must be wrong, and enough of both kinds can be expected."""
        rate, classes = config.data.noise_rate, config.data.num_classes
        wrong = rate * (1 - 1 / classes) * config.data.train_samples
        smaller = min(wrong, config.data.train_samples - wrong)
        if rate == 0:
            yield Broken("probes.group_gradient_norms", "needs wrong labels", "set data.noise_rate, or drop the probe")
        elif self.samples > smaller:
            yield Broken(
                "probes.group_gradient_norms.samples",
                f"{self.samples} is more than the smaller group's images, about {smaller:.0f}",
                "lower it",
            )


def _entry(config: type[ProbeSection], factory: str, source: str, summary: str) -> Entry:
    return Entry(config.model_fields["name"].default, config, f"tune_at.probes.{factory}", source, summary)


PROBES = Registry(
    "probe",
    _entry(GradientNorms, "gradients:gradient_norms", "Fig. 3a", "mean norm of the samples' gradients"),
    _entry(GradientRatio, "training:RatioWatch", "Fig. 3b", "what the attack adds to a batch's gradient"),
    _entry(GradientStability, "stability:gradient_stability", "Fig. 4a", "change of gradients along a direction"),
    _entry(GradientCosine, "training:CosineWatch", "Fig. 4b", "cosine of gradients between epochs"),
    _entry(GroupGradientNorms, "gradients:group_gradient_norms", "Fig. A.9", "gradients of right and of wrong labels"),
)


def parse_probes(written: Sequence[Any], where: str) -> tuple[ProbeSection, ...]:
    """The `probes` of a study; a bare name stands for `{name: NAME}`. Raises `UserError`."""
    trees = [{"name": one} if isinstance(one, str) else one for one in written]
    for tree in trees:
        name = tree.get("name") if isinstance(tree, Mapping) else None
        if not isinstance(name, str) or name not in PROBES:
            raise UserError(f"{where}: probes", f"{name or tree!r} is no probe", suggestion(str(name), PROBES))
    names = [tree["name"] for tree in trees]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{where}: probes", f"{twice[0]} stands there twice", "drop one of them")
    return tuple(_parse(tree, where) for tree in trees)


def probe_tree(probe: ProbeSection) -> dict[str, Any]:
    """A probe as it was written: what was left to its defaults is left to them."""
    return {"name": probe.name, **probe.model_dump(mode="json", exclude_unset=True)}


def _parse(tree: Mapping[str, Any], where: str) -> ProbeSection:
    config: type[ProbeSection] = PROBES[tree["name"]].config
    try:
        return config.model_validate(tree)
    except ValidationError as error:
        raise user_error(error, config, where, f"probes.{tree['name']}") from None
