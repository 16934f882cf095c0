"""Probes while a trial trains: they change nothing, and each of their rows is there once, whatever is killed."""

import pandas as pd
import pytest
import torch

from tune_at.config.objective import OBJECTIVES
from tune_at.engine.engine import Engine
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store import read_table
from tune_at.training.checkpoint import checkpoint_path, checkpoints, load_state

PROBES = [
    {"name": "gradient_norms", "every": 2, "samples": 12},
    {"name": "gradient_ratio", "iterations": 5},
    {"name": "gradient_stability", "samples": 4, "points": 3},
    {"name": "gradient_cosine", "samples": 12},
    {"name": "group_gradient_norms", "samples": 5},
]


@pytest.fixture
def spec(tmp_path, tiny, teachers):
    (tmp_path / "study.yaml").write_text("x")

    def build(trial="t", objective="pgd_at", probes=PROBES, **sections):
        config = tiny(objective, **sections)
        roles = {}
        for role, path in teachers(config).items():
            (tmp_path / "checkpoints" / role).mkdir(parents=True, exist_ok=True)
            for name in ("best.pt", "epoch-000004.pt"):
                (tmp_path / "checkpoints" / role / name).write_bytes(path.read_bytes())
            roles[role] = role
        tree = config.as_tree()
        return TrialSpec(str(tmp_path), "s", "study", "main", trial, tree, {}, teachers=roles, probes=probes)

    return build


def finish(spec):
    trial = RecordedTrial(spec)
    while trial.step()["status"] == "running":
        pass
    trial.close()
    return trial


def rows(folder, table, trial="t"):
    frame = read_table(folder, table)
    frame = frame[frame["trial"] == trial].drop(columns=["trial"])
    return frame.drop(columns=["train_seconds", "evaluation_seconds"], errors="ignore").reset_index(drop=True)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_trial_with_probes_equals_one_without_bit_for_bit(objective, spec, tmp_path):
    sections = {"data": {"noise_rate": 0.4, "crop": 1, "flip": True}}
    probes = PROBES if objective != "standard" else [p for p in PROBES if p["name"] != "gradient_ratio"]
    plain = finish(spec("plain", objective, probes=[], **sections)).trainer
    probed = finish(spec("probed", objective, probes=probes, **sections)).trainer
    pd.testing.assert_frame_equal(
        rows(tmp_path, "epochs", "plain"), rows(tmp_path, "epochs", "probed"), check_exact=True
    )
    for key, value in plain.model.state_dict().items():
        assert torch.equal(value, probed.model.state_dict()[key]), key
    assert set(rows(tmp_path, "probes", "probed")["probe"]) == {probe["name"] for probe in probes}
    assert rows(tmp_path, "probes", "plain").empty


def test_each_probe_is_measured_when_it_is_due(spec, tmp_path):
    finish(spec(data={"noise_rate": 0.4}))
    table = rows(tmp_path, "probes")
    epochs = {name: sorted(set(part["epoch"])) for name, part in table.groupby("probe")}
    assert epochs == {
        "gradient_norms": [2, 4],
        "gradient_ratio": [1, 2],  # three batches an epoch
        "gradient_stability": [0],
        "gradient_cosine": [2, 3, 4],
        "group_gradient_norms": [1, 2, 3, 4],
    }
    assert set(table["checkpoint"]) == {""}
    ratio = table[table["probe"] == "gradient_ratio"]
    assert ratio["x"].tolist() == [1, 2, 3, 4, 5]
    assert (table["value"].notna()).all()


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
@pytest.mark.parametrize("lost", ["nothing", "rows", "newest checkpoint", "all checkpoints"])
def test_a_killed_trial_has_each_row_once(cut, lost, spec, tmp_path):
    noisy = {"data": {"noise_rate": 0.4}}
    finish(spec("whole", **noisy))
    first = RecordedTrial(spec(**noisy))
    first.restore()
    for _ in range(cut):
        first.step()
    folder = tmp_path / "checkpoints" / "t"
    if lost == "rows":  # killed after the rows of the next epoch's probes, before its checkpoint
        kept = {path: path.read_bytes() for path in checkpoints(folder)}
        first.step()
        checkpoint_path(folder, cut + 1).unlink()
        for path, data in kept.items():
            path.write_bytes(data)
    elif lost == "newest checkpoint" and cut:
        checkpoint_path(folder, cut).write_bytes(b"torn")
    elif lost == "all checkpoints":
        for path in checkpoints(folder):
            path.write_bytes(b"torn")
    finish(spec(**noisy))
    pd.testing.assert_frame_equal(rows(tmp_path, "probes"), rows(tmp_path, "probes", "whole"), check_exact=True)
    pd.testing.assert_frame_equal(rows(tmp_path, "epochs"), rows(tmp_path, "epochs", "whole"), check_exact=True)


def test_a_checkpoint_without_probes_is_gone_on_from_with_them(spec, tmp_path):
    first = RecordedTrial(spec(probes=[], data={"noise_rate": 0.4}))
    first.step()
    assert "observer" not in load_state(checkpoint_path(tmp_path / "checkpoints" / "t", 1))
    finish(spec(data={"noise_rate": 0.4}))
    table = rows(tmp_path, "probes")
    assert "gradient_stability" not in set(table["probe"])  # it began without
    assert sorted(set(table[table["probe"] == "gradient_cosine"]["epoch"])) == [3, 4]


def test_products_are_as_exact_as_they_should_be_before_anything_is_measured(spec, monkeypatch):
    order = []
    monkeypatch.setattr(Engine, "set_products", lambda engine: order.append("set"))
    trial = RecordedTrial(spec(data={"noise_rate": 0.4}))
    trial.probing.functions = {name: lambda *given: order.append("measured") or () for name in trial.probing.functions}
    trial.restore()
    assert order == ["set", "measured"]  # before any epoch has set it
    watch = trial.probing.watches["gradient_ratio"]
    monkeypatch.setattr(watch, "before_update", lambda *given: order.append("measured") or ())
    order.clear()
    trial.step()
    assert order[:2] == ["set", "measured"]


def test_a_diverged_epoch_is_not_probed(spec, tmp_path):
    trial = finish(spec(optim={"lr": 1e30}, data={"noise_rate": 0.4}))
    assert trial.trainer.status == "diverged"
    last = trial.trainer.history[-1].epoch
    assert last not in set(rows(tmp_path, "probes")["epoch"])
