"""Attacks by the names of the paper's tables, in the ball and with the step size of a config.

A new attack is a function here, or in a file of its own, and a line in `ATTACKS`: (threat, keep_attacking) → `Attack`.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from tune_at.attacks.autoattack import AutoAttack
from tune_at.attacks.pgd import PGD
from tune_at.config.attack import ATTACKS, AttackSection, LossName
from tune_at.errors import UserError

Attack = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""(model, x, y, generator) → x_adv; see `tune_at.attacks.pgd.pgd`."""

LAST_ITERATE = 100
"""Steps up to which the last iterate counts by default, for names that stand for any number of steps."""

Factory = Callable[[AttackSection, bool | None], PGD | AutoAttack]
"""What an entry of `ATTACKS` names: from ball and step size, and whether to go on with an example that has fallen."""


def build_attack(name: str, threat: AttackSection, keep_attacking: bool | None = None) -> Attack:
    """The attack of that name. Raises `UserError` for an unknown one, and the attack one for images outside [0, 1].

    Args:
        name: as `ATTACKS` lists them.
        threat: ball and step size.
        keep_attacking: whether the result is the last iterate even of an example that has fallen before; by default as
            the attack has it. AutoAttack always stops at a fallen example.
    """
    run = find_attack(name, threat, keep_attacking)

    def attack(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        check_range(x)
        return run(model, x, y, generator)

    return attack


def find_attack(name: str, threat: AttackSection, keep_attacking: bool | None = None) -> PGD | AutoAttack:
    """What `build_attack` runs, with its settings. Of `pgd-N` and `cw-N` up to 100 steps the last iterate counts, as
    in training; with more, an example is left alone once it has fallen, unless `keep_attacking` says otherwise.
    """
    entry = ATTACKS[name]
    make: Factory = entry.load()
    if entry.name == name:
        return make(threat, keep_attacking)
    steps = int(name.rpartition("-")[2])
    made = make(threat, steps <= LAST_ITERATE if keep_attacking is None else keep_attacking)
    assert isinstance(made, PGD)
    return replace(made, steps=steps)


def check_range(x: Tensor) -> None:
    """Raises `UserError` for images that are not in [0, 1], of which NaN is one."""
    if x.numel() == 0:
        return
    low, high = torch.aminmax(x)
    if not (low >= 0 and high <= 1):
        if x.isnan().any():
            raise UserError("images", f"{int(x.isnan().sum())} of their pixels are NaN", "attacks work on [0, 1]")
        raise UserError("images", f"reach from {low:g} to {high:g}", "attacks work on [0, 1]: undo normalisation")


def configured(threat: AttackSection, keep_attacking: bool | None = None) -> PGD:
    """PGD with the config's own number of steps."""
    return _pgd(threat, threat.steps, keep_attacking)


def fgsm(threat: AttackSection, keep_attacking: bool | None = None) -> PGD:
    """One step of length eps from x."""
    return _pgd(threat, 1, keep_attacking).single_step(threat.eps, "zero")


def pgd_10(threat: AttackSection, keep_attacking: bool | None = None) -> PGD:
    """PGD, 10 steps, CE, one start."""
    return _pgd(threat, 10, keep_attacking)


def pgd_1000(threat: AttackSection, keep_attacking: bool | None = None) -> PGD:
    """PGD, at most 1,000 steps, CE, one start; an example is left alone once it has fallen."""
    return _pgd(threat, 1000, bool(keep_attacking))


def cw_1000(threat: AttackSection, keep_attacking: bool | None = None) -> PGD:
    """PGD, at most 1,000 steps, on the C&W margin, one start; an example is left alone once it has fallen."""
    return _pgd(threat, 1000, bool(keep_attacking), "cw")


def auto(threat: AttackSection, keep_attacking: bool | None = None) -> AutoAttack:
    """AutoAttack `standard`."""
    return AutoAttack.of(threat)


def _pgd(threat: AttackSection, steps: int, keep_attacking: bool | None, loss: LossName = "ce") -> PGD:
    return replace(PGD.of(threat, loss), steps=steps, keep_attacking=keep_attacking is not False)
