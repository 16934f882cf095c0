"""Each loss against values worked out by hand in float64, and its gradient against finite differences."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.attack import AttackSection
from tune_at.config.objective import OBJECTIVES
from tune_at.errors import UserError
from tune_at.objectives.base import Step

ATTACK = AttackSection(eps=0.1, step=0.05, steps=4)


def build(name, attack=ATTACK, **fields):
    entry = OBJECTIVES[name]
    objective = entry.load()(entry.config(**fields), attack, 6, 3)
    objective.teachers = {role: softmax_regression(9 + i).eval() for i, role in enumerate(objective.config.teachers())}
    return objective


def step_of(model, x, y, seed=0, epoch=1):
    return Step(model, model, x, y, torch.arange(len(y)), epoch, 10, torch.Generator().manual_seed(seed))


def softmax_regression(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double()


def batch():
    torch.manual_seed(1)
    return torch.rand(6, 1, 2, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 1, 0])


def by_hand(logits, y):
    """Mean of log Σ exp z - z_y, with plain Python numbers."""
    rows = logits.tolist()
    return sum(math.log(sum(map(math.exp, z))) - z[label] for z, label in zip(rows, y.tolist(), strict=True)) / len(y)


def kl_by_hand(p_logits, q_logits):
    total = 0.0
    for p, q in zip(p_logits.softmax(1).tolist(), q_logits.softmax(1).tolist(), strict=True):
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / len(p_logits)


def test_standard_is_the_clean_cross_entropy():
    model, (x, y) = softmax_regression(), batch()
    loss, scalars = build("standard").loss(step_of(model, x, y))
    assert loss.item() == pytest.approx(by_hand(model(x), y), rel=1e-12)
    assert scalars["natural_accuracy"] == (model(x).argmax(1) == y).float().mean()


def test_pgd_at_is_the_cross_entropy_at_the_attacked_point():
    model, (x, y) = softmax_regression(), batch()
    loss, _ = build("pgd_at").loss(step_of(model, x, y, seed=3))
    x_adv = pgd(model, x, y, PGD.of(ATTACK), torch.Generator().manual_seed(3))
    assert loss.item() == pytest.approx(by_hand(model(x_adv), y), rel=1e-12)
    assert loss.item() > by_hand(model(x), y)


def test_trades_adds_beta_times_kl_from_clean_to_attacked():
    model, (x, y) = softmax_regression(), batch()
    loss, scalars = build("trades", beta=6.0).loss(step_of(model, x, y, seed=3))
    x_adv = pgd(model, x, y, PGD.of(ATTACK, "kl"), torch.Generator().manual_seed(3))
    kl = kl_by_hand(model(x), model(x_adv))
    assert scalars["kl"].item() == pytest.approx(kl, rel=1e-9)
    assert kl > 1e-4
    assert loss.item() == pytest.approx(by_hand(model(x), y) + 6 * kl, rel=1e-9)


def test_trades_with_beta_zero_is_cross_entropy():
    model, (x, y) = softmax_regression(), batch()
    loss, _ = build("trades", beta=0).loss(step_of(model, x, y))
    assert loss.item() == pytest.approx(by_hand(model(x), y), rel=1e-12)


def test_pgd_at_with_eps_zero_is_standard_training():
    model, (x, y) = softmax_regression(), batch()
    at, _ = build("pgd_at", AttackSection(eps=0, step=0.1, steps=2)).loss(step_of(model, x, y))
    assert at.item() == build("standard").loss(step_of(model, x, y))[0].item()


# Every objective, and where it has them the stages of a run in which it does something else.
STAGES = [
    *((name, 1, {}) for name in OBJECTIVES),
    ("mixed_pgd_at", 4, {}),
    ("mixed_pgd_at", 10, {}),
    ("pgd_at_te", 6, {}),
    ("pgd_at_te", 9, {}),
    ("trades_te", 6, {}),
    ("trades_te", 9, {"penalise": "adversarial"}),
    ("sat", 9, {}),
    ("sat", 1, {"form": "trades"}),
    ("sat", 9, {"form": "trades"}),
    ("co_teaching", 10, {"forget_rate": 0.5, "warmup": 2}),
]


@pytest.mark.parametrize(("name", "epoch", "fields"), STAGES)
def test_gradient_equals_finite_differences(name, epoch, fields):
    """Small moves of the weights leave the sign-gradient attack's corner where it is, so the loss is smooth there.

    TRADES starts at x + 0.001 N(0, 1), where the KL has its minimum and the signs are decided by the start: the
    seed is fixed, so the attack is a fixed function of the weights. What an objective remembers is put back before each
    evaluation, and its soft targets are held fixed, as they are in the gradient.
    """
    objective = build(name, **fields)
    x, y = batch()
    model = objective.networks(softmax_regression)
    loss_of = frozen_loss(objective, model, x, y, epoch)
    loss = loss_of()
    loss.backward()
    for parameter in model.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(len(flat)):
            values = []
            for sign in (1, -1):
                flat[i] += sign * 1e-6
                values.append(loss_of().item())
                flat[i] -= sign * 1e-6
            assert gradient[i].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-7)


def frozen_loss(objective, model, x, y, epoch):
    """The loss as a function of the weights alone: the memory's new targets are taken once."""
    step = lambda: step_of(model, x, y, epoch=epoch)
    objective.loss(step())
    if hasattr(objective, "p") and objective.p.any():
        fixed = objective.targets(step(), objective.config.momentum)
        objective.targets = lambda step, momentum: fixed
    if hasattr(objective, "soft_targets"):
        fixed = objective.soft_targets(step(), model(x).detach().softmax(1))
        objective.soft_targets = lambda step, predicted: fixed
    return lambda: objective.loss(step())[0]


def test_the_kl_target_is_not_detached():
    """With x' fixed, d/dθ KL(f(x) ‖ f(x')) through both arguments differs from the one through f(x') alone."""
    model, (x, y) = softmax_regression(), batch()
    full, _ = build("trades", beta=1e6).loss(step_of(model, x, y))
    (ours,) = torch.autograd.grad(full, model[1].weight)
    x_adv = pgd(model, x, y, PGD.of(ATTACK, "kl"), torch.Generator().manual_seed(0))
    log_q, log_p = model(x_adv).log_softmax(1), model(x).log_softmax(1)
    detached = nn.functional.kl_div(log_q, log_p.detach(), log_target=True, reduction="batchmean")
    (other,) = torch.autograd.grad(1e6 * detached, model[1].weight)
    assert (ours - other).norm() > 0.1 * other.norm()


@pytest.mark.parametrize(("name", "epoch", "fields"), STAGES)
def test_saturated_logits_give_finite_gradients(name, epoch, fields):
    objective, (x, y) = build(name, **fields), batch()
    model = objective.networks(softmax_regression).float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e4)
    for teacher in objective.teachers.values():
        teacher.float()
    loss, _ = objective.loss(step_of(model, x.float(), y, epoch=epoch))
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def value(name, model, epoch=1, attack=ATTACK, seed=0, **fields):
    x, y = batch()
    return build(name, attack, **fields).loss(step_of(model, x, y, seed=seed, epoch=epoch))[0].item()


def test_mixed_pgd_at_is_standard_training_first_and_pgd_at_last():
    model = softmax_regression()
    assert value("mixed_pgd_at", model, epoch=1) == pytest.approx(value("standard", model), rel=1e-12)
    assert value("mixed_pgd_at", model, epoch=10) == pytest.approx(value("pgd_at", model), rel=1e-12)
    third = (1 - 3 / 9) * value("standard", model) + 3 / 9 * value("pgd_at", model)
    assert value("mixed_pgd_at", model, epoch=4) == pytest.approx(third, rel=1e-12)
    config = OBJECTIVES["mixed_pgd_at"].config(ramp_end=0.5)
    assert [config.gamma_at(e, 9) for e in (1, 2, 4, 9)] == pytest.approx([0, 1 / 3, 1, 1])


@pytest.mark.parametrize("name", ["pgd_at_te", "trades_te", "sat"])
def test_a_method_that_remembers_samples_needs_their_places(name):
    x, y = batch()
    step = replace(step_of(softmax_regression(), x, y, epoch=9), index=None)
    with pytest.raises(UserError, match=r"step\.index: is missing"):
        build(name).loss(step)


def test_the_ramp_up_of_temporal_ensembling():
    config = OBJECTIVES["pgd_at_te"].config()
    values = [config.weight_at(epoch, 200) for epoch in (1, 89, 90, 105, 120, 149, 150, 200)]
    expected = [0, 0, 30 * math.exp(-5), 30 * math.exp(-5 * 0.75**2), 30 * math.exp(-1.25),
                30 * math.exp(-5 / 3600), 30, 30]  # fmt: skip
    assert values == pytest.approx(expected, rel=1e-12)
    assert [config.weight_at(epoch, 20) > 0 for epoch in (8, 9)] == [False, True]
    assert config.weight_at(15, 20) == 30


@pytest.mark.parametrize(("name", "plain"), [("pgd_at_te", "pgd_at"), ("trades_te", "trades")])
def test_without_weight_or_before_its_start_temporal_ensembling_is_absent(name, plain):
    model = softmax_regression()
    for epoch, fields in ((9, {"weight": 0}), (1, {}), (3, {})):
        ours, theirs = value(name, model, epoch=epoch, **fields), value(plain, model, epoch=epoch)
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_the_first_target_is_the_current_prediction_and_later_ones_the_normalised_average():
    model, (x, y) = softmax_regression(), batch()
    objective = build("pgd_at_te")
    first = model(x).softmax(1)
    assert torch.allclose(objective.targets(step_of(model, x, y, epoch=5), 0.9), first, atol=1e-6)
    with torch.no_grad():
        model[1].weight.add_(1.0).mul_(torch.tensor([[1.0], [2.0], [-1.0]]))
    second = model(x).softmax(1)
    # p1 = 0.1 f1, p2 = 0.09 f1 + 0.1 f2, whose sum over classes is 0.19.
    found = objective.targets(step_of(model, x, y, epoch=6), 0.9)
    assert torch.allclose(found, (0.09 * first + 0.1 * second) / 0.19, atol=1e-6)


def test_te_adds_the_squared_distance_summed_over_classes():
    """With eps 0, x' = x, and at the first visit p̂ = f(x): no penalty; against another p̂ it is Σ_k (f - p̂)²."""
    model, (x, y) = softmax_regression(), batch()
    still = AttackSection(eps=0, step=0.1, steps=1)
    for name, plain in (("pgd_at_te", "standard"), ("trades_te", "standard")):
        objective = build(name, still)
        loss, _ = objective.loss(step_of(model, x, y, epoch=9))
        assert loss.item() == pytest.approx(value(plain, model), abs=1e-6)
        uniform = torch.full((6, 3), 1 / 3, dtype=torch.float64)
        objective.targets = lambda step, momentum, uniform=uniform: uniform
        loss, _ = objective.loss(step_of(model, x, y, epoch=9))
        penalty = sum(sum((f - 1 / 3) ** 2 for f in row) for row in model(x).softmax(1).tolist()) / 6
        assert loss.item() == pytest.approx(value(plain, model) + 30 * penalty, rel=1e-6)


def test_label_smoothing_is_in_the_outer_loss_alone():
    model, (x, y) = softmax_regression(), batch()
    x_adv = pgd(model, x, y, PGD.of(ATTACK), torch.Generator().manual_seed(0))  # hard labels
    log_f = model(x_adv).log_softmax(1).tolist()
    by_class = [[0.8 * (k == label) + 0.2 / 3 for k in range(3)] for label in y.tolist()]
    expected = -sum(t * v for ts, vs in zip(by_class, log_f, strict=True) for t, v in zip(ts, vs, strict=True)) / 6
    assert value("pgd_at_ls", model) == pytest.approx(expected, rel=1e-12)
    assert value("pgd_at_ls", model, smoothing=0) == pytest.approx(value("pgd_at", model), rel=1e-12)


def test_sat_before_its_start_is_pgd_at_or_trades():
    model = softmax_regression()
    assert value("sat", model) == pytest.approx(value("pgd_at", model), rel=1e-12)
    assert value("sat", model, form="trades") == pytest.approx(value("trades", model), rel=1e-12)


def test_sat_moves_targets_and_weighs_samples_by_their_largest_entry():
    model, (x, y) = softmax_regression(), batch()
    still = AttackSection(eps=0, step=0.1, steps=1)
    objective = build("sat", still)
    f, one_hot = model(x).detach().softmax(1), torch.eye(3, dtype=torch.float64)[y]
    t = one_hot
    for _ in range(2):
        t = 0.9 * t + 0.1 * f
        loss, _ = objective.loss(step_of(model, x, y, epoch=4))
        weight = t.amax(1)
        expected = -(weight * (t * f.log()).sum(1)).sum() / weight.sum()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert torch.allclose(objective.targets.double(), t, atol=1e-6)


def test_co_teaching_trains_each_network_on_what_the_other_finds_easy():
    x, y = batch()
    still = AttackSection(eps=0, step=0.1, steps=1)
    objective = build("co_teaching", still, forget_rate=0.5, warmup=2, delay=1)
    seeds = iter((0, 7))
    pair = objective.networks(lambda: softmax_regression(next(seeds)))
    first, second = (nn.functional.cross_entropy(n(x), y, reduction="none") for n in (pair.first, pair.second))
    for epoch, kept in ((1, 6), (2, 4), (3, 3), (9, 3)):
        loss, scalars = objective.loss(step_of(pair, x, y, epoch=epoch))
        easy_for_first, easy_for_second = first.argsort()[:kept], second.argsort()[:kept]
        expected = first[easy_for_second].mean() + second[easy_for_first].mean()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
        assert scalars["kept"].item() == pytest.approx(kept / 6)
    assert set(first.argsort()[:3].tolist()) != set(second.argsort()[:3].tolist())


def test_fgsm_and_fast_at_take_one_step():
    model, (x, y) = softmax_regression(), batch()
    fgsm = pgd(model, x, y, PGD(0.1, 0.1, 1, start="zero"), torch.Generator())
    assert value("fgsm_at", model) == pytest.approx(by_hand(model(fgsm), y), rel=1e-12)
    fast = pgd(model, x, y, PGD(0.1, 0.07, 1), torch.Generator().manual_seed(0))
    assert value("fast_at", model, step=0.07) == pytest.approx(by_hand(model(fast), y), rel=1e-12)
    assert (fast - x).abs().max() <= 0.1 + 1e-12


def test_kd_swa_is_the_weighted_sum_of_ce_and_two_distances():
    model, (x, y) = softmax_regression(), batch()
    objective = build("kd_swa")
    loss, _ = objective.loss(step_of(model, x, y))
    x_adv = pgd(model, x, y, PGD.of(ATTACK), torch.Generator().manual_seed(0))
    student = (model(x_adv) / 2).log_softmax(1).tolist()
    expected = 0.3 * by_hand(model(x_adv), y)
    for role, weight in (("standard", 0.1), ("robust", 0.6)):
        taught = (objective.teachers[role](x_adv) / 2).softmax(1).tolist()
        soft = -sum(t * s for ts, ss in zip(taught, student, strict=True) for t, s in zip(ts, ss, strict=True)) / 6
        expected += weight * 4 * soft
    assert loss.item() == pytest.approx(expected, rel=1e-12)
