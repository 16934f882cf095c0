"""A sweep as Optuna reads it back: states, parameters with their distributions, curves, attributes."""

import shutil
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from search_study import SEARCH
from tasks_here import command  # noqa: F401

from analysis.ranking import rank
from tune_at.errors import UserError
from tune_at.exchange.asked import Asked
from tune_at.exchange.imported_sweep import import_curves
from tune_at.exchange.optuna_study import write_study
from tune_at.store.lock import sweep_lock
from tune_at.store.reader import read_results
from tune_at.store.writer import write_rows
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

STORES = Path(__file__).parents[1] / "stores" / "v1"

ENDS = {"a": "finished", "b": "stopped", "c": "failed", "d": "running", "e": "finished"}


def read_back(sweep, path, force=False):
    written = write_study(sweep, path, force)
    study = optuna.load_study(study_name=written.study, storage=f"sqlite:///{path}")
    return written, study, study.get_trials()


@pytest.fixture
def curves(tmp_path):
    """Five trials that ended in five ways; the last one's final loss is not finite."""
    rows = [
        {
            "trial": t, "epoch": e, "val_robust_accuracy": (i + 1) / 10 + (0.05 if e == 2 else 0), "state": end,
            "lr0": 10**-i, "opt": "sgd" if i % 2 else "adam", "val_robust_loss": "nan" if t == "e" and e == 3 else 1,
        }
        for i, (t, end) in enumerate(ENDS.items())
        for e in (1, 2, 3)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "c.csv", index=False)
    asked = Asked({"state": "status"}, ("lr0", "opt"), fractions=(), epochs_from=1)
    return import_curves(str(tmp_path / "c.csv"), str(tmp_path / "s"), asked).sweep


def test_states_values_and_curves(curves, tmp_path):
    written, study, trials = read_back(curves, tmp_path / "o.db")
    complete, pruned, fail, waiting = (getattr(TrialState, name) for name in ("COMPLETE", "PRUNED", "FAIL", "WAITING"))
    assert [trial.state for trial in trials] == [complete, pruned, fail, waiting, fail]
    assert written.states == {"COMPLETE": 1, "PRUNED": 1, "FAIL": 2, "WAITING": 1}
    assert trials[0].value == pytest.approx(0.15)  # at its best epoch
    assert trials[1].value == pytest.approx(0.2)  # a stopped one's last
    assert [trial.value for trial in trials[2:]] == [None] * 3
    assert trials[4].intermediate_values == pytest.approx({1: 0.5, 2: 0.55, 3: 0.5})
    assert (study.study_name, study.metric_names, study.direction.name) == ("s", ["val_robust_accuracy"], "MAXIMIZE")


def test_parameters_and_what_stands_beside_them(curves, tmp_path):
    _, study, trials = read_back(curves, tmp_path / "o.db")
    assert [trial.params["config.lr0"] for trial in trials] == [1, 0.1, 0.01, 0.001, 0.0001]
    assert trials[0].distributions == {
        "config.lr0": FloatDistribution(0.0001, 1, log=True), "config.opt": CategoricalDistribution(["adam", "sgd"]),
    }  # fmt: skip
    assert [trial.user_attrs["trial"] for trial in trials] == list(ENDS)
    assert trials[4].user_attrs["status"] == "diverged"
    assert trials[0].user_attrs["value at epoch"] == 2
    assert study.user_attrs["selection"] == "validation"


def test_who_runs_is_running(curves, tmp_path):
    with sweep_lock(curves.folder):
        _, _, trials = read_back(curves, tmp_path / "o.db")
    assert trials[3].state is TrialState.RUNNING


@pytest.mark.parametrize(
    "name", ["asha-finished", "asha-killed", "grid-killed", "optuna-killed", "kd_swa-finished", "pbt-killed"]
)
def test_sweeps_of_every_kind(tmp_path, name):
    sweep = Sweep.open(str(shutil.copytree(STORES / name, tmp_path / name)))
    results = read_results(sweep.folder)
    table = results.frame("trials").set_index("trial")
    _, study, trials = read_back(sweep, tmp_path / "o.db")
    assert len(trials) == (len(table) if sweep.study.dynamic else sweep.study.size)
    for trial in trials:
        name = trial.user_attrs["trial"]
        status = table["status"].get(name, "pending")
        states = {"completed": "COMPLETE", "stopped": "PRUNED", "running": "WAITING", "pending": "WAITING"}
        assert trial.state.name == states.get(status, "FAIL")
        for key, value in trial.params.items() if name in table.index else ():
            assert table[key][name] == pytest.approx(value) if isinstance(value, float) else table[key][name] == value
        if trial.state.is_finished():
            assert trial.datetime_start.timestamp() == pytest.approx(table["started"][name].timestamp(), abs=1e-3)
            assert trial.datetime_complete.timestamp() == pytest.approx(table["ended"][name].timestamp(), abs=1e-3)
    assert study.sampler  # Optuna takes it as a study to go on with
    study.enqueue_trial({})


def test_the_best_value_is_the_ranking_s(tmp_path):
    sweep = Sweep.open(str(shutil.copytree(STORES / "grid-finished", tmp_path / "g")))
    results = read_results(sweep.folder)
    _, study, _ = read_back(sweep, tmp_path / "o.db")
    best = rank(results.frame("trials"), results.frame("epochs")).best(0)
    assert (study.best_trial.user_attrs["trial"], study.best_value) == (best.name, best.score)


def test_a_search_s_space_and_a_key_that_a_trial_lacks(tmp_path):
    (tmp_path / "s.yaml").write_text(SEARCH.replace("objective: [trades]", "objective: [trades, pgd_at]"))
    overrides = {"search.space.objective.beta": None}
    sweep = Sweep.plan(Study.resolve(str(tmp_path / "s.yaml"), overrides=overrides), str(tmp_path), "s")
    sweep.create()
    _, _, trials = read_back(sweep, tmp_path / "o.db")
    assert {trial.state.name for trial in trials} == {"WAITING"}
    known = {key: d for trial in trials for key, d in trial.distributions.items()}
    assert known["optim.lr"] == FloatDistribution(1e-3, 0.5, log=True)
    assert known["attack.eps"] == FloatDistribution(1 / 255, 8 / 255)
    assert known["model.width"] == IntDistribution(4, 6)
    assert [trial.user_attrs["seed"] for trial in trials] == [0, 3] * 5


def test_two_objectives(tmp_path):
    (tmp_path / "s.yaml").write_text(
        SEARCH.replace("algorithm: random", "name: optuna\n  objectives: [natural_accuracy, robust_loss]")
        .replace("scheduler: asha\n", "")
        .replace("seeds: [0, 3]", "seeds: [0]")
    )
    study = Study.resolve(str(tmp_path / "s.yaml"))
    sweep = Sweep.plan(study, str(tmp_path), "s")
    sweep.create()
    values = {"optim.lr": 0.1, "objective.beta": 2.0, "attack.eps": 0.02, "model.width": 5, "objective": "trades"}
    (trial,) = study.point(0, values)
    row = {
        "sweep": "s", "study": "s", "stage": "main", "trial": trial.name, "seed": 0, "status": "completed", "epochs": 2,
        "best_epoch": 1, "selection": "validation", "config": trial.config.as_json(), "config_hash": "x", **trial.swept,
        "proposal": "{}",
    }  # fmt: skip
    write_rows(sweep.folder, "trials", trial.name, [row])
    numbers = [(1, 0.9, 1.5), (2, 0.8, 1.0)]
    epochs = [
        {"trial": trial.name, "epoch": e, "lr": 0.1, "val_natural_accuracy": n, "val_robust_loss": loss}
        for e, n, loss in numbers
    ]
    write_rows(sweep.folder, "epochs", trial.name, epochs)
    written, read, (told,) = read_back(sweep, tmp_path / "o.db")
    assert [direction.name for direction in read.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert told.values == [0.9, 1.5]
    assert told.params == pytest.approx(values)
    assert read.metric_names == list(written.metrics) == ["val_natural_accuracy", "val_robust_loss"]


def test_a_file_is_replaced_only_if_asked_and_whole_or_not_at_all(curves, tmp_path, monkeypatch):
    path = tmp_path / "o.db"
    write_study(curves, path)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"o.db exists; name another file, or replace it with --force"):
        write_study(curves, path)
    monkeypatch.setattr(optuna.Study, "add_trials", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_study(curves, path, force=True)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.csv", "o.db", "s"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--optuna", "no/o.db"],
            "--optuna: no/o.db is no file in a folder that exists; make the folder, or name another",
        ),
        (
            ["--optuna", "o.db", "--trial", "a"],
            "--trial: is of one network, and --optuna writes the whole sweep; leave",
        ),
        (["--trial", "a"], "export: --to is missing; give --trial NAME --to FILE, or --optuna FILE for the sweep"),
        ([], "export: --trial and --to are missing; give"),
    ],
)
def test_what_cannot_be_is_one_line(curves, command, tmp_path, monkeypatch, words, line):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    code, _, errors = command("export", curves.folder, *words)
    assert (code, len(errors)) == (2, 1)
    assert errors[0].startswith(f"tune-at: error: {line}")


def test_a_sweep_without_a_trial_is_refused(tmp_path):
    (tmp_path / "s.yaml").write_text(
        SEARCH.replace("algorithm: random", "name: optuna").replace("scheduler: asha\n", "")
    )
    sweep = Sweep.plan(Study.resolve(str(tmp_path / "s.yaml")), str(tmp_path), "s")
    sweep.create()
    with pytest.raises(UserError, match=r"has no trial yet; wait for the first, or resume the sweep"):
        write_study(sweep, tmp_path / "o.db")


def test_the_command_says_what_it_has_written(curves, command, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    code, lines, errors = command("export", curves.folder, "--optuna", "o.db")
    assert (code, errors) == (0, [])
    assert lines == [
        "o.db: study s of val_robust_accuracy: 1 COMPLETE, 2 FAIL, 1 PRUNED, 1 WAITING",
        "look at it  optuna-dashboard sqlite:///o.db",
    ]
