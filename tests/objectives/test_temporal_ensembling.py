"""TE's attack, step by step, against a float64 reference written from METHODS: x' that maximises what is penalised."""

import math

import pytest
import torch
from torch import nn

from tune_at.config.attack import AttackSection
from tune_at.config.objective import OBJECTIVES
from tune_at.objectives.base import Step

EPOCHS, CLASSES = 10, 4


def setting():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, CLASSES)).double()
    for parameter in model.parameters():
        parameter.data *= 3
    return model, torch.rand(8, 3, 2, 2, dtype=torch.float64), torch.arange(8) % CLASSES


def attacked_by(objective, model, x, y, epoch):
    """The loss, and the images that the network in training is given last: x'."""
    seen = []
    trained = type("Trained", (nn.Module,), {"forward": lambda self, images: (seen.append(images), model(images))[1]})()
    step = Step(trained, model, x, y, torch.arange(len(y)), epoch, EPOCHS, torch.Generator().manual_seed(5))
    loss, _ = objective.loss(step)
    return loss, seen[-1]


def reference(model, x, y, p, weight, attack, trades, beta=6.0):
    """p̂ = p / Σp; x' by steepest ascent of beta · KL(f(x) ‖ f(x')) or CE(x'), plus w ‖f(x') - p̂‖²; the outer loss."""
    f = lambda images: model(images).softmax(1)
    target, clean = p / p.sum(1, keepdim=True), f(x).detach()
    generator = torch.Generator().manual_seed(5)
    if trades or attack.norm == "l2":
        moved = x + 0.001 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    else:
        moved = x + (2 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1) * attack.eps
    moved = moved.clamp(0, 1)
    for _ in range(attack.steps):
        moved.requires_grad_()
        q = f(moved)
        first = beta * (clean * (clean / q).log()).sum(1) if trades else -q[torch.arange(len(y)), y].log()
        (g,) = torch.autograd.grad((first + weight * ((q - target) ** 2).sum(1)).sum(), moved)
        if attack.norm == "linf":
            moved = (moved.detach() + attack.step * g.sign()).clamp(x - attack.eps, x + attack.eps)
        else:
            delta = moved.detach() + attack.step * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1) - x
            length = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            moved = x + delta * torch.where(length > attack.eps, attack.eps / length, 1.0)
        moved = moved.clamp(0, 1)
    q = f(moved)
    if trades:
        outer = -f(x)[torch.arange(len(y)), y].log() + beta * (f(x) * (f(x) / q).log()).sum(1)
        return (outer + weight * ((f(x) - target) ** 2).sum(1)).mean(), moved
    return (-q[torch.arange(len(y)), y].log() + weight * ((q - target) ** 2).sum(1)).mean(), moved


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["pgd_at_te", "trades_te"])
def test_the_attack_and_the_loss_agree_with_the_reference(name, norm):
    model, x, y = setting()
    attack = AttackSection(norm=norm, eps=0.3 if norm == "linf" else 0.6, step=0.07, steps=10)
    config = OBJECTIVES[name].config(start=5, full=8)
    objective = OBJECTIVES[name].load()(config, attack, len(x), CLASSES)
    p = torch.zeros(len(x), CLASSES, dtype=torch.float64)
    weights = {5: 30 * math.exp(-5), 6: 30 * math.exp(-5 * (2 / 3) ** 2), 8: 30}
    for epoch in (5, 6, 8):
        with torch.no_grad():
            p = 0.9 * p + 0.1 * model(x).softmax(1)
        loss, x_adv = attacked_by(objective, model, x, y, epoch)
        expected, moved = reference(model, x, y, p, weights[epoch], attack, name == "trades_te")
        assert (x_adv - moved).abs().max() < 1e-12
        assert loss.item() == pytest.approx(expected.item(), rel=1e-14)
        with torch.no_grad():  # so that the next p̂ is not f(x)
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))


def test_beta_stands_in_trades_attack_once_te_counts():
    """Another beta, another x': with the penalty's pull to p̂ at odds with the KL's push from f(x)."""
    model, x, y = setting()
    attack = AttackSection(eps=0.3, step=0.07, steps=10)
    found = []
    for beta in (1.0, 6.0):
        objective = OBJECTIVES["trades_te"].load()(
            OBJECTIVES["trades_te"].config(start=1, full=1, beta=beta), attack, len(x), CLASSES
        )
        objective.p = torch.eye(CLASSES, dtype=torch.float64)[(y + 1) % CLASSES]
        _, x_adv = attacked_by(objective, model, x, y, epoch=2)
        p = 0.9 * torch.eye(CLASSES, dtype=torch.float64)[(y + 1) % CLASSES] + 0.1 * model(x).softmax(1).detach()
        _, moved = reference(model, x, y, p, 30.0, attack, trades=True, beta=beta)
        assert (x_adv - moved).abs().max() < 1e-12
        found.append(x_adv)
    assert not torch.allclose(*found)
