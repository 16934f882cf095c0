"""Whatever is killed, the sweep's tables end equal to those of a sweep that nobody disturbed, bit for bit."""

import os
import signal
import sys

import pytest
from processes import (
    ROOT,
    STUDY,
    Gate,
    difference,
    epochs_reached,
    kill,
    output_of,
    planned,
    results,
    run,
    run_epochs,
    start,
    stop_all,
    until,
    wait_for_epoch,
    wait_until_gone,
    workers,
)

from tune_at import Study, Trainer
from tune_at.store import read_table
from tune_at.store.schema import TIMES as ALL_TIMES
from tune_at.store.writer import part_path
from tune_at.training.checkpoint import checkpoints

TIMES = ALL_TIMES["epochs"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc"),
]


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps")
    (folder / "faults.yaml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def undisturbed(storage):
    done = run("sweep", storage / "faults.yaml", "--storage", storage, "--name", "undisturbed")
    assert done.returncode == 0, done.stdout + done.stderr
    return storage / "undisturbed"


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    stop_all()


@pytest.fixture
def gated(storage):
    """A function name → (sweep's folder, its four trials, a gate at each of the last two).

    Two trials run at a time: the first two run freely, and the sweep cannot end before its gates are open.
    """
    gates = []

    def make(name, epochs=0):
        sweep = planned(storage / "faults.yaml", storage, name)
        trials = sweep.study.trials()
        for trial in trials[2:]:
            run_epochs(sweep, trial, epochs)
            gates.append(Gate(sweep.folder, trial.name))
        return storage / name, trials, gates[-2:]

    yield make
    for gate in gates:
        gate.open()


def assert_equal_tables(sweep, undisturbed):
    epochs = results(sweep, "epochs")
    assert epochs.num_rows == 4 * 16
    assert len(set(zip(epochs["trial"].to_pylist(), epochs["epoch"].to_pylist(), strict=True))) == 4 * 16
    for table in ("epochs", "trials"):
        assert not difference(sweep, undisturbed, table), table


def test_an_undisturbed_sweep(undisturbed):
    trials = read_table(undisturbed, "trials")
    assert trials["status"].tolist() == ["completed"] * 4
    assert trials["epochs"].tolist() == [16] * 4
    assert trials["objective"].tolist() == ["pgd_at", "pgd_at", "trades", "trades"]
    assert not list(undisturbed.rglob("*.tmp"))


def test_the_trainer_alone_gives_the_rows_that_ray_gives(undisturbed, storage):
    study = Study.resolve(str(storage / "faults.yaml"))
    stored = results(undisturbed, "epochs").to_pandas().set_index("trial")
    for trial in (study.trials()[0], study.trials()[-1]):
        alone = [record.row() for record in Trainer(trial.config).epochs()]
        through_ray = stored.loc[trial.name].to_dict("records")
        for ours, theirs in zip(alone, through_ray, strict=True):
            # A scalar that only the other objective has is null in the table.
            assert {k: v for k, v in theirs.items() if v == v} == {k: v for k, v in ours.items() if k not in TIMES}


def test_kill_9_of_a_trials_process(gated, undisturbed):
    sweep, _, gates = gated("trial-killed")
    driver = start("resume", sweep)
    wait_for_epoch(sweep, 3, driver)
    kill(until(lambda: workers(driver), driver)[0])  # in the middle of an epoch, or between two trials
    waiting = until(gates[0].held, driver)
    kill(waiting)  # before its first epoch
    until(lambda: gates[0].held() not in (0, waiting), driver)
    for gate in gates:
        gate.open()
    output = output_of(driver)
    assert driver.returncode == 0, output
    assert output.count("worker lost: ") == 2
    assert_equal_tables(sweep, undisturbed)


def test_kill_9_of_the_driver_twice_and_a_damaged_checkpoint(gated, undisturbed):
    sweep, trials, gates = gated("driver-killed", epochs=5)
    driver = start("resume", sweep)
    wait_for_epoch(sweep, 6, driver)  # of one of the first two
    assert "is being run by process" in run("resume", sweep).stderr
    team = workers(driver)
    kill(driver.pid)
    driver.communicate()
    wait_until_gone(team)
    assert 2 * 5 < len(read_table(sweep, "epochs")) <= 2 * 16 + 2 * 5

    again = start("resume", sweep)
    until(gates[0].held, again)
    gates[0].open()
    until(lambda: epochs_reached(sweep)[trials[2].name] > 5, again)
    team = workers(again)
    kill(again.pid)
    again.communicate()
    wait_until_gone(team)  # a worker that outlives its driver for a moment may still finish its trial

    gates[1].open()
    newest = checkpoints(sweep / "checkpoints" / trials[3].name)[0]
    assert newest.name == "epoch-000005.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    done = run("resume", sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert newest.name in done.stdout
    assert "the checkpoint before it is used" in done.stdout
    assert_equal_tables(sweep, undisturbed)


def test_ctrl_c_leaves_a_sweep_that_resume_completes(gated, undisturbed):
    sweep, _, gates = gated("interrupted")
    driver = start("resume", sweep)
    wait_for_epoch(sweep, 4, driver)
    os.killpg(driver.pid, signal.SIGINT)
    for gate in gates:
        gate.open()  # a worker that waits there could not be told to end
    output = output_of(driver)
    assert driver.returncode == 130, output
    assert f"trials left; continue with: python run.py resume {sweep}" in output
    assert "Traceback" not in output
    done = run("resume", sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_equal_tables(sweep, undisturbed)
    assert "nothing is left to run" in run("resume", sweep).stdout

    path = part_path(sweep, "epochs", read_table(sweep, "trials")["trial"][1])
    path.write_bytes(path.read_bytes()[:-50])
    assert "is damaged" in run("query", sweep, "SELECT 1 FROM epochs").stderr
    assert f"{path}: is damaged" in run("resume", sweep).stdout
    assert_equal_tables(sweep, undisturbed)


def test_a_finished_sweep_answers_status_query_and_report(undisturbed):
    status = run("status", undisturbed)
    assert "4 trials: 4 completed" in status.stdout
    query = run("query", undisturbed, "SELECT count(*) AS n FROM epochs JOIN trials USING (trial)", "--format", "csv")
    assert query.stdout.split() == ['"n"', "64"]
    report = run("report", undisturbed, cwd=ROOT)
    assert report.returncode == 0, report.stderr
    written = sorted(path.name for path in (undisturbed / "report").iterdir())
    names = ("generalization_gap", "memorization_curves")
    assert written == sorted([*(f"{name}.{kind}" for name in names for kind in ("csv", "png")), "index.html"])


def test_tensorboard_has_one_point_an_epoch_and_every_key(undisturbed):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    trial = read_table(undisturbed, "trials")["trial"][0]
    (worker,) = (
        file
        for file in (undisturbed / "tensorboard").rglob("*.tfevents.*")
        if file.parent.name.partition("-")[0] == trial.partition("-")[0] and file.suffix != ".driver"
    )
    events = EventAccumulator(str(worker)).Reload()
    stored = read_table(undisturbed, "epochs").set_index("trial").loc[trial]
    points = events.Scalars("test/robust_accuracy")
    assert [p.step for p in points] == stored["epoch"].tolist()
    assert [p.value for p in points] == pytest.approx(stored["test_robust_accuracy"].tolist())
    best = stored.sort_values(["val_robust_accuracy", "val_natural_accuracy", "epoch"], ascending=[False, False, True])
    assert events.Scalars("best/epoch")[-1].value == best["epoch"].iloc[0]
    content = events.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    session = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert session.hparams["attack.eps"].number_value == 0.1
    assert session.hparams["objective.name"].string_value == "pgd_at"
    assert len(session.hparams) > 25
