"""Probes: what a study measures of its networks beside their accuracy. Definitions: docs/probes.md."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, Strict, ValidationError

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


Count = Annotated[Whole, Field(ge=1)]


class ProbeSection(Section):
    """What every probe has. Nothing in it changes training."""

    moment: ClassVar[Literal["epochs", "start", "training"]] = "epochs"
    """When it is measured in a trial that trains: after epochs, before the first, or in each batch or epoch as training
    goes by, which no checkpoint can tell of later."""

    name: str
    every: Count = 1
    """Measured after one in how many epochs, and after the last, while a trial trains."""
    samples: Literal["all"] | Count = 500
    """Training images that are measured: a class-balanced part, the same for every trial of a data set."""

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """There must be as many training images as are asked for; a default takes those there are."""
        if "samples" in self.model_fields_set and self.samples != "all" and self.samples > config.data.train_samples:
            yield Broken(
                f"probes.{self.name}.samples",
                f"{self.samples} is more than the {config.data.train_samples} training images",
                "lower it, or say all",
            )

    def due(self, epoch: int, epochs: int) -> bool:
        """Whether it is measured after this epoch (0: before training) of a run."""
        if self.moment == "start" or epoch == 0:
            return self.moment == "start" and epoch == 0
        return epoch % self.every == 0 or epoch == epochs


class Margin(ProbeSection):
    """z_y - max_{j≠y} z_j of clean training images and the labels that are trained on: a low percentile (Fig. 5)."""

    name: Literal["margin"] = "margin"
    samples: Literal["all"] | Count = "all"
    percentile: Annotated[float, Field(ge=0, le=100)] = 10.0
    """Percent of the images whose margin is below it."""


class SpectralNorm(Margin):
    """log Π‖Wᵢ‖₂, and that less the logarithm of the margin (Fig. 5)."""

    name: Literal["spectral_norm"] = "spectral_norm"  # type: ignore[assignment]


class L1Norm(Margin):
    """log Π‖Wᵢ‖₁, and that less the logarithm of the margin (Fig. 5)."""

    name: Literal["l1_norm"] = "l1_norm"  # type: ignore[assignment]


class InputCurvature(ProbeSection):
    """The dominant eigenvalue of the Hessian of CE in the image, the mean over images (Fig. 5)."""

    name: Literal["input_curvature"] = "input_curvature"
    iterations: Count = 20
    """Hessian-vector products of the power iteration, at most."""
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 1e-3
    """Relative change of an eigenvalue below which the iteration ends."""


class WeightFlatness(ProbeSection):
    """Change of the adversarial loss along random directions of the weights, attacked again (Fig. 5)."""

    name: Literal["weight_flatness"] = "weight_flatness"
    distances: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Strict(False), Field(min_length=1)] = (0.1, 0.25)
    """How far along, both ways, in lengths of the weights' filters."""
    directions: Count = 5
    """Random directions, over which the mean is taken."""
    steps: Count = 10
    """Steps of PGD on the cross-entropy, in the ball and with the step size of `attack`."""

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """Each distance stands there once: it names a row."""
        yield from super().rules(config)
        if twice := sorted({distance for distance in self.distances if self.distances.count(distance) > 1}):
            yield Broken(f"probes.{self.name}.distances", f"{twice[0]:g} stands there twice", "drop one of them")


class AdversarialLosses(ProbeSection):
    """The cross-entropy of each training example under PGD, into the table `samples` (Fig. 6c, C.2)."""

    name: Literal["adversarial_losses"] = "adversarial_losses"
    samples: Literal["all"] | Count = "all"
    steps: Count = 10
    """Steps of PGD on the cross-entropy, in the ball and with the step size of `attack`."""


class GradientNorms(ProbeSection):
    """Mean over samples of ‖∇θ loss‖₂, each sample's by itself (Fig. 3a)."""

    name: Literal["gradient_norms"] = "gradient_norms"


class GradientRatio(ProbeSection):
    """Of each batch ‖∇CE(x') - ∇CE(x)‖ / ‖∇CE(x)‖; of TRADES ‖∇KL‖ / ‖∇CE‖ (Fig. 3b)."""

    moment: ClassVar[Literal["epochs", "start", "training"]] = "training"
    name: Literal["gradient_ratio"] = "gradient_ratio"
    samples: Count = 1
    """Not used: it is the training batches that are measured."""
    iterations: Count = 1000
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
    samples: Count = 100
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
    _entry(Margin, "complexity:margin", "Fig. 5", "low percentile of the margins of z"),
    _entry(
        SpectralNorm,
        "complexity:spectral_norm",
        "Fig. 5",
        "product of layers' spectral norms, over the margin",
    ),
    _entry(L1Norm, "complexity:l1_norm", "Fig. 5", "product of layers' l1 norms, over the margin"),
    _entry(InputCurvature, "landscape:input_curvature", "Fig. 5", "dominant eigenvalue of the Hessian in the image"),
    _entry(WeightFlatness, "landscape:weight_flatness", "Fig. 5", "change of the adversarial loss around the weights"),
    _entry(AdversarialLosses, "hardness:adversarial_losses", "Fig. 6c, C.2", "by sample: the loss under attack"),
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
