"""Probes that follow a training, by hand."""

import math

import pytest
import torch

from tune_at.config.probes import GradientCosine, GradientRatio
from tune_at.probes.gradients import mean_gradient
from tune_at.probes.losses import adversarial_ce, attack_batch, clean_ce, kl, measured_batches, measured_places
from tune_at.probes.training import CosineWatch, RatioWatch, cosine
from tune_at.training.trainer import Trainer


@pytest.mark.parametrize("objective", ["pgd_at", "trades"])
def test_the_ratio_of_a_batch(tiny, objective):
    trainer = Trainer(tiny(objective))
    snapshot = trainer.snapshot()
    batch = trainer.data["train"].take(torch.arange(24))
    watch = RatioWatch(GradientRatio(iterations=2))
    (row,) = watch.before_update(snapshot, batch, torch.Generator().manual_seed(0))
    part = attack_batch(snapshot, batch, torch.Generator().manual_seed(0))
    clean = mean_gradient(snapshot.network, clean_ce, [part])
    added = mean_gradient(snapshot.network, kl if objective == "trades" else adversarial_ce, [part])
    added = added if objective == "trades" else added - clean
    assert row.value == pytest.approx(float(added.norm() / clean.norm()), rel=1e-5)
    assert (row.quantity, row.x) == ("ratio", 1)
    # Two iterations and no more, also after a restart in between.
    other = RatioWatch(GradientRatio(iterations=2))
    other.load_state_dict(watch.state_dict())
    assert [r.x for r in other.before_update(snapshot, batch, torch.Generator())] == [2]
    assert list(other.before_update(snapshot, batch, torch.Generator())) == []


def test_the_cosine_of_vectors():
    a = torch.tensor([3.0, 4.0])
    assert cosine(a, 2 * a) == pytest.approx(1)
    assert cosine(a, -a) == pytest.approx(-1)
    assert cosine(a, torch.tensor([4.0, -3.0])) == pytest.approx(0, abs=1e-12)
    assert cosine(a, torch.tensor([0.0, 2.0])) == pytest.approx(0.8)
    assert math.isnan(cosine(a, torch.zeros(2)))


def test_the_cosine_between_epochs_survives_a_restart(tiny):
    trainer = Trainer(tiny())
    watch, section = CosineWatch(GradientCosine(samples=20)), GradientCosine(samples=20)
    grads = []
    for epoch in range(3):
        rows = list(watch.after_epoch(trainer.snapshot(), torch.Generator().manual_seed(epoch)))
        snapshot = trainer.snapshot()
        batches = measured_batches(snapshot, measured_places(snapshot, 20))
        chance = torch.Generator().manual_seed(epoch)
        parts = [attack_batch(snapshot, batch, chance) for batch in batches]
        grads.append(mean_gradient(snapshot.network, adversarial_ce, parts))
        expected = [] if epoch == 0 else [pytest.approx(cosine(grads[-2], grads[-1]), abs=1e-6)]
        assert [row.value for row in rows] == expected
        state = watch.state_dict()
        watch = CosineWatch(section)
        watch.load_state_dict(state)
        trainer.run_epoch()
