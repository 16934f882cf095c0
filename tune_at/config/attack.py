"""The threat model, shared by the training attack and the evaluation."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tune_at.config.section import Pixels, Section, Whole
from tune_at.config.versions import Since
from tune_at.errors import UserError
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
    steps: Annotated[Whole, Field(ge=1)] = 10
    """Steps of the training attack."""
    start: Annotated[Literal["auto", "uniform", "gaussian", "zero"], Since(2, absent="uniform")] = "auto"
    """Where attacks on the label begin, in training and evaluation; `auto` is what the paper's code does in this norm:
    `uniform` in the ball in l-inf, and `gaussian`, x + 0.001 · N(0, 1), in l2. `zero` is x itself. Methods with a start
    of their own keep it: TRADES' attack on the KL divergence begins gaussian, FGSM at x, Fast AT uniform."""

    @property
    def start_in_ball(self) -> StartName:
        """`start`, with `auto` as what it means in this norm."""
        if self.start != "auto":
            return self.start
        return "gaussian" if self.norm == "l2" else "uniform"


def _entry(name: str, factory: str, source: str, summary: str, pattern: str = "") -> Entry:
    return Entry(name, AttackSection, f"tune_at.attacks.{factory}", source, summary, pattern)


ATTACKS = Registry(
    "attack",
    _entry(
        "pgd", "named:configured", "Eq. 2", "projected gradient ascent with the config's steps (training, evaluation)"
    ),
    _entry("fgsm", "named:fgsm", "App. A.2.1", "one step of length eps from x"),
    _entry("pgd-10", "named:pgd_10", "Sec. 3.1, 5", "PGD on the cross-entropy, 10 steps", r"pgd-[1-9]\d{0,5}"),
    _entry("pgd-1000", "named:pgd_1000", "Tab. 1", "PGD on the cross-entropy, 1,000 steps"),
    _entry("cw-1000", "named:cw_1000", "Tab. 1", "PGD on the C&W margin, 1,000 steps", r"cw-[1-9]\d{0,5}"),
    _entry("autoattack", "named:auto", "Tab. 1", "AutoAttack standard: APGD-CE, APGD-T, FAB-T, Square (pyautoattack)"),
)
"""Beside these, `pgd-N` and `cw-N` are served for any number of steps."""

TABLE_1 = ("pgd-10", "pgd-1000", "cw-1000", "autoattack")
"""The attacks of the paper's Table 1."""


@dataclass(frozen=True)
class AskedAttack:
    """An attack with the settings that a user gave it, each as it was written: `pgd-10`, `pgd-10 eps=4/255`.

    Attributes:
        name: in `ATTACKS`.
        eps: radius in pixels on [0, 1]; empty for that of the trial's training.
        step: length of a step, likewise.
    """

    name: str
    eps: str = ""
    step: str = ""

    def __post_init__(self) -> None:
        """Raises `UserError` for an unknown name, or a number that cannot be one."""
        ATTACKS[self.name]
        self.threat(AttackSection())

    def __str__(self) -> str:
        """Name and settings, as the store's tables have them."""
        settings = {"eps": self.eps, "step": self.step}
        return " ".join([self.name, *(f"{name}={value}" for name, value in settings.items() if value)])

    def threat(self, trained: AttackSection) -> AttackSection:
        """Ball and step size, in a trial that was trained under `trained`."""
        given = {name: text for name, text in (("eps", self.eps), ("step", self.step)) if text}
        changes = {}
        for name, text in given.items():
            try:
                changes[name] = TypeAdapter(Pixels).validate_python(text)
            except ValidationError:
                problem = f"{text!r} is not a length in pixels on [0, 1]"
                raise UserError(f"--{name}", problem, "write it as 8/255 or 0.031") from None
        return trained.model_copy(update=changes)
