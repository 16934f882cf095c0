"""Probes in a study: what is read, what is refused, and that no trial's config knows of them."""

import pytest

from tune_at.config.probes import PROBES, parse_probes
from tune_at.errors import UserError
from tune_at.study.study import Study

STUDY = """\
title: x
base: {data: {name: digits, subset: 64, validation: 0.05, noise_rate: 0.5}, train: {epochs: 4, batch_size: 24}}
axes: {objective: [pgd_at, trades]}
probes: [{name: gradient_norms, every: 5, samples: 20}, gradient_ratio]
presets: {other: {probes: [gradient_ratio]}, fewer: {probes.gradient_norms.samples: 7}}
"""


def test_a_name_is_a_section_and_a_section_has_its_fields(resolve):
    study = resolve(STUDY)
    assert [probe.name for probe in study.probes] == ["gradient_norms", "gradient_ratio"]
    assert (study.probes[0].every, study.probes[0].samples, study.probes[1].iterations) == (5, 20, 1000)
    assert resolve(STUDY, "fewer").probes[0].samples == 7
    assert [probe.name for probe in resolve(STUDY, "other").probes] == ["gradient_ratio"]
    assert resolve(STUDY, **{"probes.gradient_norms.every": 2}).probes[0].every == 2
    assert resolve(STUDY, probes=None).probes == ()


def test_probes_are_recorded_and_no_part_of_a_config(resolve):
    study, plain = resolve(STUDY), resolve(STUDY, probes=None)
    assert [t.config.hash for t in study.trials()] == [t.config.hash for t in plain.trials()]
    assert [t.name for t in study.trials()] == [t.name for t in plain.trials()]
    assert Study.from_yaml(study.as_yaml(), "study.yaml").probes == study.probes
    assert "\nprobes:" not in plain.as_yaml()
    assert "\nprobes:" in study.as_yaml()


@pytest.mark.parametrize(
    ("probes", "problem"),
    [
        ("[gradient_norm]", r"'gradient_norm' is no probe|gradient_norm is no probe; did you mean gradient_norms"),
        ("[3]", "3 is no probe"),
        ("[{every: 2}]", "is no probe"),
        ("[gradient_ratio, gradient_ratio]", "gradient_ratio stands there twice; drop one of them"),
        ("[{name: gradient_norms, every: 0}]", r"probes\.gradient_norms\.every: 0 must be at least 1"),
        ("[{name: gradient_norms, evry: 2}]", r"probes\.gradient_norms\.evry: no such key"),
        ("[{name: gradient_norms, samples: 65}]", r"probes\.gradient_norms\.samples: 65 is more than the 64 training"),
        (
            "[{name: weight_flatness, distances: [-0.1]}]",
            r"probes\.weight_flatness\.distances: -0\.1 must be above 0",
        ),
        ("[{name: weight_flatness, distances: []}]", r"distances: \[\] must not be empty"),
        (
            "[{name: weight_flatness, distances: [0.1, 0.25, 0.1]}]",
            r"probes\.weight_flatness\.distances: 0\.1 stands there twice; drop one",
        ),
        ("[{name: group_gradient_norms, samples: 60}]", "more than the smaller group's images, about 29"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(resolve, probes, problem):
    lines = [line for line in STUDY.splitlines() if not line.startswith(("probes", "presets"))]
    with pytest.raises(UserError, match=problem):
        resolve("\n".join([*lines, f"probes: {probes}"]))


def test_a_probe_that_is_not_defined_for_an_objective_is_refused(resolve):
    with pytest.raises(UserError, match=r"gradient_ratio: is not defined for standard, which attacks nothing; drop"):
        resolve(STUDY, objective=["standard", "pgd_at"])
    with pytest.raises(UserError, match=r"needs wrong labels; set data\.noise_rate, or drop the probe"):
        resolve(STUDY, probes=[{"name": "group_gradient_norms", "samples": 5}], **{"data.noise_rate": 0})


@pytest.mark.parametrize(("key", "value"), [("probes", "gradient_norms"), ("probes.margin.every", 2), ("probes.x", 1)])
def test_overrides_that_name_no_probe_are_refused(resolve, key, value):
    with pytest.raises(UserError, match=r"write probes=\[gradient_norms\]|or a field of a probe that the study names"):
        resolve(STUDY, **{key: value})


@pytest.mark.parametrize("name", PROBES)
def test_each_probe_has_a_place_in_the_paper_and_code(name):
    assert PROBES[name].source.startswith(("Fig.", "Tab.", "Sec.", "App.", "Theorem"))
    assert callable(PROBES[name].load())
    assert parse_probes([name], "x")[0].name == name
