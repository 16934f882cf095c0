"""Each probe whole, against its definition written out a second time: images, attack, loss, mean."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.probes import PROBES, parse_probes
from tune_at.probes.directions import filter_normalised_direction
from tune_at.probes.losses import measured_places
from tune_at.training.trainer import Trainer

ATTACKS = {"pgd_at": ("ce", "uniform"), "trades": ("kl", "gaussian")}
BETA = 6.0


@pytest.fixture
def trained(tiny):
    """A function (objective, **data) → its trainer after an epoch on noisy labels; eps 0.1, step 0.05, two steps."""

    def train(objective, **data):
        trainer = Trainer(tiny(objective, data={"noise_rate": 0.4, **data}))
        trainer.run_epoch()
        return trainer

    return train


def chance():
    return torch.Generator().manual_seed(3)


def section(name, **fields):
    return parse_probes([{"name": name, **fields}], "x")[0]


def rows_of(trainer, name, **fields):
    return list(PROBES[name].load()(trainer.snapshot(), section(name, **fields), chance()))


def values_of(trainer, name, **fields):
    return {(row.quantity, row.x): row.value for row in rows_of(trainer, name, **fields)}


def images(trainer, samples):
    """Training images and the labels that are trained on."""
    batch = trainer.data["train"].take(measured_places(trainer.snapshot(), samples))
    return batch.x, batch.y


def attacked(trainer, network, x, y, generator):
    """x' of the trial's attack on a network: on CE from anywhere in the ball, or on KL from beside x."""
    name = trainer.config.objective.name
    return pgd(network, x, y, PGD(0.1, 0.05, 2, "linf", *ATTACKS[name]), generator) if name in ATTACKS else x


def losses(network, x, x_adv, y):
    """CE(x), CE(x') and KL(f(x) ‖ f(x')) of each sample, and J of PGD-AT, TRADES and standard training."""
    natural, robust = (network(images).log_softmax(1) for images in (x, x_adv))
    ce, adversarial = (-z.gather(1, y[:, None])[:, 0] for z in (natural, robust))
    kl = (natural.exp() * (natural - robust)).sum(1)
    terms = {"ce": ce, "adversarial_ce": adversarial, "kl": kl}
    return terms | {"pgd_at": adversarial, "trades": ce + BETA * kl, "standard": ce}


def gradient(network, value):
    return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(network.parameters()))])


def sample_gradients(network, name, x, x_adv, y):
    """∇θ of one of `losses` for each sample, one at a time."""
    parts = [slice(place, place + 1) for place in range(len(y))]
    return torch.stack([gradient(network, losses(network, x[p], x_adv[p], y[p])[name].sum()) for p in parts])


@pytest.mark.parametrize(
    ("objective", "terms"), [("pgd_at", ["adversarial_ce"]), ("trades", ["ce", "kl"]), ("standard", ["ce"])]
)
def test_gradient_norms(trained, objective, terms):
    trainer = trained(objective)
    network, (x, y) = copy.deepcopy(trainer.model).eval(), images(trainer, 16)
    x_adv = attacked(trainer, trainer.engine.view(trainer.model), x, y, chance())
    expected = {(term, None): float(sample_gradients(network, term, x, x_adv, y).norm(dim=1).mean()) for term in terms}
    assert values_of(trainer, "gradient_norms", samples=16) == pytest.approx(expected, rel=1e-4)


def test_group_gradient_norms(trained):
    trainer = trained("standard", noise_rate=0.3)
    network, train = copy.deepcopy(trainer.model).eval(), trainer.data["train"]
    wrong = (train.labels != trainer.images.true_labels).nonzero()[:, 0]
    batch = train.take(wrong)
    expected = float(sample_gradients(network, "ce", batch.x, batch.x, batch.y).norm(dim=1).mean())
    found = values_of(trainer, "group_gradient_norms", samples=len(wrong))
    assert found["mislabelled_ce", None] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("objective", ATTACKS)
def test_gradient_ratio(trained, objective):
    trainer = trained(objective)
    network, (x, y) = copy.deepcopy(trainer.model).eval(), images(trainer, 24)
    batch = trainer.data["train"].take(measured_places(trainer.snapshot(), 24))
    watch = PROBES["gradient_ratio"].load()(section("gradient_ratio"))
    (row,) = watch.before_update(trainer.snapshot(), batch, chance())
    found = losses(network, x, attacked(trainer, trainer.engine.view(trainer.model), x, y, chance()), y)
    added = found["kl"] if objective == "trades" else found["adversarial_ce"] - found["ce"]
    norms = [gradient(network, of.mean()).norm() for of in (added, losses(network, x, x, y)["ce"])]
    assert row.value == pytest.approx(float(norms[0] / norms[1]), rel=1e-3)


@pytest.mark.parametrize("objective", [*ATTACKS, "standard"])
def test_gradient_cosine(trained, objective):
    trainer, gradients = trained(objective), []
    watch = PROBES["gradient_cosine"].load()(section("gradient_cosine", samples=16))
    x, y = images(trainer, 16)
    for _ in range(2):
        network = copy.deepcopy(trainer.model).eval()
        rows = list(watch.after_epoch(trainer.snapshot(), chance()))
        x_adv = attacked(trainer, trainer.engine.view(trainer.model), x, y, chance())
        gradients.append(gradient(network, losses(network, x, x_adv, y)[objective].mean()).double())
        trainer.run_epoch()
    a, b = gradients
    assert rows[0].value == pytest.approx(float(a @ b / (a.norm() * b.norm())), abs=1e-4)


@pytest.mark.parametrize("objective", [*ATTACKS, "standard"])
def test_gradient_stability(trained, objective):
    trainer = trained(objective)
    here, (x, y), generator = copy.deepcopy(trainer.model).eval(), images(trainer, 6), chance()
    direction = filter_normalised_direction(trainer.model, generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    found = values_of(trainer, "gradient_stability", samples=6, points=3, reach=0.04)
    for length in (-0.04, 0.04):
        there = copy.deepcopy(here)
        for name, parameter in there.named_parameters():
            parameter.data += length * direction[name]
        for name, of in ({"ce": "standard"} | ({"objective": objective} if objective in ATTACKS else {})).items():
            both = []
            for network in (here, there):
                x_adv = attacked(trainer, network, x, y, torch.Generator().manual_seed(seed))
                both.append(sample_gradients(network, of, x, x_adv, y))
            expected = float((both[1] - both[0]).norm(dim=1).mean())
            assert found[name, length] == pytest.approx(expected, rel=1e-2), (name, length)


def test_weight_flatness(trained):
    trainer = trained("trades")  # attacked on CE from anywhere in the ball, whatever the objective
    (x, y), generator = images(trainer, 16), chance()
    seed = int(torch.randint(2**62, (1,), generator=generator))
    here = copy.deepcopy(trainer.model).eval()

    def g(network):
        x_adv = pgd(network, x, y, PGD(0.1, 0.05, 4), torch.Generator().manual_seed(seed))
        return float(losses(network, x, x_adv, y)["adversarial_ce"].mean().detach())

    changes = {-0.2: 0.0, 0.2: 0.0}
    for _ in range(2):
        direction = filter_normalised_direction(here, generator)
        for length in changes:
            there = copy.deepcopy(here)
            for name, parameter in there.named_parameters():
                parameter.data += length * direction[name]
            changes[length] += (g(there) - g(here)) / 2
    found = values_of(trainer, "weight_flatness", samples=16, distances=[0.2], directions=2, steps=4)
    expected = {("loss_change", length): change for length, change in changes.items()}
    expected["weight_flatness", 0.2] = sum(changes.values()) / 2
    assert found == pytest.approx(expected, rel=1e-2, abs=1e-4)


def test_input_curvature(trained):
    trainer = trained("pgd_at")
    network, (x, y) = copy.deepcopy(trainer.model).eval().requires_grad_(False), images(trainer, 4)
    largest = []
    for place in range(4):
        one = slice(place, place + 1)
        hessian = torch.autograd.functional.hessian(
            lambda z, one=one: losses(network, z, z, y[one])["ce"].sum(), x[one]
        )
        largest.append(float(torch.linalg.eigvalsh(hessian.view(64, 64).double())[-1]))
    found = values_of(trainer, "input_curvature", samples=4, iterations=500, tolerance=1e-9)
    assert found["input_curvature", None] == pytest.approx(np.mean(largest), rel=1e-2)


def folded_weights(network):
    """The weights of the small CNN's convolutions, each with the batch norm after it, and of its classifier."""
    convolutions, norms = (
        [module for module in network.modules() if isinstance(module, kind)] for kind in (nn.Conv2d, nn.BatchNorm2d)
    )
    scales = [norm.weight / (norm.running_var + norm.eps).sqrt() for norm in norms]
    pairs = zip(convolutions, scales, strict=True)
    return [(layer.weight * scale[:, None, None, None]).detach() for layer, scale in pairs] + [
        network.classifier.weight
    ]


@pytest.mark.parametrize("name", ["spectral_norm", "l1_norm", "margin"])
def test_margins_and_products(trained, name):
    trainer = trained("standard")
    x, y = images(trainer, "all")
    with torch.no_grad():
        logits = copy.deepcopy(trainer.model).eval()(x)
    right = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -math.inf).amax(1)
    for percentile in (20, 95):
        low = np.percentile((right - others).numpy(), percentile)
        found = values_of(trainer, name, percentile=percentile)
        assert found["margin", None] == pytest.approx(low, rel=1e-4)
        if name != "margin":
            norms = [value for (quantity, _), value in found.items() if quantity == "layer_norm"]
            assert found["log_product", None] == pytest.approx(sum(map(math.log, norms)))
            weights = folded_weights(trainer.model)
            if name == "l1_norm":
                assert norms == pytest.approx([float(weight.abs().sum()) for weight in weights], rel=1e-5)
            else:
                assert len(norms) == len(weights)
                assert norms[-1] == pytest.approx(float(torch.linalg.matrix_norm(weights[-1], 2)), rel=1e-5)
            over = found["log_product_over_margin", None]
            assert math.isnan(over) if low <= 0 else over == pytest.approx(sum(map(math.log, norms)) - math.log(low))
    assert low > 0


def test_adversarial_losses(trained):
    trainer = trained("trades")  # attacked on CE from anywhere in the ball, whatever the objective
    rows = rows_of(trainer, "adversarial_losses", samples=20, steps=4)
    places, (x, y) = measured_places(trainer.snapshot(), 20), images(trainer, 20)
    network = copy.deepcopy(trainer.model).eval()
    x_adv = pgd(trainer.engine.view(trainer.model), x, y, PGD(0.1, 0.05, 4), chance())
    with torch.no_grad():
        found, predicted = losses(network, x, x_adv, y), [network(z).argmax(1).tolist() for z in (x, x_adv)]
    assert [row.attack for row in rows] == 20 * ["pgd-4"]
    assert [row.example for row in rows] == places.tolist()
    assert [row.label for row in rows] == trainer.images.true_labels[places].tolist()
    assert [row.trained_label for row in rows] == y.tolist() != [row.label for row in rows]
    assert [[row.natural_prediction for row in rows], [row.robust_prediction for row in rows]] == predicted
    assert [row.natural_loss for row in rows] == pytest.approx(found["ce"].tolist(), rel=1e-4)
    assert [row.robust_loss for row in rows] == pytest.approx(found["adversarial_ce"].tolist(), rel=1e-4)
