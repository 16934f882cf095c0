"""A trial's events, read back by TensorBoard's own reader."""

import math
from datetime import UTC, datetime

import pytest
from events_read import points, runs, texts

from tune_at.recording.spec import TrialSpec
from tune_at.recording.tensorboard import TrialEvents, scalars
from tune_at.store.layout import SweepFolder
from tune_at.training.record import EpochRecord, best_record

STARTED = datetime(2026, 1, 2, tzinfo=UTC)
ROBUST = [0.3, 0.5, 0.4]


def records(test=True):
    for epoch, robust in enumerate(ROBUST, 1):
        metrics = {f"val_{kind}_accuracy": robust + more for kind, more in (("natural", 0.3), ("robust", 0))}
        metrics |= {f"train_{kind}_accuracy": 0.6 + 0.1 * epoch for kind in ("natural", "robust")}
        if test:
            metrics |= {f"test_{kind}_accuracy": robust - 0.1 for kind in ("natural", "robust")}
        yield EpochRecord(epoch, 0.1, metrics, {"loss": 1 / epoch}, 2.0, 1.0)


def begin(folder, config, history=(), run="objective=pgd_at/00-s0"):
    spec = TrialSpec(str(folder), "s", "x", "main", "00-pgd_at-s0", config.as_tree(), {}, run=run)
    return TrialEvents(spec, config, list(history), STARTED)


def read(folder):
    return runs(SweepFolder.of(folder).events())


def read_one(folder):
    (events,) = read(folder).values()
    return events


@pytest.mark.parametrize(("selection", "first"), [("validation", "val"), ("test", "test")])
def test_what_is_judged_is_the_first_card_and_the_gap_comes_next(tmp_path, tiny, selection, first):
    events = begin(tmp_path, tiny(train={"epochs": 3, "batch_size": 24, "selection": selection}))
    for record in records():
        events.add(record)
    read_back = read_one(tmp_path)
    tags = sorted(read_back.Tags()["scalars"])
    assert tags[0] == f"1_selection/{first}/robust_accuracy"
    assert list(dict.fromkeys(tag.partition("/")[0] for tag in tags))[:3] == ["1_selection", "2_gap", "best"]
    wanted = [(epoch, pytest.approx(value - 0.1 * (first == "test"))) for epoch, value in enumerate(ROBUST, 1)]
    assert points(read_back, tags[0]) == wanted


@pytest.mark.parametrize("test", [True, False])
def test_curves_are_what_was_recorded(tmp_path, tiny, test):
    history = list(records(test))
    begin(tmp_path, tiny(), history)
    ((run, events),) = read(tmp_path).items()
    assert run == "objective=pgd_at/00-s0"
    for tag in events.Tags()["scalars"]:
        wanted = []
        for place, record in enumerate(history, 1):
            values = dict(scalars(record, history[:place], "validation"))
            wanted += [(record.epoch, pytest.approx(values[tag]))] if tag in values else []
        assert points(events, tag) == wanted, tag
    best = best_record(history, "validation")
    assert points(events, "best/epoch")[-1] == (3, best.epoch)
    assert best.epoch == 2
    held_out = 0.3 if test else 0.4  # data without a test split has its gap to the validation split
    assert points(events, "2_gap/robust")[-1] == (3, pytest.approx(0.9 - held_out))


def test_a_trial_that_diverged_has_its_points_up_to_there(tmp_path, tiny):
    events = begin(tmp_path, tiny(), list(records())[:2])
    events.add(EpochRecord(3, 0.1, {}, {"loss": math.nan}, 1.0, 1.0))
    read_back = read_one(tmp_path)
    assert [step for step, _ in points(read_back, "1_selection/val/robust_accuracy")] == [1, 2]
    assert points(read_back, "best/epoch")[-1] == (3, 2)


def test_the_config_is_text(tmp_path, tiny):
    begin(tmp_path, tiny(optim={"lr": 0.0625}))
    ((step, text),) = texts(read_one(tmp_path), "resolved_config")
    assert step == 0
    assert "    lr: 0.0625" in text


def test_a_trial_begun_in_the_older_layout_has_one_run_when_it_comes_back(tmp_path, tiny):
    older = begin(tmp_path, tiny(), run="")
    older.add(next(records()))
    assert list(read(tmp_path)) == ["00-pgd_at-s0"]
    begin(tmp_path, tiny(), list(records())[:2])
    ((run, events),) = read(tmp_path).items()
    assert run == "objective=pgd_at/00-s0"
    assert [step for step, _ in points(events, "val/robust_accuracy")] == [1, 2]
    assert not SweepFolder.of(tmp_path).events("00-pgd_at-s0").exists()
