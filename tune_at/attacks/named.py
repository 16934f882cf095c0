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


def build_attack(name: str, threat: AttackSection) -> Attack:
    """The attack of that name. Raises `UserError` for an unknown one, and the attack one for images outside [0, 1]."""
    attack: Attack = ATTACKS[name].load()(threat)

    def checked(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        low, high = torch.aminmax(x)
        if low < 0 or high > 1:
            raise UserError("images", f"reach from {low:g} to {high:g}", "attacks work on [0, 1]: undo normalisation")
        return attack(model, x, y, generator)

    return checked


def _with(spec: PGD) -> Attack:
    return lambda model, x, y, generator: pgd(model, x, y, spec, generator)


def configured(threat: AttackSection) -> Attack:
    """PGD with the config's own number of steps."""
    return _with(PGD.of(threat))


def fgsm(threat: AttackSection) -> Attack:
    """One step of length eps from x."""
    return _with(PGD.of(threat).single_step(threat.eps, "zero"))


def pgd_10(threat: AttackSection) -> Attack:
    """PGD, 10 steps, CE, one uniform start."""
    return _with(replace(PGD.of(threat), steps=10))


def pgd_1000(threat: AttackSection) -> Attack:
    """PGD, 1,000 steps, CE, one uniform start."""
    return _with(replace(PGD.of(threat), steps=1000))


def cw_1000(threat: AttackSection) -> Attack:
    """PGD, 1,000 steps, on the C&W margin, one uniform start."""
    return _with(replace(PGD.of(threat, "cw"), steps=1000))


def auto(threat: AttackSection) -> Attack:
    """AutoAttack `standard`."""
    spec = AutoAttack.of(threat)
    return lambda model, x, y, generator: autoattack(model, x, y, spec, generator)
