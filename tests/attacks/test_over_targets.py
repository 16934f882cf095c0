"""AutoAttack's targeted attacks, several targets at once, are the package's own."""

import pytest
import torch
from pyautoattack import AutoAttack

from tune_at.attacks import over_targets


def package(model, norm, eps):
    attack = AutoAttack(model, norm=norm, eps=eps, seed=3, version="standard")
    attack.fab.targeted = True
    return {"apgd": attack.apgd_targeted, "fab": attack.fab}


@pytest.fixture
def network(trained):
    model, x, y = trained(48)
    was_training = model.training
    yield model.eval(), x, y
    model.train(was_training)


@pytest.mark.parametrize(("norm", "eps"), [("Linf", 0.08), ("L2", 0.6)])
@pytest.mark.parametrize("name", ["apgd", "fab"])
def test_one_target_at_a_time_it_is_the_package_s_attack(name, norm, eps, network):
    model, x, y = network
    theirs = package(model, norm, eps)[name].perturb(x, y)
    attack = getattr(over_targets, name)(package(model, norm, eps)[name], model, batch_size=1)
    ours = attack.perturb(x, y)
    beaten = [(model(found).argmax(1) != y) for found in (theirs, ours)]
    assert 0 < beaten[0].sum() < len(y)
    assert torch.equal(*beaten)
    assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("name", ["apgd", "fab"])
def test_all_targets_at_once_beat_the_same_examples(name, network):
    model, x, y = network
    results = []
    for batch_size in (1, 10_000):
        attack = getattr(over_targets, name)(package(model, "Linf", 0.08)[name], model, batch_size)
        rows = []
        run = attack.run
        attack.run = lambda x, y, targets, run=run, rows=rows: (rows.append(len(x)), run(x, y, targets))[1]
        results.append((model(attack.perturb(x, y)).argmax(1) != y, rows))
    (one_by_one, taken), (at_once, together) = results
    assert len(taken) == 9
    standing = int((model(x).argmax(1) == y).sum())
    assert together == [9 * standing]
    # APGD's starts are random, and FAB's sums depend on the batch in the last bits.
    assert (one_by_one != at_once).sum() <= 1


def test_misclassified_images_are_left_alone(network):
    model, x, _ = network
    attack = over_targets.apgd(package(model, "Linf", 0.08)["apgd"], model, 250)
    wrong = (model(x).argmax(1) + 1) % 10
    assert torch.equal(attack.perturb(x, wrong), x)
