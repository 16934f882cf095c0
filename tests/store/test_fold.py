"""Folding: whatever moment it is killed at, and whoever reads meanwhile, each row is there once."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import threading

import pytest
from s3_server import s3  # noqa: F401

from tune_at.store import read_arrow
from tune_at.store import snapshot as snapshots
from tune_at.store.failures import DamagedPart
from tune_at.store.fold import BATCH, WIDTH, fold, set_aside, unfold
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import list_files, list_folds
from tune_at.store.place import LocalPlace
from tune_at.store.remote import RemotePlace
from tune_at.store.snapshot import read_snapshot
from tune_at.store.writer import write_rows

TABLES = ("trials", "epochs", "decisions")


def epoch(trial, number, value=None, **columns):
    value = number / 10 if value is None else value
    return {"trial": trial, "epoch": number, "lr": 0.1, "test_robust_accuracy": value, **columns}


def trial_row(trial, status="completed", epochs=3):
    return {
        "sweep": "s", "study": "s", "stage": "main", "trial": trial, "seed": 0, "status": status, "epochs": epochs,
        "selection": "validation", "config": '{"é": 1}', "config_hash": "0",
        # A swept column that only some trials have.
        "beta": 6.0 if trial[3] == "2" else None,
    }  # fmt: skip


def write_trials(folder, names, value=None):
    for name in names:
        scalars = {"objective_kl": 0.5} if name[3] == "3" else {}
        write_rows(folder, "epochs", name, [epoch(name, number, value, **scalars) for number in (1, 2, 3)])
        write_rows(folder, "trials", name, [trial_row(name)])


def names(count, first=0):
    return [f"{number:04d}-lr=0.1-s0" for number in range(first, first + count)]


def tables(folder):
    return {table: read_arrow(folder, table) for table in TABLES}


def same(one, other):
    return all(one[table].sort_by("trial").equals(other[table].sort_by("trial")) for table in TABLES) and all(
        one[table]["trial"].to_pylist() == other[table]["trial"].to_pylist() for table in TABLES
    )


@pytest.fixture
def local(tmp_path):
    folder = SweepFolder.of(tmp_path / "sweep")
    folder.study.write_whole(b"x")
    return folder


@pytest.fixture(params=["local", "s3"])
def folder(request):
    if request.param == "local":
        return request.getfixturevalue("local")
    folder = SweepFolder.of(request.getfixturevalue("s3").uri())
    folder.study.write_whole(b"x")
    return folder


def test_many_parts_become_few_files_with_the_same_rows(local):
    everyone = names(150)
    for start in range(0, 150, 10):
        write_trials(local, everyone[start : start + 10])
        fold(local, everyone[: start + 10])
    expected = tables(local)
    assert expected["epochs"].num_rows == 450
    files = list_files(local, "epochs")
    assert len(files.folds) <= 2 * WIDTH
    assert len(files.parts) < BATCH
    assert not files.merged
    fold(local, everyone, last=True)
    for table in ("trials", "epochs"):
        files = list_files(local, table)
        assert (len(files.folds), len(files.parts)) == (1, 0)
    assert same(tables(local), expected)
    assert read_arrow(local, "trials").schema.field("beta").type == "double"


def test_a_small_sweep_and_trials_that_run_keep_their_parts(local):
    write_trials(local, names(BATCH - 1))
    fold(local, names(BATCH - 1), last=True)
    assert not list_files(local, "epochs").folds
    write_trials(local, names(BATCH + 5))
    fold(local, names(BATCH))
    files = list_files(local, "epochs")
    assert len(files.folds) == 1
    assert set(files.parts) == set(names(5, first=BATCH))


class Killed(BaseException):
    """The process is gone."""


@contextlib.contextmanager
def killed_at(step, monkeypatch):
    """Whoever changes the storage for the `step`-th time is killed before it; `taken` counts."""
    taken = [0]

    def guard(method):
        def changed(self, *arguments, **options):
            if taken[0] == step:
                raise Killed
            taken[0] += 1
            return method(self, *arguments, **options)

        return changed

    with monkeypatch.context() as patch:
        for place in (LocalPlace, RemotePlace):
            for name in ("write_whole", "unlink", "move_to"):
                patch.setattr(place, name, guard(getattr(place, name)))
        yield taken


@pytest.fixture
def one_by_one(monkeypatch):
    """Parts are removed in turn on far storage, too, so that a step is a step."""
    monkeypatch.setattr("tune_at.store.fold.each", lambda places, action: [action(place) for place in places])


def almost_folded(folder):
    """Three folds, parts for a fourth, and one trial that ran again after it was folded."""
    everyone = names(WIDTH * BATCH)
    for part in range(WIDTH - 1):
        write_trials(folder, everyone[part * BATCH : (part + 1) * BATCH])
        fold(folder, everyone)
    write_trials(folder, everyone[:1], value=0.9)
    write_trials(folder, everyone[(WIDTH - 1) * BATCH :])
    expected = tables(folder)
    assert expected["epochs"].num_rows == 3 * len(everyone)
    assert expected["epochs"].slice(0, 3)["test_robust_accuracy"].to_pylist() == [0.9] * 3
    return everyone, expected


def assert_folded(folder, expected):
    assert same(tables(folder), expected)
    for table in ("epochs", "trials"):
        files = list_files(folder, table)
        assert (len(files.folds), len(files.parts), len(files.merged)) == (1, 0, 0)


def test_killed_at_each_step_no_row_is_lost_or_doubled(local, tmp_path, monkeypatch, one_by_one):
    everyone, expected = almost_folded(local)
    for step in range(1000):
        copy = SweepFolder.of(shutil.copytree(local.place, tmp_path / f"copy-{step}"))
        with killed_at(step, monkeypatch):
            try:
                fold(copy, everyone)
                break
            except Killed:
                pass
        assert same(tables(copy), expected), step
        fold(copy, everyone, last=True)
        assert_folded(copy, expected)
    assert step > 2 * BATCH
    assert_folded(copy, expected)


def test_killed_again_and_again_it_comes_to_an_end(folder, monkeypatch, one_by_one):
    everyone, expected = almost_folded(folder)
    for turn in range(200):
        with killed_at(5, monkeypatch):
            try:
                fold(folder, everyone, last=True)
                break
            except Killed:
                pass
        if turn % 3 == 0:
            assert same(tables(folder), expected), turn
    assert turn > 3
    assert_folded(folder, expected)


KILLED = """
import os, sys
from tune_at.store.fold import fold
from tune_at.store.layout import SweepFolder
from tune_at.store.place import LocalPlace
from tune_at.store.remote import RemotePlace

left = [int(sys.argv[2])]
def guard(method):
    def changed(self, *arguments, **options):
        if left[0] == 0:
            os.kill(os.getpid(), 9)
        left[0] -= 1
        return method(self, *arguments, **options)
    return changed
for place in (LocalPlace, RemotePlace):
    for name in ("write_whole", "unlink"):
        setattr(place, name, guard(getattr(place, name)))
fold(SweepFolder.of(sys.argv[1]), sys.argv[3].split(), last=True)
"""


@pytest.mark.parametrize("step", [0, 1, 2, BATCH, BATCH + 1, BATCH + 3])
def test_kill_9(folder, step):
    everyone = names(BATCH + 2)
    write_trials(folder, everyone)
    expected = tables(folder)
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(step), " ".join(everyone)], env=os.environ)
    assert done.returncode == -9
    assert same(tables(folder), expected)
    fold(folder, everyone, last=True)
    assert same(tables(folder), expected)
    assert not list_files(folder, "trials").parts


@pytest.mark.parametrize("moment", ["listed", "folds missed"])
def test_a_reader_that_began_before_the_fold(folder, monkeypatch, moment):
    everyone = names(BATCH + 2)
    write_trials(folder, everyone)
    expected = tables(folder)
    began = []

    def after_listing(folder, table):
        if began:
            return list_files(folder, table)
        began.append(table)
        if moment == "listed":  # the parts that it knows are gone when it reads them
            files = list_files(folder, table)
            fold(folder, everyone, last=True)
            return files
        # It looks for parts when they are gone, having looked for folded files before there were any.
        fold(folder, everyone, last=True)
        return type(list_files(folder, table))(list_files(folder, table).parts)

    monkeypatch.setattr(snapshots, "list_files", after_listing)
    for table in ("epochs", "trials"):
        began.clear()
        write_trials(folder, everyone)
        assert read_arrow(folder, table).equals(expected[table])


def test_readers_beside_a_driver_that_folds_and_runs_trials_again(local):
    everyone, stop, problems, looked = names(60), threading.Event(), [], []
    write_trials(local, everyone)

    def read():
        while not stop.is_set():
            snapshot = read_snapshot(local, strict=True)
            looked.append(1)
            for table, rows in (("trials", 1), ("epochs", 3)):
                counts = snapshot.frame(table).groupby("trial").size()
                if counts.to_dict() != dict.fromkeys(everyone, rows):
                    problems.append((table, counts))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    draw = random.Random(0)
    try:
        for turn in range(12):
            write_trials(local, draw.sample(everyone, 25), value=turn / 20)
            fold(local, everyone, last=turn % 5 == 4)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert looked
    assert problems == []


def test_a_trial_that_runs_again_after_it_was_folded_wins(local):
    everyone = names(BATCH)
    write_trials(local, everyone)
    fold(local, everyone, last=True)
    again = everyone[3]
    unfold(local, read_snapshot(local), [again])
    assert set(list_files(local, "epochs").parts) == {again}
    write_rows(local, "epochs", again, [epoch(again, 1, 0.77)])
    write_rows(local, "trials", again, [trial_row(again, "failed", 1)])
    for _ in range(2):
        rows = read_arrow(local, "epochs").to_pylist()
        assert [row["test_robust_accuracy"] for row in rows if row["trial"] == again] == [0.77]
        assert len(rows) == 3 * BATCH - 2
        fold(local, everyone, last=True)
    assert len(list_files(local, "epochs").folds) == 1


@pytest.mark.parametrize("table", ["trials", "epochs"])
def test_a_damaged_fold_is_named_set_aside_and_its_trials_are_to_be_run(local, table):
    everyone = names(BATCH)
    write_trials(local, everyone)
    fold(local, everyone, last=True)
    write_trials(local, names(2, first=BATCH))
    (place,) = [one.place for one in list_folds(local, table)[0]]
    place.write_whole(place.read_bytes()[:-30])
    with pytest.raises(DamagedPart, match=r"000001-000001\.parquet: is damaged: .*resume"):
        read_arrow(local, table)
    snapshot = read_snapshot(local)
    assert snapshot.damaged_trials == set(everyone)
    torn = place.read_bytes()
    (line,) = set_aside(local, snapshot)
    assert str(place) in line
    assert "written again" in line
    assert [path.read_bytes() for path in local.damaged.files()] == [torn]  # moved, not removed
    assert read_arrow(local, table)["trial"].unique().to_pylist() == names(2, first=BATCH)
    # The other table's rows are as they were; its trials get their own parts back, which their workers look for.
    other = "epochs" if table == "trials" else "trials"
    unfold(local, snapshot, everyone)
    assert len(list_files(local, other).parts) == BATCH + 2
    write_trials(local, everyone)
    fold(local, names(BATCH + 2), last=True)
    assert len(read_arrow(local, table)["trial"].unique()) == BATCH + 2


def test_what_a_merge_left_is_removed_only_if_the_merged_file_is_whole(local):
    everyone = names(2 * BATCH)
    for half in (everyone[:BATCH], everyone[BATCH:]):
        write_trials(local, half)
        fold(local, half)
    expected = tables(local)
    kept = {one.place: one.place.read_bytes() for one in list_folds(local, "epochs")[0]}
    assert len(kept) == 2
    fold(local, everyone, last=True)
    (merged,) = [one.place for one in list_folds(local, "epochs")[0]]
    for place, data in kept.items():
        place.write_whole(data)
    whole = merged.read_bytes()
    merged.write_whole(whole[:-9])
    fold(local, everyone)
    assert all(place.exists() for place in kept)
    set_aside(local, read_snapshot(local))
    assert same(tables(local), expected)
    merged.write_whole(whole)
    assert same(tables(local), expected)
    fold(local, everyone)
    assert not any(place.exists() for place in kept)
    assert same(tables(local), expected)


def test_a_damaged_part_is_set_aside_here_and_on_far_storage(folder):
    write_trials(folder, names(3))
    place = folder.part("epochs", names(1)[0])
    torn = place.read_bytes()[:-30]
    place.write_whole(torn)
    snapshot = read_snapshot(folder)
    assert snapshot.damaged_trials == set(names(1))
    (line,) = set_aside(folder, snapshot)
    (moved,) = folder.damaged.files()
    assert line.startswith(f"{place}: is damaged: ")
    assert str(moved) in line
    assert moved.read_bytes() == torn
    assert not place.exists()
    assert read_arrow(folder, "epochs")["trial"].unique().to_pylist() == names(2, first=1)
