"""A longer run that begins with a shorter one's state is the run from scratch, bit for bit."""

import shutil

import pytest
import torch
from processes import results

from tune_at.config.objective import OBJECTIVES
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store import read_table
from tune_at.store.layout import SweepFolder
from tune_at.training.checkpoint import load_state

SHORT, LONG = 4, 8
ALONE = [name for name in OBJECTIVES if not OBJECTIVES[name].config().teachers()]
"""Those with teachers need stages, which go without early stopping."""


@pytest.fixture
def specs(tmp_path, tiny):
    """A function objective → the specs of a short and of a long run of one point, and how many epochs they share."""
    (tmp_path / "study.yaml").write_text("x")

    def build(objective="pgd_at", **sections):
        schedule = {"name": "piecewise", "milestones": [0.5]}
        data = {"noise_rate": 0.4, "crop": 1, "flip": True}
        sections = {"data": data, "optim": {"nesterov": True, "schedule": schedule}, **sections}
        config = tiny(objective, **sections)
        short, long = config.lasting(SHORT), config.lasting(LONG)
        shared = short.shared_epochs(LONG)
        begins = {"source": "short", "epoch": shared} if shared else {}
        common = (str(tmp_path), "s", "study", "main")
        return (
            TrialSpec(*common, "short", short.as_tree(), {}, leaves=shared),
            TrialSpec(*common, "long", long.as_tree(), {}, begins=begins),
            shared,
        )

    return build


def finish(spec):
    trial = RecordedTrial(spec)
    said = []
    while True:
        result = trial.step()
        said.append(result)
        if result["status"] != "running":
            break
    trial.close()
    return said


def tables(folder):
    """The long run's rows without the times, its checkpoints' networks, and the epochs that have cost it time."""
    epochs, trials = results(folder, "epochs"), results(folder, "trials")
    rows = epochs.filter(epochs["trial"].to_numpy(zero_copy_only=False) == "long").to_pydict()
    row = trials.filter(trials["trial"].to_numpy(zero_copy_only=False) == "long").to_pydict()
    place = SweepFolder.of(folder)
    networks = [load_state(place.checkpoint("long", LONG)), load_state(place.best("long"))]
    return repr((rows, row)), networks


def same(ours, theirs):
    assert ours[0] == theirs[0]
    for mine, other in zip(ours[1], theirs[1], strict=True):
        assert mine.get("epoch") == other.get("epoch")
        assert mine["config"] == other["config"]
        assert all(torch.equal(mine["model"][key], other["model"][key]) for key in other["model"])


def cost(folder, trial):
    frame = read_table(folder, "epochs")
    return (frame[frame["trial"] == trial]["train_seconds"] > 0).tolist()


def alone(folder, spec):
    """The long run from scratch, and nothing left of it."""
    finish(spec)
    assert cost(folder, "long") == [True] * LONG
    found = tables(folder)
    for path in (folder / "checkpoints" / "long", folder / "store", folder / "tensorboard"):
        shutil.rmtree(path)
    return found


@pytest.mark.parametrize("objective", ALONE)
def test_a_run_that_begins_with_a_shorter_one_s_state_is_the_run_from_scratch(tmp_path, specs, objective):
    short, long, shared = specs(objective)
    expected = alone(tmp_path, long)
    finish(short)
    assert (tmp_path / "checkpoints" / "short" / "branch.pt").exists() == bool(shared)
    said = finish(long)
    same(tables(tmp_path), expected)
    assert cost(tmp_path, "long") == [epoch > shared for epoch in range(1, LONG + 1)]
    if shared:  # the driver hears of the epochs that it did not run
        assert [row["epoch"] for row in said[0]["history"]] == list(range(1, shared))
        assert said[0]["epoch"] == shared
    assert not (tmp_path / "checkpoints" / "short" / "branch.pt").exists()


def test_the_cases_above_are_worth_it(specs):
    shared = {objective: specs(objective)[2] for objective in ALONE}
    assert shared["pgd_at"] == 2 and shared["sat"] < 2 and shared["trades_te"] < 2 and shared["mixed_pgd_at"] == 1


@pytest.mark.parametrize("harm", ["torn", "lost", "of another epoch"])
def test_without_that_state_a_run_starts_from_its_first_epoch(tmp_path, specs, harm):
    short, long, _ = specs()
    expected = alone(tmp_path, long)
    finish(short)
    branch = tmp_path / "checkpoints" / "short" / "branch.pt"
    if harm == "torn":
        branch.write_bytes(branch.read_bytes()[:-100])
    elif harm == "lost":
        branch.unlink()
    else:
        shutil.copy(tmp_path / "checkpoints" / "short" / "epoch-000003.pt", branch)
    notes = finish(long)[0]["notes"]
    assert [("branch.pt" in note, "from its first epoch" in note) for note in notes] == [(True, True)] * (
        harm == "torn"
    )
    same(tables(tmp_path), expected)
    assert all(cost(tmp_path, "long"))


class Killed(Exception):
    pass


@pytest.mark.parametrize("moment", ["best", "checkpoint", "rows"])
def test_killed_while_it_begins(tmp_path, specs, moment, monkeypatch):
    short, long, shared = specs()
    expected = alone(tmp_path, long)
    finish(short)
    trial = RecordedTrial(long)

    def die(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(trial, "_write_rows", die)
        if moment == "best":
            patched.setattr(trial, "_save_best", die)
        elif moment == "checkpoint":
            patched.setattr("tune_at.training.trainer.Trainer.save", die)
        with pytest.raises(Killed):
            trial.restore()
    branch = tmp_path / "checkpoints" / "short" / "branch.pt"
    assert branch.exists() == (moment != "rows")
    finish(long)
    same(tables(tmp_path), expected)
    assert cost(tmp_path, "long") == [epoch > shared for epoch in range(1, LONG + 1)]


def test_the_best_weights_are_those_of_the_epochs_in_common(tmp_path, specs):
    short, _, _ = specs(optim={"lr": 0.02, "schedule": {"name": "constant"}})
    short = TrialSpec(**{**short.as_dict(), "leaves": 2})
    trial = RecordedTrial(short)
    trial.step()
    trial.step()
    at_two = load_state(tmp_path / "checkpoints" / "short" / "best.pt")
    best = trial.trainer.best.epoch
    while trial.step()["status"] == "running":
        pass
    trial.close()
    left = load_state(tmp_path / "checkpoints" / "short" / "branch.pt")["best"]
    assert trial.trainer.best.epoch > 2 >= best == at_two["epoch"]
    assert all(torch.equal(left[key], at_two["model"][key]) for key in left)


def test_a_trial_that_diverges_in_that_epoch_leaves_nothing(tmp_path, specs):
    short, _, _ = specs(optim={"lr": 1e30, "schedule": {"name": "constant"}})
    said = finish(TrialSpec(**{**short.as_dict(), "leaves": 1}))
    assert said[-1]["status"] == "diverged" and said[-1]["epoch"] == 1
    assert not (tmp_path / "checkpoints" / "short" / "branch.pt").exists()
