"""Sweeps that version 1 left are read and resumed to the tables that version 1 itself gives."""

import json
import math
import shutil
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest
from processes import WHOLE, run, stop_all
from recorded_study import name_source

from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.recording.spec import TrialSpec
from tune_at.store import read_arrow
from tune_at.store.schema import TABLES, TIMES
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.training.trainer import Trainer

V1 = Path(__file__).parent / "v1"

AT_ONCE = {"grid": 2, "asha": 2, "optuna": 1, "kd_swa": 1, "pbt": 2, "folder": 1}
NOT_COMPARED = {*TIMES["trials"], *TIMES["epochs"], *TIMES["decisions"], "sweep", "versions", "device", "config"}

ON_PURPOSE = ("kd_swa",)
"""Version 2 takes the batch-norm statistics of averaged weights in another way, so a student's metrics are others."""


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    stop_all()


def copied(tmp_path, name):
    return Path(shutil.copytree(V1 / name, tmp_path / name))


def rows(sweep, table):
    """A table by its key, without nulls and what tells the time or the machine."""
    _, key = TABLES[table][:2]
    found = read_arrow(sweep, table)
    return {
        tuple(row[column] for column in key): {k: v for k, v in row.items() if k not in NOT_COMPARED and v is not None}
        for row in found.to_pylist()
    }


def close(name, one, other):
    """Whether two values of a column agree but for what the rounding of another processor makes of them.

    A ten-millionth more or less of each weight changes losses by up to 0.003 of their value and accuracies by one
    image of 20; a resume that loses momentum, or what was kept of each sample, changes losses by 0.012 and more.
    """
    if not isinstance(one, float) or not isinstance(other, float):
        return one == other
    if name.endswith(("accuracy", "value", "cutoff")):
        return abs(one - other) <= 0.051
    return math.isclose(one, other, rel_tol=0.006)


def agree(one, other, exactly, columns=lambda name: True):
    """Each pair of rows has the same columns and values."""
    assert one.keys() == other.keys()
    for key, row in one.items():
        assert row.keys() == other[key].keys()
        for name, value in row.items():
            if columns(name):
                same = value == other[key][name] if exactly else close(name, value, other[key][name])
                assert same, (key, name, value, other[key][name])


@pytest.mark.slow
@pytest.mark.parametrize("study", [name for name in AT_ONCE if WHOLE or name not in ("grid", "folder")])
def test_a_killed_sweep_is_resumed_to_the_tables_of_its_twin(tmp_path, study):
    sweep, twin = copied(tmp_path, f"{study}-killed"), V1 / f"{study}-finished"
    before = {table: rows(sweep, table) for table in TABLES}
    begun = {trial for (trial,), row in before["trials"].items() if row["epochs"]}
    running = {trial for (trial,), row in before["trials"].items() if row["status"] == "running"}
    assert running
    assert len(begun) < len(rows(twin, "trials")) or study == "pbt"

    shutil.copytree(V1 / "photos", tmp_path / "photos")  # version 1 names them as they lie from the working folder
    done = run("resume", sweep, "--concurrency", AT_ONCE[study], cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr

    after, wanted = ({table: rows(folder, table) for table in TABLES} for folder in (sweep, twin))
    student = {
        trial for (trial,), row in wanted["trials"].items() if row["stage"] == "students" and study in ON_PURPOSE
    }
    # What was there stays, bit for bit.
    for table in ("epochs", "decisions"):
        assert {key: after[table][key] for key in before[table]} == before[table]
    # Trials that had not begun, and so owe nothing to what version 1 left, tell whether this machine gives its bits.
    fresh = [key for key in wanted["epochs"] if key[0] not in begun and key[0] not in student]
    exactly = bool(fresh) and all(after["epochs"].get(key) == wanted["epochs"][key] for key in fresh)

    def except_students(table):
        return ({key: row for key, row in t[table].items() if key[0] not in student} for t in (after, wanted))

    agree(*except_students("epochs"), exactly)
    agree(*except_students("trials"), exactly)
    agree(after["decisions"], wanted["decisions"], exactly)
    # A student is trained as before; only its metrics are taken otherwise.
    taught = ({key: row for key, row in t["epochs"].items() if key[0] in student} for t in (after, wanted))
    agree(*taught, False, lambda name: name in ("trial", "epoch", "lr") or name.startswith("objective"))
    known = ("stage", "trial", "seed", "status", "epochs", "selection", "config_hash", "objective")
    pupils = ({key: row for key, row in t["trials"].items() if key[0] in student} for t in (after, wanted))
    agree(*pupils, True, lambda name: name in known)
    assert configs(sweep) == configs(twin)


def test_a_killed_sweep_whose_images_are_gone_is_read_and_not_resumed(tmp_path):
    sweep = copied(tmp_path, "folder-killed")
    status = run("status", sweep, cwd=tmp_path)
    assert status.returncode == 0, status.stdout + status.stderr
    assert "01-pgd_at-s0" in status.stdout
    before = {path: path.read_bytes() for path in sweep.rglob("*.*") if path.is_file() and path.name != ".lock"}
    done = run("resume", sweep, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "photos" in done.stderr
    assert {path: path.read_bytes() for path in sweep.rglob("*.*") if path.is_file() and path.name != ".lock"} == before


STUDIES = json.loads((V1 / "studies.json").read_text())


@pytest.mark.parametrize("study", STUDIES, ids=[study["label"] for study in STUDIES])
def test_trials_of_an_older_sweep_keep_their_names_hashes_and_teachers(study):
    recorded = Study.from_yaml(study["yaml"], "study.yaml")
    again = Study.from_yaml(recorded.as_yaml(), "study.yaml")
    for read in (recorded, again):
        assert read.schema == 1
        trials = [[t.name, t.config.hash, dict(t.swept), t.stage, dict(t.teachers)] for t in read.trials()]
        assert trials == study["trials"]


@pytest.mark.parametrize("study", [s for s in STUDIES if "source" in s], ids=lambda study: study["label"])
def test_a_study_that_version_1_read_otherwise_is_unchanged(tmp_path, study):
    source = tmp_path / "x.yaml"
    source.write_text(study["source"])
    (tmp_path / "study.yaml").write_text(study["yaml"])
    name_source(tmp_path, source)
    Sweep.open(str(tmp_path)).require_unchanged()
    source.write_text(study["source"].replace("subset: 64", "subset: 48"))
    with pytest.raises(UserError, match=r"has changed since the sweep began: base.data.subset: 64 → 48"):
        Sweep.open(str(tmp_path)).require_unchanged()


def test_a_trial_that_obeyed_the_rules_of_version_1_is_trained():
    recorded = next(study for study in STUDIES if study["label"] == "moments after the end")
    study = Study.from_yaml(recorded["yaml"], "study.yaml")
    for trial in study.trials():
        with pytest.raises(UserError, match="is after the last epoch") if trial.name < "02" else nullcontext():
            trial.config.check()
        spec = TrialSpec(
            ".", "sweep", "study", "main", trial.name, trial.config.as_tree(), {}, data=study.data.only([]), schema=1
        )
        assert Trainer(spec.config_after(0)).run_epoch().epoch == 1


@pytest.mark.parametrize("study", AT_ONCE)
def test_the_study_that_version_1_read_is_unchanged_until_it_is_changed(tmp_path, study):
    sweep = copied(tmp_path, f"{study}-killed")
    source = Path(shutil.copy(V1 / "studies" / f"{study}.yaml", tmp_path))
    name_source(sweep, source)
    Sweep.open(str(sweep)).require_unchanged()
    source.write_text(source.read_text().replace("eps: 0.05", "eps: 0.06"))
    with pytest.raises(UserError, match=r"has changed since the sweep began: base.attack.eps: 0.05 → 0.06"):
        Sweep.open(str(sweep)).require_unchanged()


def configs(sweep):
    """The configs that the table of trials records."""
    table: pa.Table = read_arrow(sweep, "trials")
    return {row["trial"]: TrialConfig.from_json(row["config"]) for row in table.to_pylist()}


@pytest.mark.parametrize("study", AT_ONCE)
def test_a_finished_sweep_is_read_wherever_its_data_is(tmp_path, study):
    sweep = copied(tmp_path, f"{study}-finished")
    trials = rows(sweep, "trials")
    status = run("status", sweep)
    assert status.returncode == 0, status.stdout + status.stderr
    assert f"{len(trials)} of {len(trials)}" in status.stdout or "completed" in status.stdout
    report = run("report", sweep)
    assert report.returncode == 0, report.stdout + report.stderr
    assert list((sweep / "report").glob("*.csv"))
    query = run("query", sweep, "SELECT count(*) AS n FROM trials JOIN epochs USING (trial)", "--format", "json")
    assert query.returncode == 0, query.stdout + query.stderr
    assert str(len(rows(sweep, "epochs"))) in query.stdout
    again = run("resume", sweep)
    assert again.returncode == 0, again.stdout + again.stderr
    assert rows(sweep, "trials") == trials
