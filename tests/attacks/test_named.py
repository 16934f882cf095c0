"""The attacks of the paper's tables keep one contract, and agree on a trained network as they should."""

import copy

import pytest
import torch
from torch import nn

from tune_at.attacks.losses import is_right
from tune_at.attacks.named import build_attack
from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.attack import ATTACKS, AttackSection
from tune_at.errors import UserError
from tune_at.registry import Entry, Registry

THREATS = [AttackSection(norm="linf", eps=0.08, step=0.02), AttackSection(norm="l2", eps=0.6, step=0.15)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
@pytest.mark.parametrize("name", ATTACKS)
def test_contract(name, threat, trained):
    model, x, y = trained(48)
    count = 8 if name == "autoattack" else 16
    x, y = x[:count], y[:count]
    attack = build_attack(name, threat)
    model.train()
    state, weights = torch.get_rng_state(), copy.deepcopy(model.state_dict())
    x_adv = attack(model, x, y, seeded())
    assert all(module.training for module in model.modules())
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(attack(model, x, y, seeded()), x_adv)
    delta = (x_adv - x).flatten(1)
    length = delta.abs().amax(1) if threat.norm == "linf" else delta.norm(dim=1)
    assert length.max() <= threat.eps * (1 + 1e-6)
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    still = build_attack(name, threat.model_copy(update={"eps": 0.0}))
    assert torch.equal(still(model, x, y, seeded()), x)


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
def test_stronger_attacks_find_more_and_autoattack_the_most(threat, trained):
    model, x, y = trained(48)
    found = {name: accuracy(model, build_attack(name, threat)(model, x, y, seeded()), y) for name in ATTACKS}
    clean = accuracy(model, x, y)
    assert clean > 0.8
    assert clean >= found["fgsm"] >= found["pgd-10"] - 1 / 48
    assert found["pgd-10"] >= found["pgd-1000"] - 1 / 48
    # AutoAttack is an ensemble of worst cases: what one of our attacks breaks, it breaks too, but for chance.
    assert found["autoattack"] <= min(found.values()) + 1 / 48
    assert found["autoattack"] < clean


def test_our_pgd_is_within_noise_of_apgd_of_the_official_code(trained):
    """APGD-CE, an independent implementation: PGD on the same network is as strong but for one example in 48."""
    from pyautoattack import AutoAttack

    model, x, y = trained(48)
    model.eval()
    with torch.random.fork_rng():
        apgd = AutoAttack(model, eps=0.08, norm="Linf", seed=0, version="custom", attacks=["apgd-ce"])
        theirs, _ = apgd.run_standard_evaluation(x, y)
    ours = pgd(model, x, y, PGD(0.08, 0.02, 100, restarts=5), seeded())
    assert accuracy(model, ours, y) <= accuracy(model, theirs, y) + 1.01 / 48
    assert accuracy(model, ours, y) >= accuracy(model, theirs, y) - 1.01 / 48


@pytest.mark.parametrize("name", ATTACKS)
def test_images_outside_the_unit_range_are_refused(name, trained):
    model, x, y = trained(48)
    with pytest.raises(UserError, match=r"reach from -1 to 1; attacks work on \[0, 1\]"):
        build_attack(name, THREATS[0])(model, 2 * x - 1, y, seeded())


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"restarts": 0}, {"eps": -0.1}, {"step": -0.1}])
def test_impossible_attacks_are_refused(wrong):
    with pytest.raises(UserError, match="attack: "):
        PGD(**{"eps": 0.1, "step": 0.1, "steps": 1, **wrong})


@pytest.mark.parametrize("name", ATTACKS)
def test_a_nan_pixel_is_refused(name, trained):
    model, x, y = trained(48)
    x = x.clone()
    x[3, 0, 2, 5] = float("nan")
    with pytest.raises(UserError, match=r"images: 1 of their pixels are NaN; attacks work on \[0, 1\]"):
        build_attack(name, THREATS[0])(model, x, y, seeded())


class Undefined(nn.Module):
    """Right of class 0 on images that are dark, of class 1 on others; undefined where the mean leaves its bounds."""

    def __init__(self, low=-1.0, high=2.0):
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x):
        mean = x.flatten(1).mean(1)
        logits = torch.stack([0.5 - mean, mean - 0.5, 0 * mean - 9, 0 * mean - 8, 0 * mean - 7], 1)
        undefined = (mean < self.low) | (mean > self.high)
        return torch.where(undefined[:, None], float("nan"), logits)


@pytest.mark.parametrize("name", ATTACKS)
def test_where_logits_are_nan_the_network_is_beaten(name):
    """Everywhere, or only at some points of the ball: of class 0, whose index stands where a NaN is looked for."""
    x, y = torch.full((4, 1, 8, 8), 0.2), torch.zeros(4, dtype=torch.long)
    attack = build_attack(name, AttackSection(eps=0.1, step=0.05))
    with torch.no_grad():
        everywhere = Undefined(low=1.0)
        assert not is_right(everywhere(attack(everywhere, x, y, seeded())), y).any()
        at_some = Undefined(high=0.21)
        assert is_right(at_some(x), y).all()
        assert not is_right(at_some(attack(at_some, x, y, seeded())), y).any()
        nowhere = Undefined()
        assert is_right(nowhere(attack(nowhere, x, y, seeded())), y).all()


class WithoutGradient(Undefined):
    """Finite logits, whose gradients are NaN: the square root's at 0 is infinite."""

    def forward(self, x):
        return super().forward(x) + 0 * (0 * x).flatten(1).sum(1, keepdim=True).sqrt()


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
@pytest.mark.parametrize("name", ATTACKS)
def test_a_nan_gradient_makes_no_nan_pixel(name, threat):
    """What is found so is not an image, and beats nobody."""
    x, y = torch.full((4, 1, 8, 8), 0.2), torch.zeros(4, dtype=torch.long)
    model = WithoutGradient()
    (gradient,) = torch.autograd.grad(model(moved := x.clone().requires_grad_()).sum(), moved)
    assert gradient.isnan().all()
    x_adv = build_attack(name, threat)(model, x, y, seeded())
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert is_right(model(x_adv), y).all()


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
def test_images_that_are_not_square(threat):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 14 * 9, 10))
    x = torch.rand(6, 1, 14, 9)
    with torch.no_grad():
        y = model(x).argmax(1)
    x_adv = build_attack("autoattack", threat)(model, x, y, seeded())
    delta = (x_adv - x).flatten(1)
    length = delta.abs().amax(1) if threat.norm == "linf" else delta.norm(dim=1)
    assert length.max() <= threat.eps * (1 + 1e-6)
    with torch.no_grad():
        assert not torch.equal(model(x_adv).argmax(1), y)


class NotToBeCopied(nn.Module):
    """Holds a tensor that is not a leaf of a graph: `copy.deepcopy` raises."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.scale = torch.ones(1, requires_grad=True) * 1

    def forward(self, x):
        return self.network(x) * self.scale


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.norm)
@pytest.mark.parametrize("name", ATTACKS)
def test_gradients_of_parameters_are_left_alone_even_without_a_copy(name, threat, trained):
    network, x, y = trained(4)
    model = NotToBeCopied(network).eval()
    with pytest.raises(RuntimeError):
        copy.deepcopy(model)
    kept = []
    for number, parameter in enumerate(model.parameters()):
        parameter.grad = torch.full_like(parameter, number) if number % 2 else None
        kept.append(parameter.grad)
    try:
        wide = threat.model_copy(update={"eps": 3 * threat.eps, "step": 3 * threat.step})
        x_adv = build_attack(name, wide)(model, x, y, seeded())
        assert not torch.equal(x_adv, x)
        for number, (parameter, gradient) in enumerate(zip(model.parameters(), kept, strict=True)):
            assert parameter.grad is gradient
            assert parameter.requires_grad
            assert gradient is None or (gradient == number).all()
    finally:
        for parameter in model.parameters():
            parameter.grad = None


def test_an_entry_builds_its_own_attack(monkeypatch):
    """One function and one line: nothing else knows of it."""
    grey = lambda threat, keep_attacking: lambda model, x, y, generator: x.clamp(0.5, 0.5)
    monkeypatch.setattr("tune_at.attacks.named.grey", grey, raising=False)
    entry = Entry("grey", AttackSection, "tune_at.attacks.named:grey", "ours", "all pixels grey")
    monkeypatch.setattr("tune_at.attacks.named.ATTACKS", Registry("attack", *ATTACKS.values(), entry))
    x = torch.rand(2, 1, 3, 3)
    assert (build_attack("grey", THREATS[0])(nn.Identity(), x, torch.zeros(2), seeded()) == 0.5).all()


def test_whether_to_go_on_with_a_fallen_example():
    made = {name: [ATTACKS[name].load()(THREATS[0], keep) for keep in (None, True, False)] for name in ATTACKS}
    for name, default in (("pgd", True), ("fgsm", True), ("pgd-10", True), ("pgd-1000", False), ("cw-1000", False)):
        assert [spec.keep_attacking for spec in made[name]] == [default, True, False]
    assert [spec.steps for name in ("pgd", "fgsm", "pgd-10", "pgd-1000", "cw-1000") for spec in made[name][:1]] == [
        10,
        1,
        10,
        1000,
        1000,
    ]
