"""Square Attack in l2 is the package's where the package runs, and runs where the package does not."""

import math

import pytest
import torch
from pyautoattack.square import SquareAttack
from torch import nn

from tune_at.attacks import square


def radius(shape):
    """A tenth a pixel, in root mean square."""
    return 0.1 * math.prod(shape) ** 0.5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def network(channels, height, width):
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * height * width, 5)]
    return nn.Sequential(*layers)


def run(shape, of):
    model = network(*shape)
    x = torch.rand(12, *shape, generator=seeded())
    with torch.no_grad():
        y = model(x).argmax(1)
    attack = of(SquareAttack(model, norm="L2", eps=radius(shape), n_queries=150, seed=3, device=x.device))
    with torch.random.fork_rng():
        found = attack.perturb(x, y)
    with torch.no_grad():
        return x, found, model(found).argmax(1) != y


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 9, 9), (3, 10, 10), (1, 16, 16), (1, 28, 28), (3, 32, 32)])
def test_it_is_the_packages_on_the_squares_that_the_package_takes(shape):
    _, theirs, beaten = run(shape, lambda attack: attack)
    _, ours, _ = run(shape, square.for_any_shape)
    assert torch.equal(ours, theirs)
    assert beaten.any()


@pytest.mark.parametrize(
    "shape",
    [(1, 14, 16), (3, 12, 20), (1, 20, 12), (1, 8, 30), (3, 24, 24), (1, 12, 12), (1, 4, 4), (1, 1, 9), (2, 2, 2)],
)
def test_any_shape_is_attacked_within_the_ball(shape):
    x, found, beaten = run(shape, square.for_any_shape)
    assert (found - x).flatten(1).norm(dim=1).max() <= radius(shape) * (1 + 1e-5)
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(found[~beaten], x[~beaten])


@pytest.mark.parametrize("shape", [(3, 24, 24), (1, 14, 16)])
def test_the_package_itself_does_not_take_these(shape):
    """If this fails, the package has mended it, and `square.py` can go."""
    with pytest.raises(RuntimeError):
        run(shape, lambda attack: attack)


def test_tiles_cover_most_of_the_image_whichever_side_is_longer():
    for shape in ((1, 14, 30), (1, 30, 14)):
        attack = SquareAttack(None, norm="L2", eps=1, device="cpu")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            delta = square.tiles(attack, torch.zeros(2, *shape))
        covered = (delta != 0).float().mean()
        assert covered > 0.7
