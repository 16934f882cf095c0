"""Whole sweeps on storage that is far away, fails, or is full: in the end their tables equal a local sweep's."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from processes import difference, kill, output_of, results, run, start, stop_all
from s3_server import SECRET, s3  # noqa: F401

from tune_at.cli.main import main
from tune_at.recording.run_folders import RunFolders
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store import read_table
from tune_at.store.patience import StorageFailed
from tune_at.store.place import to_place
from tune_at.store.schema import VERSION, VERSION_KEY, build_table
from tune_at.store.writer import part_path
from tune_at.study.study import Study
from tune_at.tuning.trainable import ATTrainable

STUDY = """\
title: Two objectives on far storage
base:
  data: {name: digits, subset: 200, noise_rate: 0.4}
  model: {name: small_cnn, width: 16}
  attack: {eps: 0.1, step: 0.03, steps: 8}
  train: {epochs: 12, batch_size: 40}
  evaluation: {steps: 4, train_samples: 100}
axes: {objective: [pgd_at, trades]}
figures: [memorization_curves]
"""


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    stop_all()


@pytest.fixture
def ray_logs(monkeypatch):
    """Ray writes its logs here; a short path, since sockets lie in it too."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run_locally(study, folder):
    """What `sweep` does, but for Ray: that it changes nothing is tested in test_faults."""
    to_place(folder / "study.yaml").write_whole(study.as_yaml().encode())
    for trial in study.trials():
        config, swept = trial.config.as_tree(), dict(trial.swept)
        run = RunFolders(study).of(trial.name, trial.swept, trial.stage)
        spec = TrialSpec(str(folder), "near", study.name, trial.stage, trial.name, config, swept, run=run)
        here = RecordedTrial(spec)
        while here.step()["status"] == "running":
            pass
        here.close()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
def test_a_sweep_on_s3_through_an_outage_and_a_killed_driver(
    tmp_path, s3, ray_logs, monkeypatch, capsys  # noqa: F811
):  # fmt: skip
    study, storage = tmp_path / "far.yaml", s3.uri()
    study.write_text(STUDY)
    sweep = str(to_place(storage) / "far")
    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "1.5")

    # The server goes away for good: one line, and a sweep that can be resumed.
    driver = start("sweep", study, "--storage", storage, "--name", "far")
    with s3.down_at("epoch-000003.pt"):
        first = output_of(driver)
    assert driver.returncode == 2, first
    errors = [line for line in first.splitlines() if line.startswith("tune-at: error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"tune-at: error: s3://{to_place(sweep).path}/")
    assert "connect" in errors[0]
    assert "Traceback" not in first
    assert set(read_table(sweep, "trials")["status"]) == {"running"}

    # It goes away for a moment, which the trials wait out; then the driver is killed.
    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "300")
    driver = start("resume", sweep)
    with s3.down_at("epoch-000005.pt"):
        pass
    with s3.held_at("epoch-000008.pt"):
        kill(driver.pid)
    second = output_of(driver)
    third = run("resume", sweep)
    assert third.returncode == 0, third.stdout + third.stderr
    assert f"taken over from process {driver.pid}" in third.stderr
    assert f"run.py report '{sweep}'" in third.stdout

    run_locally(Study.resolve(str(study)), tmp_path / "near")
    for table in ("epochs", "trials"):
        assert not difference(sweep, tmp_path / "near", table), table
    assert results(sweep, "epochs").num_rows == 2 * 12

    outputs = [first, second, third.stdout, third.stderr]
    for arguments in (["status", sweep], ["query", sweep, "SELECT count(*) AS n FROM epochs"], ["report", sweep]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        outputs.append(capsys.readouterr().out)
        assert ended.value.code == 0
    assert "2 trials: 2 completed" in outputs[-3]
    assert "running" not in outputs[-3]
    assert "24" in outputs[-2]
    objects = s3.objects(sweep)
    assert objects["report/memorization_curves.png"].startswith(b"\x89PNG")
    assert f"{sweep.partition('?')[0]}/report/memorization_curves.csv" in outputs[-1]
    near = {str(path.relative_to(tmp_path / "near")) for path in (tmp_path / "near").rglob("*") if path.is_file()}
    far = {name for name in objects if not name.startswith("report/")}
    plain = lambda names: {name.partition(".tfevents")[0] for name in names}
    assert plain(far) == plain(near) | {"tensorboard/sweep/events.out", "driver.json"}  # the driver's own
    assert_one_point_an_epoch(objects, tmp_path)

    logs = [path.read_bytes() for path in ray_logs.rglob("*") if path.is_file()]
    assert logs
    for data in [*objects.values(), *logs, *(output.encode() for output in outputs)]:
        assert SECRET.encode() not in data


def assert_one_point_an_epoch(objects, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (name,) = (name for name in objects if "/00-" in name and ".tfevents." in name and not name.endswith("driver"))
    copy = tmp_path / Path(name).name
    copy.write_bytes(objects[name])
    points = EventAccumulator(str(copy)).Reload().Scalars("test/robust_accuracy")
    assert [point.step for point in points] == list(range(1, 13))


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def spec_in(folder, config):
    (folder / "study.yaml").write_text("x")
    return TrialSpec(str(folder), "s", "study", "main", "t", config.as_tree(), {})


def rows(folder):
    return results(folder, "epochs")


def test_a_trial_whose_disk_is_full_continues_once_there_is_space(tiny, tmp_path, small_disk, monkeypatch):
    monkeypatch.setenv("TUNE_AT_STORAGE_PATIENCE", "0.2")
    (tmp_path / "whole").mkdir()
    whole = RecordedTrial(spec_in(tmp_path / "whole", tiny()))
    while whole.step()["status"] == "running":
        pass

    trainable = ATTrainable(config={"spec": spec_in(small_disk, tiny()).as_dict()})
    assert trainable.step()["status"] == "running"
    free = shutil.disk_usage(small_disk).free
    (small_disk / "ballast").write_bytes(b"x" * (free - 4096))
    result = trainable.step()
    assert (result["status"], result["done"]) == ("storage", True)
    assert "No space left on device; free space, then try again" in result["error"]
    assert str(StorageFailed(*result["storage"])) == result["error"]
    assert not list(small_disk.rglob(".*.tmp"))
    assert read_table(small_disk, "trials")["status"].tolist() == ["running"]  # not `failed`: it is as it was
    assert len(read_table(small_disk, "epochs")) >= 1
    trainable.cleanup()

    (small_disk / "ballast").unlink()
    again = ATTrainable(config={"spec": spec_in(small_disk, tiny()).as_dict()})
    while again.step()["status"] == "running":
        pass
    again.cleanup()
    assert rows(small_disk).equals(rows(tmp_path / "whole"))


def test_a_store_of_a_newer_version_is_refused_by_every_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study.resolve("random_labels", "laptop")
    to_place("s/study.yaml").write_whole(study.as_yaml().encode())
    newer = build_table("epochs", []).replace_schema_metadata({VERSION_KEY: str(VERSION + 1)})
    path = part_path("s", "epochs", study.trials()[0].name)
    path.parent.mkdir(parents=True)
    pq.write_table(newer, path)
    for arguments in (["resume", "s"], ["status", "s"], ["report", "s"], ["query", "s", "SELECT 1"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        assert ended.value.code == 2
        assert captured.out == ""
        assert captured.err.replace(f"{tmp_path}/", "") == (
            f"tune-at: error: {path}: has schema version {VERSION + 1}, this program knows up to {VERSION}; "
            "upgrade tune-at\n"
        )
    assert sorted(path.name for path in Path("s").iterdir()) == ["store", "study.yaml"]
