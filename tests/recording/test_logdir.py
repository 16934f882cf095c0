"""What TensorBoard is started on: links to runs, as they are wanted at the moment."""

import pytest
from events_read import points, runs
from hparams_page import HParamsPage
from s3_server import s3  # noqa: F401
from simulated_events import SimulatedEvents

from tune_at.recording.hparams import STATUS, SWEEP
from tune_at.recording.logdir import Logdir, Shown, count_runs
from tune_at.recording.run_folders import trial_number
from tune_at.store.layout import SweepFolder
from tune_at.store.place import to_place
from tune_at.store.reader import read_table
from tune_at.study.study import Study

STUDY = """\
title: Simulated
base: {data: {name: digits, subset: 64, validation: 0.1}, train: {epochs: 4, batch_size: 32}}
axes: {objective: [pgd_at, trades]}
"""


def simulate(folder, text=STUDY):
    folder.mkdir(parents=True)
    (folder / "made.yaml").write_text(text)
    return SimulatedEvents(folder / "s", Study.resolve(str(folder / "made.yaml")), at_once=2)


@pytest.fixture
def sweep(tmp_path):
    return simulate(tmp_path / "one")


def logdir(root, *sweeps):
    root.mkdir()
    names = {f"s{number}" if number else "s": sweep for number, sweep in enumerate(sweeps)}
    return Logdir(root, {name: (SweepFolder.of(s.folder), s.sweep.study) for name, s in names.items()})


def now(sweep, chosen=None):
    trials = read_table(sweep.folder, "trials")
    return Shown({trial_number(t): s for t, s in zip(trials["trial"], trials["status"], strict=True)}, chosen)


def test_it_follows_a_sweep_that_runs(tmp_path, sweep):
    for _ in range(3):
        sweep.step()
    links = logdir(tmp_path / "links", sweep)
    assert links.refresh({"s": now(sweep)}) == 0
    before = runs(links.folder)
    assert sorted(before) == ["objective=pgd_at/00-s0", "objective=trades/01-s0", "sweep"]
    assert {row["hparams"][STATUS] for row in HParamsPage(links.folder).rows()} == {"running"}
    sweep.finish()
    after = runs(links.folder)
    assert len(points(after["objective=trades/01-s0"], "val/robust_accuracy")) == 4  # as it grows
    # What has ended goes for a moment: of a run that it knows, TensorBoard does not read its status again.
    assert links.refresh({"s": now(sweep)}) == 2
    assert sorted(runs(links.folder)) == ["sweep"]
    assert links.refresh({"s": now(sweep)}) == 0
    assert sorted(runs(links.folder)) == sorted(before)
    statuses = {row["hparams"][STATUS] for row in HParamsPage(links.folder).rows()}
    assert statuses == set(read_table(sweep.folder, "trials")["status"])
    assert links.trials == 2


def test_only_what_is_chosen_is_there(tmp_path, sweep):
    sweep.finish()
    links = logdir(tmp_path / "links", sweep)
    for run in ("objective=trades/01-s0", "objective=pgd_at/00-s0"):
        links.refresh({"s": now(sweep, {trial_number(run)})})
        assert sorted(runs(links.folder)) == [run, "sweep"]
    assert count_runs(SweepFolder.of(sweep.folder)) == 2  # nothing was taken away from the sweep itself


def test_several_sweeps_stand_on_one_page(tmp_path, sweep):
    other = simulate(tmp_path / "two", STUDY.replace("subset: 64", "subset: 66").replace(", trades", ""))
    for each in (sweep, other):
        each.finish()
    links = logdir(tmp_path / "links", sweep, other)
    links.refresh({"s": now(sweep), "s1": now(other)})
    assert sorted(run for run in runs(links.folder) if "sweep" not in run) == [
        "s/objective=pgd_at/00-s0", "s/objective=trades/01-s0", "s1/00-pgd_at-s0"
    ]  # fmt: skip
    page = HParamsPage(links.folder)
    # What is the same in each sweep, but not in both, tells their trials apart.
    assert list(page.declared()) == [STATUS, SWEEP, "data.subset", "objective.name"]
    assert len(page.rows()) == 3
    page.use_every_column()


def test_a_sweep_of_the_older_layout_is_shown(tmp_path, sweep):
    sweep.finish()
    events = sweep.folder / "tensorboard"
    for file in (events / "sweep").iterdir():
        file.rename(events / file.name)  # a run called `.`
    (events / "sweep").rmdir()
    for state in sweep.run.board.states:
        (next(events.rglob(f"{state.name.partition('-')[0]}-*"))).rename(events / state.name)
    links = logdir(tmp_path / "links", sweep)
    links.refresh({"s": now(sweep)})
    assert sorted(runs(links.folder)) == ["00-pgd_at-s0", "01-trades-s0", "sweep"]
    page = HParamsPage(links.folder)
    assert list(page.declared()) == ["objective.name"]  # its trials have no status there
    assert len(page.rows()) == 2


def test_far_events_are_copied_and_grow(tmp_path, sweep, s3):  # noqa: F811
    far = SweepFolder(to_place(s3.uri()))

    def upload():
        for path, place in to_place(sweep.folder / "tensorboard").below().items():
            target = far.events()
            for part in path.split("/"):
                target = target / part
            target.write_whole(place.read_bytes())

    for _ in range(3):
        sweep.step()
    upload()
    root = tmp_path / "links"
    root.mkdir()
    links = Logdir(root, {"s": (far, sweep.sweep.study)})
    links.refresh({"s": Shown({})})
    run = "objective=trades/01-s0"
    read = lambda: runs(links.folder)[run]
    files = {path.name: path.stat().st_ino for path in (links.folder / run).iterdir()}
    assert 0 < len(points(read(), "val/robust_accuracy")) < 4
    sweep.finish()
    upload()
    links.refresh({"s": Shown({})})
    assert len(points(read(), "val/robust_accuracy")) == 4
    # In the same file, which TensorBoard has open.
    assert files.items() <= {path.name: path.stat().st_ino for path in (links.folder / run).iterdir()}.items()
    assert sorted(runs(links.folder)) == ["objective=pgd_at/00-s0", run, "sweep"]
