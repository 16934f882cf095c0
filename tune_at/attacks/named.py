"""Attacks by the names of the paper's tables, in the ball and with the step size of a config."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from tune_at.attacks.autoattack import AutoAttack, autoattack
from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.attack import ATTACKS, AttackSection

Attack = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""(model, x, y, generator) → x_adv; see `tune_at.attacks.pgd.pgd`."""


def build_attack(name: str, threat: AttackSection) -> Attack:
    """The attack of that name. Raises `UserError` for an unknown one."""
    attack: Attack = ATTACKS[name].load()(threat)
    return attack


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
