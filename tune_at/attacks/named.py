"""Attacks by the names of the paper's tables, in the ball and with the step size of a config."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from tune_at.attacks.autoattack import AutoAttack, autoattack
from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.attack import ATTACKS, AttackSection
from tune_at.errors import UserError

Attack = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""(model, x, y, generator) → x_adv; see `tune_at.attacks.pgd.pgd`."""


def build_attack(name: str, threat: AttackSection, keep_attacking: bool | None = None) -> Attack:
    """The attack of that name. Raises `UserError` for an unknown one, and the attack one for images outside [0, 1].

    Args:
        name: as `ATTACKS` lists them.
        threat: ball and step size.
        keep_attacking: for PGD, whether its result is the last iterate even of an example that has fallen before; by
            default as the attack has it. AutoAttack always stops at a fallen example.
    """
    spec: PGD | AutoAttack = ATTACKS[name].load()(threat)
    if isinstance(spec, PGD) and keep_attacking is not None:
        spec = replace(spec, keep_attacking=keep_attacking)

    def attack(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        low, high = torch.aminmax(x)
        if low < 0 or high > 1:
            raise UserError("images", f"reach from {low:g} to {high:g}", "attacks work on [0, 1]: undo normalisation")
        if isinstance(spec, PGD):
            return pgd(model, x, y, spec, generator)
        return autoattack(model, x, y, spec, generator)

    return attack


def configured(threat: AttackSection) -> PGD:
    """PGD with the config's own number of steps."""
    return PGD.of(threat)


def fgsm(threat: AttackSection) -> PGD:
    """One step of length eps from x."""
    return PGD.of(threat).single_step(threat.eps, "zero")


def pgd_10(threat: AttackSection) -> PGD:
    """PGD, 10 steps, CE, one uniform start."""
    return replace(PGD.of(threat), steps=10)


def pgd_1000(threat: AttackSection) -> PGD:
    """PGD, at most 1,000 steps, CE, one uniform start; an example is left alone once it has fallen."""
    return replace(PGD.of(threat), steps=1000, keep_attacking=False)


def cw_1000(threat: AttackSection) -> PGD:
    """PGD, at most 1,000 steps, on the C&W margin, one uniform start; an example is left alone once it has fallen."""
    return replace(PGD.of(threat, "cw"), steps=1000, keep_attacking=False)


def auto(threat: AttackSection) -> AutoAttack:
    """AutoAttack `standard`."""
    return AutoAttack.of(threat)
