"""The attacks of the paper's tables keep one contract, and agree on a trained network as they should."""

import copy

import pytest
import torch

from tune_at.attacks.named import build_attack
from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.attack import ATTACKS, AttackSection
from tune_at.errors import UserError

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
