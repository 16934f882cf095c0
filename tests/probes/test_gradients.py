"""Gradient probes against loops of autograd in float64 and against closed forms."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tune_at.config.probes import GradientNorms, GroupGradientNorms
from tune_at.errors import UserError
from tune_at.probes import gradients
from tune_at.probes.gradients import (
    chunks,
    gradient_norms,
    group_gradient_norms,
    mean_gradient,
    sample_gradient_norms,
    sample_gradients,
)
from tune_at.probes.losses import (
    Attacked,
    adversarial_ce,
    attack_batch,
    clean_ce,
    kl,
    measured_batches,
    measured_places,
    parameters_of,
)
from tune_at.training.trainer import Trainer


@pytest.fixture
def net():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(3 * 36, 4)
    ).double()
    network(torch.rand(16, 1, 8, 8, dtype=torch.float64))  # statistics that are not those of the start
    return network


@pytest.fixture
def part():
    torch.manual_seed(1)
    x = torch.rand(7, 1, 8, 8, dtype=torch.float64)
    return Attacked(x, (x + 0.1 * torch.rand_like(x)).clamp(0, 1), torch.arange(7) % 4)


def dense(network, loss):
    """Each sample's gradient by a loop of autograd, in eval mode, (b, parameters)."""
    network = copy.deepcopy(network).eval()
    rows = []
    for place in range(7):
        network.zero_grad()
        loss(network, slice(place, place + 1)).sum().backward()
        rows.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    return torch.stack(rows)


def by_hand(name, part):
    def loss(network, here):
        x, x_adv, y = part.x[here], part.x_adv[here], part.y[here]
        if name == "kl":
            p, q = network(x).softmax(1), network(x_adv).softmax(1)
            return (p * (p.log() - q.log())).sum()
        return F.cross_entropy(network(x_adv if name == "adversarial_ce" else x), y)

    return loss


@pytest.mark.parametrize("term", [clean_ce, adversarial_ce, kl], ids=lambda term: term.__name__)
def test_each_samples_gradient_is_autograds(net, part, term):
    expected = dense(net, by_hand(term.__name__.replace("clean_ce", "ce"), part))
    net.train()
    before = copy.deepcopy(net.state_dict())
    norms = sample_gradient_norms(net, term, part)
    torch.testing.assert_close(norms, expected.norm(dim=1), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(mean_gradient(net, term, [part]), expected.mean(0), rtol=1e-10, atol=1e-12)
    assert net.training and net[1].training
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    net.eval()
    rows = sample_gradients(net, parameters_of(net), term, part)
    torch.testing.assert_close(rows, expected, rtol=1e-10, atol=1e-12)


def test_chunks_fit_into_memory_and_change_nothing(net, part, monkeypatch):
    whole = sample_gradient_norms(net, kl, part)
    weights = sum(parameter.numel() for parameter in net.parameters())
    monkeypatch.setattr(gradients, "NUMBERS", 2 * weights)
    assert [len(some.y) for some in chunks(net, part)] == [2, 2, 2, 1]
    assert [len(some.y) for some in chunks(net, part, copies=2)] == [1] * 7
    torch.testing.assert_close(sample_gradient_norms(net, kl, part), whole, rtol=1e-12, atol=1e-14)
    halves = [Attacked(*(v[here] for v in (part.x, part.x_adv, part.y))) for here in (slice(0, 3), slice(3, 7))]
    torch.testing.assert_close(mean_gradient(net, kl, halves), mean_gradient(net, kl, [part]), rtol=1e-12, atol=1e-14)


def test_a_linear_softmax_has_the_closed_form():
    """∇W CE of z = W x is (f - e_y) xᵀ: its norm is ‖f - e_y‖ ‖x‖."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 4, bias=False)).double()
    x, y = torch.rand(5, 1, 3, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])
    f = network(x).softmax(1) - F.one_hot(y, 4)
    expected = f.norm(dim=1) * x.flatten(1).norm(dim=1)
    torch.testing.assert_close(sample_gradient_norms(network, clean_ce, Attacked(x, x, y)), expected.detach())


def run(trainer, section, function=gradient_norms):
    return {row.quantity: row.value for row in function(trainer.snapshot(), section, torch.Generator().manual_seed(3))}


@pytest.mark.parametrize(
    ("objective", "quantities"),
    [
        ("standard", ["ce"]),
        ("pgd_at", ["adversarial_ce"]),
        ("co_teaching", ["adversarial_ce"]),
        ("trades", ["ce", "kl"]),
        ({"name": "sat", "form": "trades"}, ["ce", "kl"]),
    ],
)
def test_the_terms_follow_from_the_objective(tiny, objective, quantities):
    trainer = Trainer(tiny(objective))
    trainer.run_epoch()
    found = run(trainer, GradientNorms(samples=20))
    assert list(found) == quantities
    # The same by hand: the same images under the same attack.
    snapshot = trainer.snapshot()
    (batch,) = measured_batches(snapshot, measured_places(snapshot, 20))
    part = attack_batch(snapshot, batch, torch.Generator().manual_seed(3))
    network = copy.deepcopy(snapshot.network).eval()
    for name, value in found.items():
        norms = []
        for place in range(20):
            network.zero_grad()
            by_hand(name, part)(network, slice(place, place + 1)).sum().backward()
            norms.append(torch.cat([p.grad.flatten() for p in network.parameters()]).norm())
        assert value == pytest.approx(float(torch.stack(norms).mean()), rel=1e-4)


def test_measured_images_are_class_balanced_and_the_same_for_every_seed_and_noise(tiny):
    first, second = (
        Trainer(tiny(seed=seed, data={"noise_rate": rate})).snapshot() for seed, rate in ((0, 0.0), (1, 0.8))
    )
    places = measured_places(first, 30)
    assert torch.equal(places, measured_places(second, 30))
    counts = torch.bincount(first.images.true_labels[places], minlength=10)
    assert counts.max() - counts.min() <= 1
    assert measured_places(first, 65).tolist() == list(range(64))


def test_wrong_and_right_labels_are_told_apart(tiny):
    trainer = Trainer(tiny(data={"noise_rate": 0.5}))
    found = run(trainer, GroupGradientNorms(samples=12), group_gradient_norms)
    assert list(found) == ["mislabelled_adversarial_ce", "clean_adversarial_ce"]
    labels, true = trainer.data["train"].labels, trainer.images.true_labels
    wrong = int((labels != true).sum())
    with pytest.raises(UserError, match=f"{wrong + 1}, but {wrong} training images are mislabelled"):
        run(trainer, GroupGradientNorms(samples=wrong + 1), group_gradient_norms)
    # Learned until the right ones are known and the wrong ones are not: their gradients are larger.
    learned = Trainer(
        tiny("standard", data={"noise_rate": 0.3, "subset": 512}, train={"epochs": 12}, model={"width": 8})
    )
    list(learned.epochs())
    found = run(learned, GroupGradientNorms(samples=40), group_gradient_norms)
    assert found["mislabelled_ce"] > 2 * found["clean_ce"]
