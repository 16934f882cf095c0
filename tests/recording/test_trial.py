"""A trial that records itself, killed and damaged in ways that a test of whole processes meets only by luck."""

import pytest
import torch
from hparams_page import HParamsPage

from tune_at.recording.rows import WORKER_COLUMNS, write_failure
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store import read_table
from tune_at.store.writer import part_path
from tune_at.training.checkpoint import checkpoint_path, checkpoints, load_state


@pytest.fixture
def spec(tmp_path, tiny):
    (tmp_path / "study.yaml").write_text("x")

    def build(trial="t", **sections):
        return TrialSpec(str(tmp_path), "s", "study", "main", trial, tiny(**sections).as_tree(), {"seed_axis": 1})

    return build


def written(folder):
    """Everything below a folder, with its content and time."""
    return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob("*")}


def finish(spec):
    trial = RecordedTrial(spec)
    while trial.step()["status"] == "running":
        pass
    trial.close()


def rows(tmp_path, trial):
    frame = read_table(tmp_path, "epochs")
    return frame[frame["trial"] == trial].drop(columns=["trial", "train_seconds", "evaluation_seconds"]).to_dict("list")


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("lost", ["nothing", "rows", "newest checkpoint", "all checkpoints", "best"])
def test_comes_back_from_what_is_left(tmp_path, spec, lost, every):
    finish(spec("whole"))
    first = RecordedTrial(spec(train={"checkpoint_every": every}))
    for _ in range(3):
        first.step()
    folder = tmp_path / "checkpoints" / "t"
    if lost == "rows":
        part_path(tmp_path, "epochs", "t").unlink()
    elif lost == "newest checkpoint":
        checkpoint_path(folder, 3).write_bytes(b"torn")
    elif lost == "all checkpoints":
        for path in folder.iterdir():
            path.write_bytes(b"torn")
    elif lost == "best":
        (folder / "best.pt").unlink()

    second = RecordedTrial(spec(train={"checkpoint_every": every}))
    if lost != "rows":
        assert rows(tmp_path, "t")["epoch"] == [1, 2, 3]  # what is in the store stays there until it is reached again
    notes = second.step()["notes"]
    expected = {
        "newest checkpoint": ["epoch-000003.pt"] if every == 1 else ["epoch-000003.pt", "starts again"],
        "all checkpoints": ["epoch-000003.pt", *(["epoch-000002.pt"] if every == 1 else []), "starts again"],
    }.get(lost, [])
    if lost == "best" and first.trainer.best.epoch not in ((2, 3) if every == 1 else (3,)):
        expected = ["best.pt"]
    assert len(notes) == len(expected)
    assert all(part in note for part, note in zip(expected, notes, strict=True))
    while second.step()["status"] == "running":
        pass
    second.close()
    assert rows(tmp_path, "t") == rows(tmp_path, "whole")
    if not any("lost" in note for note in notes):
        ours, whole = (load_state(tmp_path / "checkpoints" / name / "best.pt") for name in ("t", "whole"))
        assert ours["epoch"] == whole["epoch"]
        assert all(torch.equal(ours["model"][key], whole["model"][key]) for key in whole["model"])


def test_nothing_is_read_or_written_before_a_trial_is_restored(tmp_path, spec, monkeypatch):
    from tune_at.recording import trial as module

    built = []
    real = module.Trainer

    def counted(config, teachers):
        built.append(config)
        return real(config, teachers)

    monkeypatch.setattr(module, "Trainer", counted)
    (tmp_path / "checkpoints").mkdir()
    before = written(tmp_path)
    fresh = RecordedTrial(spec())
    fresh.close()
    assert written(tmp_path) == before and not built
    assert fresh.restore() is fresh
    assert read_table(tmp_path, "trials")["status"].tolist() == ["running"]
    fresh.step()
    fresh.step()
    # It comes back with its trainer built once, whatever is lost.
    best = tmp_path / "checkpoints" / "t" / "best.pt"
    weights = load_state(best)
    best.unlink()
    built.clear()
    again = RecordedTrial(spec()).restore()
    assert len(built) == 1
    if weights["epoch"] in (1, 2):  # both checkpoints are kept
        assert all(torch.equal(load_state(best)["model"][key], value) for key, value in weights["model"].items())
    assert len(again.trainer.history) == 2


def test_a_result_carries_what_only_its_worker_knows(tmp_path, spec):
    trial = RecordedTrial(spec())
    result = trial.step()
    row = read_table(tmp_path, "trials").iloc[0]
    assert tuple(result["worker"]) == WORKER_COLUMNS
    assert 0 < row["peak_memory_mb"] <= result["worker"]["peak_memory_mb"]
    for column in ("started", "best_epoch", "device", "node"):
        assert row[column] == result["worker"][column], column


def test_finished_trial_started_again_returns_its_last_epoch(tmp_path, spec):
    finish(spec())
    before = part_path(tmp_path, "epochs", "t").read_bytes()
    again = RecordedTrial(spec())
    assert again.step()["epoch"] == 4
    assert part_path(tmp_path, "epochs", "t").read_bytes() == before


def test_a_failure_is_recorded_with_its_cause_and_history(tmp_path, spec):
    trial = RecordedTrial(spec())
    trial.step()
    try:
        raise RuntimeError("out of memory\nlong story")
    except RuntimeError as error:
        path = write_failure(spec(), error)
    row = read_table(tmp_path, "trials").iloc[0]
    assert (row["status"], row["epochs"], row["error"]) == ("failed", 1, "RuntimeError: out of memory")
    assert "long story" in path.read_text()
    assert "Traceback" in path.read_text()
    finish(spec())
    assert read_table(tmp_path, "trials").iloc[0]["status"] == "completed"


def test_a_diverged_trial_is_recorded_as_such(tmp_path, spec):
    finish(spec(optim={"lr": 1e30}))
    row = read_table(tmp_path, "trials").iloc[0]
    assert row["status"] == "diverged"
    assert row["epochs"] == len(read_table(tmp_path, "epochs")) >= 1


def exploit(tmp_path, spec, source, epoch):
    """What the ledger does when PBT replaces a trial after `epoch`: the source's checkpoint beside the trial's own."""
    changes = {"optim.lr": 0.2, "optim.momentum": 0.5}
    replaced = TrialSpec(**{**spec.as_dict(), "lineage": [{"epoch": epoch, "source": source, "changes": changes}]})
    copy = checkpoint_path(tmp_path / "checkpoints" / source, epoch).read_bytes()
    replaced.exploit_path(epoch).write_bytes(copy)
    return replaced


@pytest.mark.parametrize("objective", ["pgd_at", "pgd_at_te", "sat", "co_teaching"])
def test_a_trial_goes_on_from_anothers_weights_with_new_values(tmp_path, spec, objective):
    other = RecordedTrial(spec("other", objective=objective, optim={"lr": 0.01}))
    other.step()
    other.step()
    first = RecordedTrial(spec("t", objective=objective))
    first.step()
    first.step()
    replaced = exploit(tmp_path, spec("t", objective=objective), "other", 2)
    going = RecordedTrial(replaced)
    assert going.step()["epoch"] == 2  # reported again before it goes on
    (row,) = [row for row in HParamsPage(tmp_path).rows() if "/t (" in row["name"]]
    assert row["hparams"]["optim.lr"] == 0.05
    going._exploit()
    (row,) = [row for row in HParamsPage(tmp_path).rows() if "/t (" in row["name"]]
    assert (row["hparams"]["optim.lr"], row["hparams"]["optim.momentum"]) == (0.2, 0.5)  # with what it goes on
    assert [metric["trainingStep"] for metric in row["metricValues"] if metric["name"]["tag"] == "best/epoch"] == [2]
    weights, theirs = going.trainer.model.state_dict(), other.trainer.model.state_dict()
    assert all(torch.equal(weights[key], theirs[key]) for key in theirs)
    group = going.trainer.optimizer.param_groups[0]
    assert (group["momentum"], going.trainer.config.optim.lr) == (0.5, 0.2)
    finish(replaced)
    table = read_table(tmp_path, "epochs")
    assert table[table["trial"] == "t"]["lr"].tolist() == pytest.approx([0.05, 0.05, 0.02, 0.002])
    expected = rows(tmp_path, "t")

    # Killed at any later moment, with or without its newest checkpoint, it ends the same.
    for lost in ([], [4], [4, 3]):
        for epoch in lost:
            checkpoint_path(tmp_path / "checkpoints" / "t", epoch).unlink(missing_ok=True)
        finish(replaced)
        assert rows(tmp_path, "t") == expected


def test_a_trial_that_is_put_aside_leaves_a_checkpoint_but_never_one_from_within_an_epoch(tmp_path, spec, monkeypatch):
    finish(spec("whole"))
    first = RecordedTrial(spec("t", train={"checkpoint_every": 3}))
    first.step()
    first.step()
    first.close()
    folder = tmp_path / "checkpoints" / "t"
    assert [path.name for path in checkpoints(folder)] == ["epoch-000002.pt"]
    second = RecordedTrial(spec("t", train={"checkpoint_every": 3}))
    assert second.step()["epoch"] == 2
    (folder / "epoch-000002.pt").unlink()

    def torn(batch, epoch, chance):
        raise RuntimeError("in the middle of an epoch")

    monkeypatch.setattr(second.trainer, "_update", torn)
    with pytest.raises(RuntimeError):
        second.step()
    second.close()
    assert checkpoints(folder) == []
    finish(spec("t", train={"checkpoint_every": 3}))
    assert rows(tmp_path, "t") == rows(tmp_path, "whole")


def test_copies_of_other_trials_weights_are_kept_as_long_as_they_are_needed(tmp_path, spec):
    other = RecordedTrial(spec("other"))
    for _ in range(2):
        other.step()
    first = RecordedTrial(spec("t"))
    for _ in range(2):
        first.step()
    replaced = exploit(tmp_path, spec("t"), "other", 2)
    going = RecordedTrial(replaced)
    going.step()
    going.step()
    assert replaced.exploit_path(2).exists()  # epoch 2 is the one before the newest: it may have to begin there again
    going.step()
    assert not replaced.exploit_path(2).exists()
