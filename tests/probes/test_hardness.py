"""Losses of each example, against one that is attacked by hand."""

import torch
from torch import nn
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD
from tune_at.data.batches import Batch
from tune_at.probes.hardness import hardness


def test_each_examples_loss_is_at_the_worst_corner_of_its_ball():
    # A linear network of two classes is attacked best, and by one step, at x + eps · sign(w_other - w_label).
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 2)).train()
    x, y = 0.2 + 0.6 * torch.rand(7, 1, 3, 3), torch.tensor([0, 1, 0, 1, 1, 0, 0])
    index = torch.tensor([4, 9, 2, 0, 1, 3, 8])
    batches = [Batch(index[:4], x[:4], y[:4]), Batch(index[4:], x[4:], y[4:])]
    found = hardness(network, batches, PGD(0.1, 0.2, 2), torch.Generator().manual_seed(0), network)
    weight = network[1].weight.detach()
    push = (weight.flip(0) - weight)[y].sign().view_as(x)
    with torch.no_grad():
        for logits, loss, prediction in (
            (network(x), found.natural_loss, found.natural_prediction),
            (network(x + 0.1 * push), found.robust_loss, found.robust_prediction),
        ):
            torch.testing.assert_close(loss, F.cross_entropy(logits, y, reduction="none"))
            assert torch.equal(prediction, logits.argmax(1))
    assert torch.equal(found.example, index) and torch.equal(found.trained_label, y)
    assert network.training and (found.robust_loss > found.natural_loss).all()
