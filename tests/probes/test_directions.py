"""Filter-normalised directions, by hand."""

import copy

import torch
from torch import nn

from tune_at.probes.directions import filter_normalised_direction, move_along


def network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))
    net[0].weight.data[1] *= 100
    net[0].weight.data[2] = 0
    return net


def test_each_filter_is_as_long_as_the_weights_and_points_where_it_was_drawn():
    net = network()
    d = filter_normalised_direction(net, torch.Generator().manual_seed(3))
    assert d.keys() == dict(net.named_parameters()).keys()
    rng = torch.Generator().manual_seed(3)
    for name in ("0.weight", "3.weight"):
        weight, drawn = net.get_parameter(name), torch.randn(net.get_parameter(name).shape, generator=rng)
        for i in range(len(weight)):
            expected = drawn[i].double() / drawn[i].double().norm() * weight[i].double().norm()
            torch.testing.assert_close(d[name][i].double(), expected, rtol=1e-5, atol=1e-7)
    for name in ("0.bias", "1.weight", "1.bias", "3.bias"):
        assert not d[name].any() and d[name].shape == net.get_parameter(name).shape


def test_a_direction_follows_from_its_generator_alone():
    net, rng = network(), torch.Generator().manual_seed(0)
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    first, second = (filter_normalised_direction(net, rng) for _ in range(2))
    again = filter_normalised_direction(net, torch.Generator().manual_seed(0))
    assert torch.equal(first["3.weight"], again["3.weight"]) and not torch.equal(first["3.weight"], second["3.weight"])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_a_copy_is_moved_and_brought_back():
    net = network()
    moved = copy.deepcopy(net)
    d, weights = filter_normalised_direction(net, torch.Generator()), dict(net.named_parameters())
    move_along(moved, weights, d, -0.5)
    torch.testing.assert_close(moved[3].weight, net[3].weight - 0.5 * d["3.weight"])
    assert torch.equal(moved[1].weight, net[1].weight)
    move_along(moved, weights, d, 0)
    assert torch.equal(moved[3].weight, net[3].weight)
