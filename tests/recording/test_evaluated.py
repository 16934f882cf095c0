"""What is evaluated is written batch by batch, and does not depend on how the work is cut."""

import json

import pytest
import torch

from tune_at.config.attack import AskedAttack
from tune_at.engine.engine import Engine
from tune_at.errors import UserError
from tune_at.recording.evaluated import evaluate_batches
from tune_at.recording.evaluation_plan import (
    TABLES,
    arguments_of,
    find_target,
    fold_tables,
    missing,
    require_examples,
)
from tune_at.recording.planned import load_planned
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store import query, read_arrow
from tune_at.store.layout import SweepFolder
from tune_at.store.schema import TIMES
from tune_at.study.trials import Trial
from tune_at.training.trainer import Trainer

PGD, AUTO = AskedAttack("pgd-5"), AskedAttack("autoattack", eps="0.15")


@pytest.fixture
def trained(tiny, tmp_path):
    """A sweep's folder with one trial."""
    folder = SweepFolder.of(tmp_path / "sweep")
    config = tiny(data={"noise_rate": 0.4, "subset": 120}, train={"epochs": 3, "batch_size": 30})
    here = RecordedTrial(TrialSpec(str(folder), "sweep", "study", "main", "t", config.as_tree(), {}))
    while here.step()["status"] == "running":
        pass
    folder.study.write_whole(b"")
    return folder, Trial("t", config, {})


def work(folder, trial, attacks=(PGD,), number=0, split="test", asked="final", best=2):
    tables = [read_arrow(folder, table) for table in TABLES]
    return missing([find_target(folder, trial, asked, best)], attacks, split, number, *tables)


def do(folder, piece, split="test", batches=None):
    arguments = arguments_of(folder, piece, {}, split)
    evaluate_batches(**{**arguments, "batches": batches or arguments["batches"]})


def rows(folder, table):
    return read_arrow(folder, table).drop_columns(TIMES[table])


def test_products_are_as_exact_as_they_should_be_before_a_checkpoint_is_used(trained, monkeypatch):
    set_of = []
    monkeypatch.setattr(Engine, "set_products", lambda engine: set_of.append(engine))
    folder, trial = trained
    _, snapshot = load_planned(folder, "t", "epoch-000003", 3, trial.config.as_json(), {})
    assert set_of == [snapshot.engine]


def test_an_attack_that_decides_itself_what_has_fallen_gets_the_float32_view(trained, monkeypatch):
    folder, trial = trained
    asked, view = [], Engine.view
    monkeypatch.setattr(
        Engine, "view", lambda engine, net, exact=False: asked.append(exact) or view(engine, net, exact)
    )
    for attack in (AskedAttack("pgd-100"), AskedAttack("cw-101"), AUTO):
        (piece, *_) = work(folder, trial, [attack], number=100)
        do(folder, piece, batches=[0])
    assert asked == [False, True]  # AutoAttack makes its own


def test_the_trials_own_ball_counts_whatever_config_its_checkpoint_had(trained):
    """As after an exploit; the row's settings are those of the trial, too."""
    folder, trial = trained
    attack = trial.config.attack.model_copy(update={"eps": 0.0})
    config = trial.config.model_copy(update={"attack": attack})
    (piece,) = work(folder, Trial("t", config, {}), [AskedAttack("pgd-5")], number=100)
    do(folder, piece)
    (row,) = read_arrow(folder, "evaluations").to_pylist()
    assert row["natural_correct"] == row["correct"] > 0  # nothing falls in a ball of radius 0
    assert json.loads(row["settings"])["eps"] == 0


def test_splits_stand_beside_each_other(trained):
    folder, trial = trained
    for split in ("train", "test"):
        (piece,) = work(folder, trial, number=100, split=split)
        do(folder, piece, split)
    assert [work(folder, trial, number=100, split=split) for split in ("train", "test")] == [[], []]
    assert sorted(read_arrow(folder, "samples")["split"].value_counts().to_pylist(), key=str) == [
        {"values": "test", "counts": 100}, {"values": "train", "counts": 100},
    ]  # fmt: skip


def test_outcomes_do_not_depend_on_how_batches_are_cut(trained, tmp_path):
    folder, trial = trained
    pieces = work(folder, trial, [PGD, AUTO])
    assert [(piece.attack, list(piece.batches)) for piece in pieces] == [
        (AUTO, [0]), (AUTO, [1]), (AUTO, [2]), (AUTO, [3]), (PGD, [0, 1, 2, 3]),
    ]  # fmt: skip
    do(folder, pieces[4])
    for piece in pieces[2:4]:
        do(folder, piece)
    whole = {table: rows(folder, table) for table in TABLES}
    assert whole["samples"].num_rows == 360 + 160
    # Backwards, one by one, after the network was something else, and with other things in the generators.
    for batch in (3, 1, 0, 2):
        torch.manual_seed(batch)
        do(folder, pieces[4], batches=[batch])
    do(folder, pieces[0], batches=[3, 2])
    for table in TABLES:
        assert rows(folder, table).equals(whole[table])
    # What is asked for decides what is done, not what an outcome is.
    assert [piece.batches for piece in work(folder, trial, [AUTO])] == [[0], [1]]
    assert [piece.batches for piece in work(folder, trial, [AUTO], number=100)] == [[0]]
    assert work(folder, trial, [PGD]) == []
    fold_tables(folder)
    assert work(folder, trial, [PGD]) == []
    for table in TABLES:
        assert rows(folder, table).equals(whole[table])


def test_rows_say_what_the_network_does(trained):
    folder, trial = trained
    (piece,) = work(folder, trial, split="train")
    do(folder, piece, "train")
    (row,) = (
        read_arrow(folder, "evaluations").filter(read_arrow(folder, "evaluations")["batch"].to_numpy() == 0).to_pylist()
    )
    assert (row["checkpoint"], row["epoch"], row["split"], row["attack"]) == ("epoch-000003", 3, "train", "pgd-5")
    assert json.loads(row["settings"])["steps"] == 5
    trainer = Trainer(trial.config)
    trainer.load(folder.checkpoint("t", 3))
    samples = read_arrow(folder, "samples").to_pandas().set_index("example").sort_index()
    images = trainer.data["train"]
    with torch.no_grad():
        expected = trainer.evaluated.eval()(images.take(torch.arange(len(images))).x).argmax(1)
    assert samples["natural_prediction"].tolist() == expected.tolist()
    assert samples["trained_label"].tolist() == images.labels.tolist() != samples["label"].tolist()
    assert samples["label"].tolist() == trainer.images.true_labels.tolist()
    assert (samples["correct"] == (samples["robust_prediction"] == samples["trained_label"])).all()
    sums = query(
        folder, "SELECT sum(n) AS n, sum(natural_correct) AS natural_correct, sum(correct) AS correct FROM evaluations"
    )
    assert sums.to_pylist() == [
        {"n": 120, "natural_correct": int((expected == images.labels).sum()), "correct": int(samples["correct"].sum())}
    ]


def test_what_does_not_hold_any_more_is_done_again(trained):
    folder, trial = trained
    (piece,) = work(folder, trial, number=100)
    do(folder, piece)
    assert work(folder, trial, number=100) == []
    # Another epoch, another radius, another meaning of the trial's own radius, another split.
    assert work(folder, trial, number=100, asked="2")
    assert work(folder, trial, [AskedAttack("pgd-5", eps="0.05")], number=100)
    wider = trial.config.model_copy(update={"attack": trial.config.attack.model_copy(update={"eps": 0.2})})
    assert work(folder, Trial("t", wider, {}), number=100)
    assert work(folder, trial, number=50, split="val")
    # A file that is lost.
    (part,) = (folder.place / "store" / "samples" / "t").glob("*.parquet")
    part.unlink()
    assert work(folder, trial, number=100) == [piece]


def test_the_best_checkpoint_may_move(trained):
    folder, trial = trained
    (piece,) = work(folder, trial, number=100, asked="best", best=(best := _best(folder)))
    assert piece.target.checkpoint == "best"
    do(folder, piece)
    assert work(folder, trial, number=100, asked="best", best=best) == []
    (moved,) = work(folder, trial, number=100, asked="best", best=best + 1)
    with pytest.raises(UserError, match=f"its checkpoint best is epoch {best}'s by now, not {best + 1}'s"):
        do(folder, moved)


def _best(folder):
    return read_arrow(folder, "trials")["best_epoch"].to_pylist()[0]


def test_more_images_than_there_are(trained):
    _, trial = trained
    require_examples([trial], "test", 360)
    with pytest.raises(UserError, match="-n: 361 is more than the 360 images that t has in 'test'; give at most 360"):
        require_examples([trial], "test", 361)
    none = trial.config.model_copy(update={"data": trial.config.data.model_copy(update={"validation": 0})})
    with pytest.raises(UserError, match="t has no image in 'val'"):
        require_examples([Trial("t", none, {})], "val", 0)
