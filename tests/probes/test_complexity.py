"""Margins and norm-based measures by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tune_at.data.batches import Batch
from tune_at.probes.complexity import log_over_margin, log_product, low_margin, margins


def test_margins_are_of_the_labels_that_are_trained_on():
    network = nn.Flatten().train()
    logits = torch.tensor([[3.0, 1, 2], [0, 5, 5], [-1, -4, -2]])
    x, index = logits.view(3, 3, 1, 1), torch.arange(3)
    found = margins(
        network, [Batch(index[:2], x[:2], torch.tensor([0, 1])), Batch(index[2:], x[2:], torch.tensor([1]))]
    )
    assert found.tolist() == [1, 0, -3] and network.training


def test_the_low_margin_is_numpys_percentile():
    values = torch.randn(37, generator=torch.Generator().manual_seed(0))
    for percentile in (0, 10, 33.3, 100):
        expected = np.percentile(values.double().numpy(), percentile)
        assert low_margin(values, percentile) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(low_margin(torch.tensor([1.0, float("nan"), 2.0]), 10))


@pytest.mark.parametrize("margin", [0.0, -2.0, float("nan")])
def test_a_margin_that_is_not_positive_gives_nan_never_its_absolute_value(margin):
    assert math.isnan(log_over_margin(3.0, margin))


def test_a_product_of_norms_is_taken_as_a_sum_of_logarithms():
    assert log_product([1e200] * 5) == pytest.approx(1000 * math.log(10))
    assert log_over_margin(log_product([2.0, 3, 4]), 0.5) == pytest.approx(math.log(48))
    assert log_product([2.0, 0, 4]) == -math.inf
