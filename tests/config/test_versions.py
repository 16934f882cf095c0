import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from tune_at.config.scheduler import SCHEDULERS
from tune_at.config.search import SEARCHERS
from tune_at.config.section import Section
from tune_at.config.tree import fill_names
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.config.versions import SCHEMA, Renamed, Since, Was, recorded, require_known, upgraded
from tune_at.errors import UserError
from tune_at.registry import Entry, Registry

FIELDS = json.loads((Path(__file__).parent.parent / "stores" / "v1" / "fields.json").read_text())
"""What version 1 had: each section's fields and defaults."""


class Old(Section):
    name: Literal["old"] = "old"
    rate: float = 0.5


class New(Section):
    name: Literal["new"] = "new"
    rate: float = 0.5
    start: Annotated[Literal["uniform", "gaussian"], Since(2, "uniform")] = "gaussian"


KINDS = Registry("kind", Entry("old", Old, "", "", ""), Entry("new", New, "", "", ""))
NAMED = {"kind": KINDS, "inner.kind": KINDS}


class Inner(Section):
    kind: Annotated[KINDS.union, KINDS.discriminator] = New()
    steps: Annotated[int, Field(ge=1), Was(2, 10), Was(3, 20)] = 30
    lr: Annotated[float, Renamed(2, "learning_rate")] = 0.1


class Probes(Section):
    every: int = 5


class Whole(Section):
    kind: Annotated[KINDS.union, KINDS.discriminator] = Old()
    inner: Inner = Inner(lr=0.2)
    probes: Annotated[Probes | None, Since(3, None)] = Probes()
    seed: int = 0


def read(tree, schema):
    return Whole.model_validate(upgraded(fill_names(tree, NAMED), Whole, schema, NAMED))


def test_what_is_absent_means_what_it_meant():
    first, second, third = (read({"kind": "new"}, schema) for schema in (1, 2, 3))
    assert (first.kind.start, second.kind.start, third.kind.start) == ("uniform", "gaussian", "gaussian")
    assert (first.inner.steps, second.inner.steps, third.inner.steps) == (10, 20, 30)
    assert (first.inner.kind.start, second.inner.kind.start) == ("uniform", "gaussian")
    assert (first.probes, second.probes, third.probes) == (None, None, Probes())
    # A default that is made with values keeps them.
    assert first.inner.lr == third.inner.lr == 0.2


def test_what_is_written_stays():
    written = {
        "kind": {"name": "new", "start": "gaussian"},
        "inner": {"kind": "old", "steps": 7},
        "probes": {"every": 2},
    }
    config = read(written, 1)
    assert (config.kind.start, config.inner.steps, config.inner.kind, config.probes.every) == ("gaussian", 7, Old(), 2)


def test_an_older_name_is_read():
    assert read({"inner": {"learning_rate": 0.3}}, 1).inner.lr == 0.3
    assert read({"inner": {"lr": 0.3}}, 1).inner.lr == 0.3


def test_a_tree_of_this_version_is_left_alone():
    tree = {"kind": {"name": "new"}, "inner": {}}
    assert upgraded(tree, Whole, 3, NAMED) == tree


@pytest.mark.parametrize("kind", [{"name": "new", "start": "uniform"}, {"name": "new"}, {"name": "old", "rate": 0.1}])
@pytest.mark.parametrize("schema", [1, 2, 3])
def test_a_record_of_any_version_says_all_and_is_read_back(kind, schema):
    config = Whole(kind=kind, inner={"steps": 3, "kind": kind})
    assert read(recorded(config, schema), 1) == config


def test_a_record_of_an_older_version_has_what_that_version_had():
    config = Whole(kind={"name": "new", "start": "uniform"}, inner={"kind": {"name": "new"}}, probes=None)
    assert recorded(config, 1) == {
        "kind": {"name": "new", "rate": 0.5},
        "inner": {"kind": {"name": "new", "rate": 0.5, "start": "gaussian"}, "steps": 30, "learning_rate": 0.1},
        "seed": 0,
    }
    assert recorded(config, 3)["kind"]["start"] == "uniform"


@pytest.mark.parametrize("newer", [SCHEMA + 1, 99])
def test_a_newer_record_is_refused(newer):
    with pytest.raises(UserError) as caught:
        require_known(newer, "study.yaml")
    assert str(caught.value).startswith(f"study.yaml: was recorded with schema version {newer}")
    assert "upgrade tune-at" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["2", 0, True, 1.5])
def test_what_is_not_a_version_is_refused(wrong):
    with pytest.raises(UserError, match="is not a schema version"):
        require_known(wrong, "study.yaml")


def test_no_version_is_the_first():
    assert require_known(None, "") == 1


def sections():
    """Each section's type of today, by the name that `fields.json` has for it."""
    found = {"config": TrialConfig}
    for name, field in TrialConfig.model_fields.items():
        if name not in NAMED_SECTIONS and isinstance(field.default, Section):
            found[name] = type(field.default)
    for kind, registry in [*NAMED_SECTIONS.items(), ("search", SEARCHERS), ("scheduler", SCHEDULERS)]:
        found |= {f"{kind}:{name}": registry[name].config for name in registry}
    return found


@pytest.mark.parametrize("section", FIELDS)
def test_each_field_that_version_1_had_is_read_and_each_that_it_lacked_says_so(section):
    known, model = FIELDS[section], sections()[section]
    before = {
        name for f in model.model_fields.values() for m in f.metadata if isinstance(m, Renamed) for name in [m.before]
    }
    assert known.keys() <= model.model_fields.keys() | before
    for name, field in model.model_fields.items():
        since = [mark for mark in field.metadata if isinstance(mark, Since)]
        renamed = [mark.before for mark in field.metadata if isinstance(mark, Renamed)]
        if not {name, *renamed} & known.keys():
            assert since, f"{section}.{name}: write Since(version, absent=…) in its annotation"
            assert all(1 < mark.version <= SCHEMA for mark in since)
        elif (absent := known.get(name)) != "required" and name in known:
            # What version 1 left unsaid, and its default then. A section's own fields are looked at beside it.
            default = field.get_default(call_default_factory=True)
            meant = default if isinstance(default, Section) else upgraded({}, model, 1, {}).get(name, plain(default))
            assert plain(meant) == absent, f"{section}.{name}: write Was(version, {absent!r}) in its annotation"


@pytest.mark.parametrize("schema", [1, 2])
def test_the_moments_of_version_3_are_those_of_older_sweeps_where_they_began(schema):
    """What Co-teaching leaves out and what SWA averages began an epoch otherwise before."""
    older = TrialConfig.parse({"objective": "co_teaching"}, schema=schema)
    left_out = [older.objective.forget_at(epoch, 200) for epoch in (1, 2, 6, 11, 200)]
    assert left_out == pytest.approx([0, 0.02, 0.1, 0.2, 0.2])
    assert "delay" not in json.loads(older.as_json(schema))["objective"]
    assert TrialConfig.from_json(older.as_json(schema)) == older
    assert older.hash != TrialConfig(objective="co_teaching").hash
    averaging = TrialConfig.parse({"objective": "kd_swa"}, schema=schema).objective
    assert (averaging.averages(54, 200), averaging.averages(55, 200)) == (False, True)


def plain(value):
    """A default as `fields.json` has it."""
    if isinstance(value, Section):
        name = {"name": value.name} if hasattr(value, "name") else {}
        value = {**name, **value.model_dump(mode="json", exclude_unset=True)}
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("section", FIELDS)
def test_what_absence_means_is_a_value_that_validation_leaves_alone(section):
    """Else it would not be recognised in a config."""
    model = sections()[section]
    for name, field in model.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Since):
                tree = {key: "x" for key, other in model.model_fields.items() if other.is_required()}
                assert getattr(model.model_validate({**tree, name: mark.absent}), name) == mark.absent
