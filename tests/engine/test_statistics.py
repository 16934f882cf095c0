"""Batch-norm statistics against dense float64 references."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from tune_at.engine.statistics import estimate_statistics


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 2),
        nn.BatchNorm2d(4, momentum=None),
        nn.Flatten(),
        nn.BatchNorm1d(4 * 3 * 3, affine=False),
    )


def data(n=514):
    """Images sorted by class: four classes whose means differ by much more than the images of each."""
    torch.manual_seed(1)
    offsets = torch.linspace(-3, 3, 4).repeat_interleave(-(-n // 4))[:n]
    return torch.rand(n, 2, 6, 6) + offsets.view(-1, 1, 1, 1)


def dense(values):
    """Mean and unbiased variance of each channel over everything, in float64."""
    rows = values.double().transpose(0, 1).flatten(1)
    return rows.mean(1), rows.var(1)


@pytest.mark.parametrize("sizes", [[514], [512, 2], [128] * 4 + [2], [513, 1], [1] + [27] * 19, [257, 257]])
@pytest.mark.parametrize("ordered", [True, False])
def test_the_first_batch_norm_has_the_exact_statistics_however_the_images_are_cut(sizes, ordered):
    model, x = network(), data()
    x = x if ordered else x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    estimate_statistics(model, iter(x.split(sizes)))
    with torch.no_grad():
        mean, variance = dense(copy.deepcopy(model[0]).double()(x.double()))
    assert torch.allclose(model[1].running_mean.double(), mean, rtol=1e-5, atol=1e-6)
    assert torch.allclose(model[1].running_var.double(), variance, rtol=1e-5)
    assert variance.max() > 0.5  # most of it between the classes


def test_of_a_single_batch_every_statistic_is_that_of_a_pass_in_training():
    ours, theirs, x = network(), network(), data()
    estimate_statistics(ours, [x])
    update_bn([x], theirs)
    with torch.no_grad():
        values = theirs.double().train()[0](x.double())
        for place in (1, 4, 6):
            mean, variance = dense(values)
            assert torch.allclose(ours[place].running_mean.double(), mean, rtol=1e-4, atol=1e-6)
            assert torch.allclose(ours[place].running_var.double(), variance, rtol=1e-4)
            values = theirs[place](values)
            for layer in theirs[place + 1 : {1: 4, 4: 6, 6: 6}[place]]:
                values = layer(values)


def test_shuffled_batches_come_near_to_that_in_deeper_layers():
    whole, cut, x = network(), network(), data()
    estimate_statistics(whole, [x])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    estimate_statistics(cut, x[order].tensor_split(4))
    for place in (1, 4, 6):
        assert torch.allclose(cut[place].running_var, whole[place].running_var, rtol=0.1)
        assert torch.allclose(cut[place].running_mean, whole[place].running_mean, atol=0.05)


def test_a_last_image_of_its_own_needs_no_variance():
    model = nn.Sequential(nn.Conv2d(2, 3, 6), nn.BatchNorm2d(3))  # one value a channel
    x = data(9)
    estimate_statistics(model, x.split(4))
    with torch.no_grad():
        mean, variance = dense(model[0](x))
    assert torch.allclose(model[1].running_mean.double(), mean, atol=1e-6)
    assert torch.allclose(model[1].running_var.double(), variance, rtol=1e-4)


def test_modes_momenta_weights_and_dropout_are_left_alone():
    model = nn.Sequential(nn.Dropout(), network())
    model[1][1].eval()
    modes = [module.training for module in model.modules()]
    momenta = [m.momentum for m in model.modules() if hasattr(m, "momentum")]
    weights = [parameter.clone() for parameter in model.parameters()]
    x, state = data(), torch.get_rng_state()
    for statistics in (model[1][1].running_mean, model[1][1].running_var):
        statistics.fill_(float("nan"))  # what was there before counts for nothing
    estimate_statistics(model, x.split(100))
    assert torch.isfinite(model[1][1].running_var).all()
    assert [module.training for module in model.modules()] == modes
    assert [m.momentum for m in model.modules() if hasattr(m, "momentum")] == momenta
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in model.modules())
    without = network()
    estimate_statistics(without, x.split(100))
    assert torch.equal(without[1].running_var, model[1][1].running_var)


def test_a_network_without_batch_norms_is_not_run():
    def images():
        raise AssertionError("nobody needs them")
        yield

    estimate_statistics(nn.Flatten(), images())
