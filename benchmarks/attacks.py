"""Case (d): attacks of the tables on a trained network, against a plain loop and against pyautoattack itself."""

import copy
import functools
import logging
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import Plan, Way, device, measure
from benchmarks.textbook import attack, uniform
from tune_at.attacks.autoattack import AutoAttack
from tune_at.attacks.autoattack import autoattack as ours
from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.trial import TrialConfig
from tune_at.engine.folded import FoldedView
from tune_at.training.trainer import Trainer

EPS, STEP = 0.2, 0.05


@functools.cache
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """A network that PGD-AT has trained for a minute, in eval mode, and the test images with their labels."""
    tree = {
        "attack": {"eps": EPS, "step": STEP, "steps": 7},
        "optim": {"lr": 0.05},
        "train": {"epochs": 15, "batch_size": 64},
        "evaluation": {"every": 15},
        "resources": {"cpu": 2, "gpu": 1 if device().type == "cuda" else 0},
    }
    trainer = Trainer(TrialConfig.parse(tree))
    list(trainer.epochs())
    everything = next(trainer.data["test"].in_order(10_000))
    return trainer.model.eval(), everything.x.contiguous(), everything.y


def plain_network() -> nn.Module:
    """The trained network in torch's default layout, as a script loads it."""
    return copy.deepcopy(trained()[0]).to(memory_format=torch.contiguous_format)


def pgd_1000(quick: bool) -> Plan:
    """PGD-1000 on the cross-entropy from one uniform start."""
    model, x, y = trained()
    network = plain_network()
    steps = 100 if quick else 1000
    spec = PGD(EPS, STEP, steps, keep_attacking=False)

    def textbook() -> None:
        attack(network, x, lambda logits: F.cross_entropy(logits, y), uniform(x, EPS), EPS, STEP, steps)

    def fast() -> None:
        view = FoldedView(model)
        pgd(view, x, y, spec, torch.Generator(x.device).manual_seed(0))

    compare_outcomes(model, network, x, y, steps)
    return Plan({"textbook": textbook, "ours, fp32": fast}, len(x), "images/s", {"ours, fp32": 1.5}, rounds=3)


def compare_outcomes(model: nn.Module, network: nn.Module, x: Tensor, y: Tensor, steps: int) -> None:
    """Print for how many examples the worst iterate of a plain loop from the same starts says the same."""
    spec = PGD(EPS, STEP, steps, keep_attacking=False)
    starts = spec.ball.uniform(x, torch.Generator(x.device).manual_seed(0))
    fallen = network(x).argmax(1) != y
    moved = starts
    for _ in range(steps):
        fallen |= network(moved).argmax(1) != y
        moved = attack(network, x, lambda logits: F.cross_entropy(logits, y), moved, EPS, STEP, 1)
    fallen |= network(moved).argmax(1) != y
    found = pgd(FoldedView(model), x, y, spec, torch.Generator(x.device).manual_seed(0))
    beaten = network(found).argmax(1) != y
    same = int((beaten == fallen).sum())
    print(f"\nPGD-{steps}: robust accuracy {1 - fallen.float().mean():.2%} by the plain loop,", end=" ")
    print(f"{1 - beaten.float().mean():.2%} by ours; {same} of {len(y)} outcomes are the same")


def autoattack(quick: bool) -> list[Way]:
    """AutoAttack `standard`."""
    from pyautoattack import AutoAttack as Package

    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    model, x, y = trained()
    count = 16 if quick else 48
    x, y, network = x[:count], y[:count], plain_network()
    found: dict[str, Tensor] = {}

    def package() -> None:
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            attacker = Package(network, norm="Linf", eps=EPS, seed=1, version="standard", device=x.device)
            found["package"], _ = attacker.run_standard_evaluation(x, y, batch_size=250)

    def fast() -> None:
        found["ours"] = ours(model, x, y, AutoAttack(EPS), torch.Generator(x.device).manual_seed(0))

    def compare() -> None:
        with torch.no_grad():
            first, second = (network(found[name]).argmax(1) == y for name in ("package", "ours"))
        print(f"\nAutoAttack: robust accuracy {first.float().mean():.2%} by pyautoattack,", end=" ")
        print(f"{second.float().mean():.2%} by ours; {int((first == second).sum())} of {count} outcomes are the same")

    ways = {"pyautoattack": package, "ours, fp32": fast}
    plan = Plan(ways, count, "images/s", {"ours, fp32": 1.5}, rounds=1, warm=0)
    timed = measure(plan)
    compare()
    return timed
