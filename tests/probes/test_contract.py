"""What every probe keeps, by the registry: it measures, gives the same again, and changes nothing."""

import copy
import math

import pytest
import torch

from tune_at.config.probes import PROBES, parse_probes
from tune_at.probes.base import Measurement, SampleRow, Watch
from tune_at.training.trainer import Trainer

CHEAP = {"samples": 12, "points": 3, "directions": 2, "distances": (0.1,), "iterations": 3, "steps": 2}


def section_of(name, **fields):
    known = PROBES[name].config.model_fields
    return parse_probes([{"name": name, **{key: v for key, v in (CHEAP | fields).items() if key in known}}], "x")[0]


def sections(objective):
    return {name: section_of(name) for name in PROBES if not (objective == "standard" and name == "gradient_ratio")}


def measure(name, section, trainer):
    """All that a probe has to say of a trainer, in one go."""
    of = PROBES[name].load()
    chance = torch.Generator().manual_seed(5)
    snapshot = trainer.snapshot()
    if not isinstance(of, type):
        return list(of(snapshot, section, chance))
    watch: Watch = of(section)
    batch = trainer.data["train"].take(torch.arange(24))
    rows = list(watch.before_update(snapshot, batch, chance))
    for _ in range(2):
        rows += watch.after_epoch(snapshot, chance)
    return rows


@pytest.mark.parametrize("objective", ["pgd_at", "trades", "standard", "co_teaching"])
@pytest.mark.parametrize("name", PROBES)
def test_a_probe_changes_nothing_and_measures_the_same_again(name, objective, tiny):
    section = sections(objective).get(name)
    if section is None:
        pytest.skip("not defined for standard training")
    trainer = Trainer(tiny(objective, data={"noise_rate": 0.5}))
    trainer.run_epoch()
    model = trainer.model
    model.train()
    next(model.modules()).frozen = True
    modes = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    wants = [p.requires_grad for p in model.parameters()]
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second = (measure(name, section, trainer) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == wants
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        assert (parameter.grad is None) == (grad is None)
        assert grad is None or torch.equal(parameter.grad, grad)
    assert first
    assert all(isinstance(row, Measurement | SampleRow) for row in first)
    assert [same(row) for row in first] == [same(row) for row in second]
    keys = [(row.quantity, row.x) for row in first if isinstance(row, Measurement)]
    assert len(keys) == len(set(keys)), "two rows of a quantity stand at one place"


def same(row):
    """A row in which NaN equals NaN."""
    return tuple("nan" if isinstance(value, float) and math.isnan(value) else value for value in row)


@pytest.mark.parametrize("name", PROBES)
def test_a_network_that_has_diverged_is_measured_as_nan_and_no_error(name, tiny):
    trainer = Trainer(tiny("pgd_at", data={"noise_rate": 0.5}))
    with torch.no_grad():
        trainer.model.classifier.weight.fill_(float("nan"))
    rows = measure(name, section_of(name), trainer)
    assert any(math.isnan(row.value if isinstance(row, Measurement) else row.robust_loss) for row in rows)


@pytest.mark.parametrize("name", [name for name in PROBES if name not in ("group_gradient_norms", "gradient_ratio")])
def test_all_samples_are_as_many_as_there_are(name, tiny):
    config = tiny("pgd_at", data={"noise_rate": 0.5})
    (broken,) = section_of(name, samples=65).rules(config)
    assert (broken.problem, broken.remedy) == ("65 is more than the 64 training images", "lower it, or say all")
    results = []
    for samples in (64, "all"):
        section = section_of(name, samples=samples)
        assert not list(section.rules(config))
        results.append([same(row) for row in measure(name, section, Trainer(config))])
    assert results[0] == results[1]
