"""TrialConfig: everything that determines the numbers of one trial."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from tune_at.config.attack import AttackSection
from tune_at.config.data import DATASETS, DataConfig, Digits
from tune_at.config.facts import KnownData
from tune_at.config.model import MODELS, ModelConfig, SmallCNN
from tune_at.config.objective import OBJECTIVES, PGDAT, ObjectiveConfig
from tune_at.config.optim import OPTIMIZERS, SCHEDULES, SGD, OptimConfig
from tune_at.config.section import Broken, Section, TrialParts, Whole, YesNo, to_epoch
from tune_at.config.tree import Tree, fill_names
from tune_at.config.validation import user_error
from tune_at.config.versions import FIRST, SCHEMA, is_dated, recorded, upgraded
from tune_at.errors import UserError
from tune_at.registry import Registry

NAMED_SECTIONS: dict[str, Registry] = {
    "data": DATASETS,
    "model": MODELS,
    "objective": OBJECTIVES,
    "optim": OPTIMIZERS,
    "optim.schedule": SCHEDULES,
}
"""Sections whose type is chosen by their `name`, by dotted path, and the registry of each."""


ELSEWHERE = "config"
"""A key that only the config of a trial from elsewhere has: what is recorded of it is what was told, and no more."""


class TrainSection(Section):
    """Length and protocol of the training."""

    epochs: Annotated[Whole, Field(ge=1)] = 200
    """Passes over the training images."""
    batch_size: Annotated[Whole, Field(ge=1)] = 128
    """Samples a step; the last, partial batch of an epoch is kept."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Of convolutions and products in training and attacks; what is stored, updated and judged is float32. On CPUs
    `tf32` is `fp32`."""
    compile: YesNo = False
    """Compile the network's passes, in attacks and in the update; the first steps then take a minute or so."""
    selection: Literal["validation", "test"] = "validation"
    """Split on which the best epoch is chosen; `test` is the paper's protocol."""
    checkpoint_every: Annotated[Whole, Field(ge=1)] = 1
    """Epochs between checkpoints; the last epoch always has one."""

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """Batches that batch norm can be taken over, and a split to choose the best epoch on."""
        samples = config.data.train_samples
        if samples % self.batch_size == 1:
            yield Broken(
                "train.batch_size",
                f"{self.batch_size} leaves a last batch of one image, over which batch norm has no variance",
                "change it by one",
            )
        if self.batch_size > samples:
            yield Broken(
                "train.batch_size",
                f"{self.batch_size} is more than the {samples} training images",
                "lower it, or raise data.subset",
            )
        if self.selection == "test" and config.data.test_size == 0:
            yield Broken(
                "train.selection",
                "'test', but there is no test image to choose the best epoch on",
                "set train.selection=validation, or give the data a test split",
            )
        if self.selection == "validation" and config.data.validation_samples == 0:
            yield Broken(
                "data.validation",
                f"{config.data.validation:g} leaves no image to choose the best epoch on",
                "raise it, or set train.selection=test for the paper's protocol",
            )


class EvaluationSection(Section):
    """How accuracies are measured after an epoch: PGD on the cross-entropy from a random start."""

    steps: Annotated[Whole, Field(ge=1)] = 10
    """Steps of the evaluation attack, in the ball and with the step size of `attack`."""
    every: Annotated[Whole, Field(ge=1)] = 1
    """Epochs between evaluations; the last epoch is always evaluated."""
    train_every: Annotated[Whole, Field(ge=1)] = 1
    """One in how many of these evaluations measures the training part, too; the last one always does."""
    train_samples: Annotated[Whole, Field(ge=0)] = 1000
    """Size of the fixed part of the training set on which training accuracy is measured; 0 is none."""
    test_samples: Literal["all"] | Annotated[Whole, Field(ge=1)] = "all"
    """Size of the part of the test set that is evaluated after an epoch, class-balanced and fixed."""
    keep_attacking: YesNo = True
    """Whether an example is attacked further once it has fallen. If not, evaluation costs less, accuracy is that
    against the worst iterate instead of the last one, and robust losses are those at the points found first."""
    batch_size: Annotated[Whole, Field(ge=1)] = 512
    """Samples a batch. On a CPU no result depends on it beyond rounding in l-inf, nor in l2 for images of a multiple of
    16 values with their `gaussian` start; other random starts do."""


class ResourcesSection(Section):
    """What a trial takes of a node."""

    cpu: Annotated[Whole, Field(ge=1)] = 1
    """Processor cores; also the number of threads, on which the last bits of a CPU result depend."""
    gpu: Literal["auto"] | Annotated[float, Field(ge=0)] = 0.0
    """GPUs; a fraction below 1 shares one among trials, `auto` by their measured memory. 0 trains on the CPU."""

    @field_validator("gpu")
    @classmethod
    def _whole(cls, gpu: float | str) -> float | str:
        if isinstance(gpu, float) and gpu > 1 and gpu != round(gpu):
            raise ValueError("above 1 it must be a whole number")
        return gpu


class TrialConfig(Section):
    """Everything that determines the numbers of one trial, each section validated and frozen.

    A named section may be given as its name alone: `TrialConfig(objective="trades")`.
    """

    data: DataConfig = Digits()
    model: ModelConfig = SmallCNN()
    objective: ObjectiveConfig = PGDAT()
    attack: AttackSection = AttackSection()
    optim: OptimConfig = SGD()
    train: TrainSection = TrainSection()
    evaluation: EvaluationSection = EvaluationSection()
    resources: ResourcesSection = ResourcesSection()
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 0
    """Seed of the network, the label noise, the order of the data and the attacks."""

    @model_validator(mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return fill_names(value, NAMED_SECTIONS) if isinstance(value, Mapping) else value

    @classmethod
    def parse(
        cls, tree: Tree, where: str = "", *,
        complete: bool = True, data: KnownData | None = None, schema: int = SCHEMA,
    ) -> "TrialConfig":  # fmt: skip
        """Validate a nested mapping; a mistake raises `UserError` with its path, value and remedy.

        Args:
            tree: sections by name; named sections may be strings.
            where: put before the path in the message, e.g. a file's name.
            complete: whether the rules between sections hold too; a study's base alone need not obey them yet.
            data: what is known of the data sets; by default a folder of images is counted when its sizes are needed.
            schema: the schema version under which the tree was written, whose defaults are meant. In version 1 "0.1"
                and true were taken for numbers; later types are strict. The rules between sections were those of
                that version, too, and held when it wrote the tree.
        """
        if schema < SCHEMA:
            tree = upgraded(fill_names(tree, NAMED_SECTIONS), cls, schema, NAMED_SECTIONS)
        try:
            config = cls.model_validate(tree, context=data, strict=None if schema > FIRST else False)
        except ValidationError as error:
            raise user_error(error, cls, where) from None
        if complete and schema >= SCHEMA and (data is None or data.knows(config.data)):
            config.check(where)
        return config

    def check(self, where: str = "") -> None:
        """Rules between sections. Raises `UserError`."""
        for broken in self._broken():
            raise UserError(f"{where}: {broken.where}" if where else broken.where, broken.problem, broken.remedy)

    def _broken(self) -> Iterator[Broken]:
        sections = (self.data, self.model, self.objective, self.attack, self.optim, self.train, self.evaluation)
        yield from _late(self.moments(), self.train.epochs)
        for section in (*sections, self.resources):
            yield from section.rules(self)

    def evaluated_from(self, epoch: int) -> int:
        """The first epoch at or after `epoch` that is evaluated."""
        return min(-(-epoch // self.evaluation.every) * self.evaluation.every, self.train.epochs)

    def shared_epochs(self, epochs: int) -> int:
        """How many of its first epochs are equal, bit for bit on a CPU, in a run of the same config of other length.

        With piecewise decay at shares of the run it is the shorter one's first segment, where nothing of the objective
        begins or grows before. The last epoch of the shorter run is never among them: it is evaluated in any case.
        """
        shorter, longer = sorted((self.train.epochs, epochs))

        def phase(epoch: int, of: int) -> object:
            return self.optim.lr_at(epoch, of), self.objective.phase(epoch, of)

        same = (phase(epoch, shorter) == phase(epoch, longer) for epoch in range(1, shorter))
        return next((before for before, equal in enumerate(same) if not equal), shorter - 1)

    def lasting(self, epochs: int) -> "TrialConfig":
        """The same config for a run of another length. Its rules are not checked."""
        return self.model_copy(update={"train": self.train.model_copy(update={"epochs": epochs})})

    def as_tree(self) -> Tree:
        """All values as nested plain dictionaries, ready for JSON and YAML."""
        return json.loads(self.model_dump_json())

    def as_json(self, schema: int = SCHEMA) -> str:
        """All values as one line of JSON with sorted keys.

        Under an older `schema` it is what a program of that version would write, if what came later is at the value
        that its absence means.
        """
        if is_dated(type(self)):
            return json.dumps(recorded(self, schema), sort_keys=True)
        parts = [(name, getattr(self, name)) for name in sorted(type(self).model_fields)]
        return "{" + ", ".join(f"{json.dumps(name)}: {_as_json(value, schema)}" for name, value in parts) + "}"

    @classmethod
    def from_json(cls, text: str, where: str = "", data: KnownData | None = None) -> "TrialConfig":
        """Read what `as_json` wrote, now or in an older version; `data` is what is known of its data.

        Raises `UserError` if it cannot be read.
        """
        try:
            tree = json.loads(text)
        except ValueError as error:
            raise UserError(where or "config", f"is not JSON: {error}", "restore the file") from None
        if not isinstance(tree, dict):
            raise UserError(where or "config", f"{text} is not a config", "restore the file")
        return cls.parse(tree, where, complete=False, data=data or KnownData(recorded=True), schema=FIRST)

    @staticmethod
    def tree_from_json(text: str) -> Tree:
        """What `as_json` wrote, now or in an older version, as `as_tree` gives it; nothing is validated.

        Of a trial from elsewhere it has no more than what is known.
        """
        tree: Tree = json.loads(text)
        return tree if ELSEWHERE in tree else upgraded(tree, TrialConfig, FIRST, NAMED_SECTIONS)

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that name this config, the same in each version that can say what it says."""
        return hashlib.sha256(self.as_json(FIRST).encode()).hexdigest()[:16]


_WRITTEN: dict[tuple[int, int], tuple[Section, str]] = {}


def _as_json(part: Any, schema: int) -> str:
    """A section as one line of JSON; the trials of a grid share theirs, which is written once.

    By identity: sections that are equal may be written differently, as 0.0 and -0.0 are.
    """
    if not isinstance(part, Section):
        return json.dumps(part)
    known = _WRITTEN.get((id(part), schema))
    if known is None or known[0] is not part:
        if len(_WRITTEN) >= KEPT:
            _WRITTEN.clear()
        known = _WRITTEN[id(part), schema] = part, json.dumps(recorded(part, schema), sort_keys=True)
    return known[1]


KEPT = 4096
"""Sections whose JSON is kept."""


def _late(moments: Iterable[tuple[str, float, Any]], epochs: int) -> Iterator[Broken]:
    """The moments that are after the last epoch. A default is the method's own: short runs may cut it."""
    for path, moment, default in moments:
        if to_epoch(moment, epochs) > epochs and moment != default:
            yield Broken(
                path,
                f"{moment:g} is after the last epoch, {epochs}",
                "lower it, raise train.epochs, or write a share of the run such as 0.45",
            )
