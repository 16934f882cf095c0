"""A whole sweep's events, read back: by TensorBoard's reader and its HParams page, against the sweep's tables."""

import json
import re
import shutil

import pytest
from events_read import points, runs, texts
from hparams_page import HParamsPage
from simulated_events import SimulatedEvents, finished_sweep
from simulation import WORKER
from tensorboard.plugins.custom_scalar import layout_pb2

from tune_at.recording.hparams import STATUS
from tune_at.recording.run_folders import trial_number
from tune_at.recording.tensorboard import TrialEvents
from tune_at.store.failures import StorageFailed
from tune_at.store.reader import read_table
from tune_at.store.status import Status
from tune_at.study.study import Study

STUDY = """\
title: Simulated
base: {data: {name: digits, subset: 64, validation: 0.1}, train: {epochs: 9, batch_size: 32}}
axes: {objective: [pgd_at, trades], optim.lr: [0.01, 0.05, 0.1]}
seeds: [0, 1]
scheduler: {name: asha, grace: 2, eta: 2}
"""


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "made.yaml").write_text(STUDY)
    return SimulatedEvents(tmp_path / "s", Study.resolve(str(tmp_path / "made.yaml")))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return finished_sweep(tmp_path_factory.mktemp("finished"), STUDY)


def of_trials(folder):
    """The runs of trials, by the numbers of the trials."""
    return {trial_number(run): events for run, events in runs(folder / "tensorboard").items() if run != "sweep"}


def test_each_trial_is_one_run_with_its_curves_and_its_decisions(finished):
    epochs, decisions = read_table(finished, "epochs"), read_table(finished, "decisions")
    trials = read_table(finished, "trials").set_index("trial")
    found = of_trials(finished)
    assert sorted(found) == sorted(map(trial_number, trials.index))
    assert "." not in runs(finished / "tensorboard")
    assert {"stopped", "completed"} <= set(trials["status"])
    for trial, row in trials.iterrows():
        events = found[trial_number(trial)]
        own = epochs[(epochs["trial"] == trial) & epochs["val_robust_accuracy"].notna()]
        judged = points(events, "1_selection/val/robust_accuracy")
        assert judged == [(e, pytest.approx(v)) for e, v in zip(own["epoch"], own["val_robust_accuracy"], strict=True)]
        made = decisions[decisions["trial"] == trial]
        assert [step for step, _ in texts(events, "decisions")] == made["epoch"].tolist()
        for (_, text), decision in zip(texts(events, "decisions"), made.to_dict("records"), strict=True):
            assert ("**stopped**" in text) == (decision["action"] == "stop")
            assert f"{decision['value']:.4g}" in text
            assert decision["cutoff"] != decision["cutoff"] or f"{decision['cutoff']:.4g}" in text
        stopped = points(events, "stopped/after_epoch")
        assert stopped == ([(row["epochs"], row["epochs"])] if row["status"] == "stopped" else [])


def test_the_page_of_hyperparameters_says_what_became_of_each_trial(finished):
    trials = read_table(finished, "trials").set_index("trial")
    epochs = read_table(finished, "epochs")
    page = HParamsPage(finished / "tensorboard")
    assert list(page.declared()) == [STATUS, "objective.name", "optim.lr", "seed"]
    rows = {row["name"].split("/")[1].split(" (")[0]: row for row in page.rows()}
    assert len(rows) == len(trials) == 12  # two seeds of a point are two rows
    for trial, row in rows.items():
        assert row["hparams"][STATUS] == trials["status"][trial]
        metrics = {metric["name"]["tag"]: metric["value"] for metric in row["metricValues"]}
        if trials["status"][trial] != "diverged":
            curve = epochs[epochs["trial"] == trial]["val_robust_accuracy"]
            assert metrics["best/val_robust_accuracy"] == pytest.approx(curve.max())
            assert metrics["val/robust_accuracy"] == pytest.approx(curve.iloc[-1])
            assert metrics["2_gap/robust"] == pytest.approx(0.01 + 0.02 * trials["epochs"][trial])
    page.use_every_column()


def test_it_is_current_before_a_trial_ends(sweep):
    while not any(len(worker.history) == 3 for worker in sweep.workers.values()):
        sweep.step()
    rows = HParamsPage(sweep.folder / "tensorboard").rows()
    running = [row for row in rows if row["hparams"][STATUS] == "running"]
    assert running
    for row in running:
        (name,) = (name for name in sweep.workers if f"/{name} " in row["name"])
        metrics = {metric["name"]["tag"]: metric["value"] for metric in row["metricValues"]}
        last = sweep.workers[name].history[-1]
        assert metrics["val/robust_accuracy"] == pytest.approx(last.metrics["val_robust_accuracy"])


def test_a_sweep_that_is_killed_and_goes_on_has_nothing_twice(sweep):
    for _ in range(25):
        sweep.step()
    sweep.restart()
    sweep.finish()
    test_each_trial_is_one_run_with_its_curves_and_its_decisions(sweep.folder)
    test_the_page_of_hyperparameters_says_what_became_of_each_trial(sweep.folder)
    assert len(list((sweep.folder / "tensorboard" / "sweep").glob("*.declared"))) == 1


def test_a_sweep_that_was_begun_in_the_older_layout_has_no_trial_twice(sweep):
    for _ in range(25):
        sweep.step()
    events = sweep.folder / "tensorboard"
    for state in sweep.run.board.states:
        for run in list(events.glob(f"*/*/{state.name.partition('-')[0]}-*")):
            run.rename(events / state.name)
            (events / state.name / "events.out.tfevents.0000000000.driver").unlink(missing_ok=True)
    (events / "sweep").rename(sweep.folder / "gone")
    assert len(runs(events)) > 4
    ended = {state.name for state in sweep.run.board.states if state.ended}
    sweep.restart()
    sweep.finish()
    found = runs(events)
    assert sorted(map(trial_number, found)) == sorted(map(trial_number, [*sweep.run.board.by_name, "sweep"]))
    # Those that had ended before stay where they were.
    assert {run for run in found if "/" not in run} == ended | {"sweep"}
    test_each_trial_is_one_run_with_its_curves_and_its_decisions(sweep.folder)
    test_the_page_of_hyperparameters_says_what_became_of_each_trial(sweep.folder)


def test_events_that_cannot_be_written_stop_no_driver(sweep, monkeypatch):
    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "0")
    for _ in range(8):
        sweep.step()
    ledger, states = sweep.run.ledger, sweep.run.board.states
    shutil.rmtree(sweep.folder / "tensorboard")
    (sweep.folder / "tensorboard").write_text("no folder")
    with pytest.raises(StorageFailed):
        begin(ledger.spec(states[0]))
    states[0].status = Status.COMPLETED
    ledger.tell_end(states[0])
    ledger.events.decided(ledger.spec(states[1]), {2: "**stopped**"}, [2])
    ledger.events.close()


def begin(spec):
    """What a worker would do, which minds."""
    return TrialEvents(spec, spec.config_after(0), [], WORKER["started"])


def test_what_version_1_declared_is_no_run_any_more(sweep):
    old = sweep.folder / "tensorboard" / "events.out.tfevents.1795617280.vm.19063.49d7a2af"
    old.write_bytes(b"")
    assert "." in runs(sweep.folder / "tensorboard")
    sweep.restart()
    assert "." not in runs(sweep.folder / "tensorboard")


def test_the_sweep_itself_counts_how_its_trials_have_ended(finished):
    statuses = read_table(finished, "trials")["status"].value_counts()
    events = runs(finished / "tensorboard")["sweep"]
    for status, number in statuses.items():
        assert points(events, f"sweep/{status}")[-1][1] == number
    assert points(events, "sweep/trials") == [(0, 12)]
    assert "objective:" in texts(events, "study")[0][1]


def test_each_chart_of_the_layout_has_curves(finished):
    (content,) = runs(finished / "tensorboard")["sweep"].Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(content.tensor_proto.string_val[0])
    tags = {tag for events in of_trials(finished).values() for tag in events.Tags()["scalars"]}
    charts = [chart for category in layout.category for chart in category.chart]
    for chart in charts:
        (pattern,) = chart.multiline.tag
        assert any(re.search(pattern, tag) for tag in tags), chart.title
    # One curve a trial in the first chart.
    assert [tag for tag in tags if re.search(charts[0].multiline.tag[0], tag)] == ["val/robust_accuracy"]
    assert [category.closed for category in layout.category][:3] == [False, False, True]


def test_an_exploit_is_told_with_its_source_and_values(tmp_path):
    text = STUDY.partition("axes")[0] + "axes: {optim.lr: [0.01, 0.02, 0.03, 0.05, 0.1]}\n"
    mutations = "{optim.lr: {loguniform: [0.001, 0.2]}}"
    (tmp_path / "made.yaml").write_text(text + f"scheduler: {{name: pbt, every: 2, mutations: {mutations}}}\n")
    sweep = SimulatedEvents(tmp_path / "s", Study.resolve(str(tmp_path / "made.yaml")), at_once=6)
    sweep.finish()
    decisions = read_table(sweep.folder, "decisions")
    made = decisions[decisions["action"] == "exploit"].to_dict("records")
    assert made
    found = of_trials(sweep.folder)
    for decision in made:
        told = dict(texts(found[trial_number(decision["trial"])], "decisions"))[decision["epoch"]]
        assert f"weights of `{decision['source']}`" in told
        assert f"optim.lr={json.loads(decision['changes'])['optim.lr']:.6g}" in told
