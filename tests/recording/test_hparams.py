"""HParams by TensorBoard's own backend: names that no other trial has, and one type a key."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hparams_page import HParamsPage

from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.recording.hparams import STATUS, hparams, key_types, session_name
from tune_at.recording.spec import TrialSpec
from tune_at.recording.sweep_events import write_declaration
from tune_at.recording.tensorboard import TrialEvents
from tune_at.store.layout import SweepFolder
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.training.record import EpochRecord

STARTED = datetime(2026, 1, 2, tzinfo=UTC)
BASE = "title: x\nbase: {data: {validation: 0.05}, train: {epochs: 2, batch_size: 32}}\n"


@pytest.fixture
def study(tmp_path):
    def build(text, **overrides):
        path = tmp_path / "written.yaml"
        path.write_text(BASE + text)
        return Study.resolve(str(path), "", overrides)

    return build


def spec_of(folder, trial):
    place = SweepFolder.of(folder)
    return TrialSpec(str(place), place.name, "x", "main", trial.name, trial.config.as_tree(), dict(trial.swept))


def record(folder, trial, accuracy=0.5, epochs=2):
    """What a worker writes of a trial that has so many epochs."""
    metrics = {f"{split}_{kind}_accuracy": accuracy for split in ("val", "test") for kind in ("natural", "robust")}
    events = TrialEvents(spec_of(folder, trial), trial.config, [], STARTED)
    for epoch in range(1, epochs + 1):
        events.add(EpochRecord(epoch, 0.1, metrics, {"loss": 1.0}, 1.0, 1.0))
    events.close(Status.COMPLETED)


def write(folder, study, accuracy=0.5):
    """The events of a whole sweep."""
    write_declaration(SweepFolder.of(folder), {folder.name: study})
    for trial in study.trials():
        record(folder, trial, accuracy)


def value(row, tag):
    (found,) = [metric["value"] for metric in row["metricValues"] if metric["name"]["tag"] == tag]
    return found


def test_trials_of_one_name_in_several_sweeps_have_rows_of_their_own(tmp_path, study):
    one = study("")
    (name,) = (trial.name for trial in one.trials())
    sweeps = {tmp_path / "runs" / "a": 0.25, tmp_path / "runs" / "b": 0.5, tmp_path / "runs" / "old" / "b": 0.75}
    for folder, accuracy in sweeps.items():
        write(folder, one, accuracy)
    rows = HParamsPage(tmp_path / "runs").rows()
    assert {(row["sessions"][0]["name"], value(row, "test/robust_accuracy")) for row in rows} == {
        (str((folder / "tensorboard" / name).relative_to(tmp_path / "runs")), accuracy)
        for folder, accuracy in sweeps.items()
    }
    assert len({row["name"] for row in rows}) == 3
    assert sorted(row["name"].partition(" (")[0] for row in rows) == [f"a/{name}", f"b/{name}", f"b/{name}"]
    # A sweep's own folder alone shows the same names.
    (alone,) = HParamsPage(tmp_path / "runs" / "old" / "b" / "tensorboard").rows()
    (same,) = (row["name"] for row in rows if row["sessions"][0]["name"].startswith("old/"))
    assert alone["name"] == same


def test_a_trial_that_comes_back_is_the_session_that_it_was(tmp_path, study):
    folder = tmp_path / "s"
    one = study("")
    (trial,) = one.trials()
    write(folder, one)
    (before,) = HParamsPage(folder / "tensorboard").rows()
    write_declaration(SweepFolder.of(folder), {folder.name: one})
    record(folder, trial, accuracy=0.625)
    (after,) = HParamsPage(folder / "tensorboard").rows()
    assert after["name"] == before["name"]
    assert len(after["sessions"]) == 1
    assert after["sessions"][0]["startTimeSecs"] == before["sessions"][0]["startTimeSecs"] == STARTED.timestamp()
    assert value(after, "test/robust_accuracy") == 0.625
    assert len(list((folder / "tensorboard" / "sweep").glob("events.*"))) == 1
    assert len(list((folder / "tensorboard" / trial.name).iterdir())) == 1


def test_an_address_names_a_sweep_whatever_way_leads_there(tiny):
    specs = [
        TrialSpec(folder, "s", "x", "main", "t", tiny().as_tree(), {})
        for folder in ("s3://b/s?region=a", "s3://b/s?endpoint_override=http://h:1", "s3://b/x/s")
    ]
    names = [session_name(spec) for spec in specs]
    assert names[0] == names[1] != names[2]


MIXED = """\
axes:
  data.subset: [64, 128, all]
  evaluation.test_samples: [all, 20]
  data.flip: [true, false]
"""

SECTIONS = """\
axes:
  objective: [pgd_at, trades, sat, {name: mixed_pgd_at, ramp_end: 2}]
  optim: [sgd, adam]
  optim.schedule: [{name: piecewise, milestones: [1]}, {name: piecewise, milestones: [0.5, 1]}, constant]
"""

NUMBERS = """\
axes:
  attack.eps: [8/255, 0.0, 0.001]
  optim.lr: [0.1, 0.01, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 2]
seeds: [3, 1]
"""


@pytest.mark.parametrize("text", [MIXED, SECTIONS, NUMBERS], ids=["mixed", "sections", "numbers"])
def test_every_column_sorts_and_filters(tmp_path, study, text):
    resolved = study(text)
    write(tmp_path / "s", resolved)
    page = HParamsPage(tmp_path)
    assert len(page.rows()) == len(resolved.trials()) > 10
    page.use_every_column()
    declared = page.declared()
    values = {}
    for row in page.rows():
        for key, value in row["hparams"].items():
            values.setdefault(key, set()).add(value)
    assert set(declared) == {key for key, known in values.items() if len(known) > 1} | {STATUS}
    assert all(info["differs"] for info in declared.values())


def test_words_among_numbers_make_the_key_a_word(tmp_path, study):
    write(tmp_path, study(MIXED))
    page = HParamsPage(tmp_path)
    info = page.declared()["data.subset"]
    assert (info["type"], info["domainDiscrete"]) == ("DATA_TYPE_STRING", ["128", "64", "all"])
    assert {row["hparams"]["data.subset"] for row in page.rows()} == {"64", "128", "all"}


def test_sweeps_with_other_values_of_a_key_are_sorted_together(tmp_path, study):
    write(tmp_path / "runs" / "numbers", study("axes: {data.subset: [64, 128]}\n"))
    write(tmp_path / "runs" / "words", study("axes: {objective: [trades, sat]}\n"))
    write(tmp_path / "runs" / "auto", study("axes: {resources.gpu: [0, auto]}\n"))
    page = HParamsPage(tmp_path / "runs")
    assert len(page.rows()) == 6
    for key in {key for row in page.rows() for key in row["hparams"]}:
        assert len(page.sorted(key)) == 6


def test_few_numbers_are_listed_and_many_are_an_interval(tmp_path, study):
    write(tmp_path, study(NUMBERS))
    declared = HParamsPage(tmp_path).declared()
    assert declared["attack.eps"]["domainDiscrete"] == [0.0, 1e-3, 8 / 255]
    # A page asks for a pattern in place of a long list, and a number matches none.
    assert declared["optim.lr"]["domainInterval"] == {"minValue": 0.01, "maxValue": 2.0}
    assert list(declared) == [STATUS, "attack.eps", "optim.lr", "seed"]


SEARCH = """\
seeds: [0, 5]
search:
  algorithm: %s
  trials: 12
  space:
    optim.lr: {loguniform: [0.001, 0.5]}
    attack.steps: {int: [1, 20]}
    data.subset: {int: [66, 90]}
    attack.eps: {choice: [4/255, 8/255]}
    data.flip: {choice: [true, false]}
    objective: [pgd_at, {name: trades, beta: 3}, sat]
    optim.nesterov: {choice: [true, false]}
"""


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
def test_a_search_has_its_types_before_its_trials(tmp_path, study, algorithm):
    import random

    resolved = study(SEARCH % algorithm)
    write_declaration(SweepFolder.of(tmp_path / "s"), {"s": resolved})
    before = HParamsPage(tmp_path).declared()
    assert before["optim.lr"]["domainInterval"] == {"minValue": 0.001, "maxValue": 0.5}
    assert before["attack.steps"]["domainInterval"] == {"minValue": 1.0, "maxValue": 20.0}
    assert before["attack.eps"]["domainDiscrete"] == [4 / 255, 8 / 255]
    assert before["data.subset"]["domainDiscrete"] == [str(number) for number in range(66, 91)]
    assert before["seed"]["type"] == "DATA_TYPE_FLOAT64"
    rng = random.Random(0)
    for number in range(12):
        values = {
            "objective": rng.choice(["pgd_at", {"name": "trades", "beta": 3}, "sat"]),
            "optim.lr": rng.uniform(0.001, 0.5), "attack.steps": rng.randint(1, 20),
            "data.subset": rng.randint(66, 90), "attack.eps": rng.choice([4 / 255, 8 / 255]),
            "data.flip": rng.random() < 0.5, "optim.nesterov": rng.random() < 0.5,
        }  # fmt: skip
        for trial in resolved.point(number, values):
            record(tmp_path / "s", trial)
    page = HParamsPage(tmp_path)
    assert page.declared() == before and len(page.rows()) == 24
    page.use_every_column()
    assert {"optim.lr", "seed", "objective.name"} <= set(before)


def test_values_that_pbt_gives_later_are_within_the_declared(tmp_path, study):
    resolved = study(
        "axes: {optim.lr: [0.1, 0.3]}\nscheduler: {name: pbt, every: 1, mutations: "
        "{optim.lr: {loguniform: [0.001, 0.2]}, objective.beta: [1, 6, 9]}}\n",
        objective="trades",
    )
    write(tmp_path / "s", resolved)
    first = resolved.trials()[0]
    tree = first.config.as_tree()
    tree["optim"]["lr"], tree["objective"]["beta"] = 0.0123, 9
    record(tmp_path / "s", replace(first, config=TrialConfig.parse(tree)))  # as it goes on after an exploit
    page = HParamsPage(tmp_path)
    declared = page.declared()
    assert declared["optim.lr"]["domainInterval"] == {"minValue": 0.001, "maxValue": 0.3}
    assert declared["objective.beta"]["domainDiscrete"] == [1.0, 6.0, 9.0]
    assert declared["objective.beta"]["differs"]
    assert sorted(row["hparams"]["optim.lr"] for row in page.rows()) == [0.0123, 0.3]
    page.use_every_column()


def test_each_key_of_each_section_has_the_type_that_its_schema_says():
    types = key_types()
    seen = set()
    for path, registry in NAMED_SECTIONS.items():
        for entry in registry.values():
            with contextlib.suppress(ValueError):  # a field without a default, such as a folder's path
                tree = entry.config().model_dump(mode="json")
                for part in reversed(path.split(".")):
                    tree = {part: tree}
                for key, value in hparams(tree).items():
                    assert type(value) is types[key], (entry.name, key)
                    seen.add(key)
    assert len(seen) > 25
    assert (types["data.subset"], types["resources.gpu"], types["attack.norm"]) == (str, str, str)
    assert (types["seed"], types["objective.beta"], types["data.flip"]) == (float, float, bool)
