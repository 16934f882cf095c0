import math

import pytest
import torch
from torch import nn

from tune_at.attacks.pgd import PGD
from tune_at.data.batches import Batch
from tune_at.evaluation.outcomes import evaluate


def test_outcomes_against_a_linear_model_worked_out_by_hand():
    """Two pixels, logits (8x0, 8x1). An l-inf attack of eps moves the margin 8(x_y - x_other) by exactly 16 eps."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(8 * torch.eye(2))
    x = torch.tensor([[0.6, 0.4], [0.8, 0.2], [0.3, 0.7]]).reshape(3, 1, 1, 2)
    y = torch.tensor([0, 0, 0])
    batches = [Batch(torch.arange(2), x[:2], y[:2]), Batch(torch.tensor([2]), x[2:], y[2:])]
    found = evaluate(model, batches, PGD(0.15, 0.05, 10), torch.Generator().manual_seed(0))
    assert found.natural_correct.tolist() == [True, True, False]
    assert found.robust_correct.tolist() == [False, True, False]
    margins = torch.tensor([1.6, 4.8, -3.2])
    assert found.natural_loss.tolist() == pytest.approx(torch.log1p(torch.exp(-margins)).tolist(), rel=1e-5)
    assert found.robust_loss.tolist() == pytest.approx(torch.log1p(torch.exp(2.4 - margins)).tolist(), rel=1e-5)
    means = found.means()
    assert means["natural_accuracy"] == pytest.approx(2 / 3)
    assert means["robust_accuracy"] == pytest.approx(1 / 3)


def test_modes_are_left_as_they_were():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 2)).train()
    batch = Batch(torch.arange(3), torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.long))
    first, second = (evaluate(model, [batch], PGD(0.1, 0.05, 2), torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first.robust_loss, second.robust_loss)  # no dropout in it
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("keep_attacking", [True, False])
def test_logits_that_are_nan_are_wrong_for_every_class_and_their_loss_stays_nan(keep_attacking):
    class Undefined(nn.Module):
        def forward(self, x):
            logits = torch.tensor([[2.0, 1.0, 0.0]]) + 0 * x.flatten(1).sum(1, keepdim=True)
            return torch.where(x.flatten(1)[:, :1] > 0.5, float("nan"), logits)

    x = torch.tensor([0.1, 0.1, 0.9, 0.9, 0.45]).view(5, 1, 1, 1)
    y = torch.tensor([0, 1, 0, 1, 0])
    spec = PGD(0.1, 0.1, 1, start="zero", keep_attacking=keep_attacking)
    outcomes = evaluate(Undefined(), [Batch(torch.arange(5), x, y)], spec, torch.Generator().manual_seed(0))
    assert outcomes.natural_correct.tolist() == [True, False, False, False, True]
    assert outcomes.robust_correct.tolist() == [True, False, False, False, True]
    assert outcomes.natural_loss.isnan().tolist() == [False, False, True, True, False]
    assert outcomes.means()["natural_accuracy"] == pytest.approx(2 / 5)
    assert math.isnan(outcomes.means()["robust_loss"])
