"""PGD that drops fallen examples finds what a run that goes on finds at some iterate."""

from dataclasses import replace

import pytest
import torch

from tune_at.attacks.pgd import PGD, pgd
from tune_at.engine.modes import evaluating
from tune_at.errors import UserError

SPECS = [
    PGD(eps, eps / 8, 40, norm=norm, loss=loss) for norm, eps in (("linf", 0.06), ("l2", 0.6)) for loss in ("ce", "cw")
]


def seeded():
    return torch.Generator().manual_seed(3)


def first_that_fools(model, x, y, spec):
    """One example at a time, checked after every step: the definition, without any batch."""
    starts = spec.ball.uniform(x, seeded())
    found = []
    with evaluating(model):
        for image, start, label in zip(x.split(1), starts.split(1), y.split(1), strict=True):
            points = [image, start]
            for _ in range(spec.steps):
                one = replace(spec, steps=1, start="zero")
                # A single step from the newest point, projected around the image.
                moved = points[-1].clone().requires_grad_()
                logits = model(moved)
                loss = (
                    torch.nn.functional.cross_entropy(logits, label)
                    if spec.loss == "ce"
                    else logits.masked_fill(torch.nn.functional.one_hot(label, 10).bool(), -1e9).amax()
                    - logits[0, label]
                ).sum()
                (gradient,) = torch.autograd.grad(loss, moved)
                points.append(one.ball.project(moved.detach() + one.ball.ascend(gradient, spec.step), image))
            with torch.no_grad():
                wrong = [point for point in points if model(point).argmax(1) != label]
            found.append(wrong[0] if wrong else points[-1])
    return torch.cat(found)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.norm}-{spec.loss}")
@pytest.mark.parametrize("size", [7, 24])
def test_the_first_point_that_fools_or_else_the_last_iterate(spec, size, trained):
    model, x, y = trained(24)
    found = pgd(model, x, y, replace(spec, keep_attacking=False), seeded(), size)
    expected = first_that_fools(model, x, y, spec)
    with evaluating(model), torch.no_grad():
        outcomes = model(found).argmax(1) == y
        assert torch.equal(outcomes, model(expected).argmax(1) == y)
        assert 0 < outcomes.sum() < 24
    # Another batch rounds differently, and a sign flips where a gradient is nearly zero.
    apart = (found - expected).flatten(1).norm(dim=1)
    assert (apart < 1e-4).float().mean() > 0.8


def test_it_is_never_weaker_than_the_last_iterate_and_needs_fewer_passes(trained):
    model, x, y = trained(48)
    spec = PGD(0.08, 0.02, 100)
    passed = []
    hook = model.register_forward_hook(lambda module, images, logits: passed.append(len(logits)))
    accuracy, images = {}, {}
    for keep in (True, False):
        passed.clear()
        found = pgd(model, x, y, replace(spec, keep_attacking=keep), seeded(), 16)
        images[keep] = sum(passed)
        with evaluating(model), torch.no_grad():
            accuracy[keep] = (model(found).argmax(1) == y).float().mean()
    hook.remove()
    assert images[True] == 4800
    assert accuracy[False] <= accuracy[True]
    assert images[False] < (accuracy[True] + 0.15) * 4800


def test_restarts_are_for_those_that_stand(trained):
    model, x, y = trained(48)
    spec = PGD(0.06, 0.01, 10, keep_attacking=False)
    once, more = (pgd(model, x, y, replace(spec, restarts=count), seeded()) for count in (1, 4))
    with evaluating(model), torch.no_grad():
        first, last = (model(found).argmax(1) == y for found in (once, more))
    assert torch.equal(more[~first], once[~first])
    assert last.sum() <= first.sum()


def test_a_loss_that_knows_no_label_cannot_tell_what_has_fallen():
    with pytest.raises(UserError, match="loss kl does not tell when an example has fallen"):
        PGD(0.1, 0.01, 10, loss="kl", keep_attacking=False)
