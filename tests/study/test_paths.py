"""Paths of data and what is known of it, from a study's file to its record and back."""

import os
import shutil
from pathlib import Path

import pictures
import pytest

from tune_at.errors import UserError
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.study.warnings import warnings_of

STUDY = """\
title: Two folders
base:
  data: {name: image_folder, path: pets, image_size: 8}
  model: {name: small_cnn, width: 4}
  train: {epochs: 2, batch_size: 6}
axes:
  data.path: [pets, ../far/birds]
presets:
  one: {data.path: [pets]}
"""

SPACE = """\
title: A space of folders
base:
  data: {name: image_folder, path: pets, image_size: 8}
  train: {epochs: 2, batch_size: 6}
search: {algorithm: random, trials: 3, space: {data.path: {choice: [pets, ../far/birds]}}}
stages: {}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a study and one data set; another set lies elsewhere, and so does the working folder."""
    monkeypatch.setenv("TUNE_AT_CACHE", str(tmp_path / "cache"))
    pictures.folder(tmp_path / "home" / "pets", 8)
    pictures.folder(tmp_path / "far" / "birds", 6, classes=("finch", "owl", "wren"))
    (tmp_path / "home" / "s.yaml").write_text(STUDY)
    (tmp_path / "office").mkdir()
    monkeypatch.chdir(tmp_path / "office")
    return tmp_path / "home"


def test_a_studys_paths_start_from_its_file_and_each_folder_has_its_own_facts(home):
    study = Study.resolve("../home/s.yaml")
    trials = study.trials()
    assert [t.config.data.path for t in trials] == [
        f"{home.parent}/office/../home/pets",
        f"{home.parent}/office/../home/../far/birds",
    ]
    assert [(t.config.data.num_classes, t.config.data.train_size) for t in trials] == [(2, 16), (3, 18)]
    assert [t.config.data.path for t in Study.resolve(str(home / "s.yaml"), "one").trials()] == [str(home / "pets")]


def test_the_choices_of_a_space_are_paths_too(home):
    (home / "s.yaml").write_text(SPACE)
    study = Study.resolve(str(home / "s.yaml"))
    assert {t.config.data.path for t in study.samples()} == {str(home / "pets"), str(home / "../far/birds")}
    assert all(Path(t.config.data.path).is_absolute() for t in study.trials())


def test_a_path_on_the_command_line_starts_from_the_working_folder(home, monkeypatch):
    given = Study.resolve(str(home / "s.yaml"), overrides={"data.path": ["../far/birds"]})
    assert [t.config.data.path for t in given.trials()] == [str(home.parent / "office" / "../far/birds")]
    monkeypatch.setenv("HOME", str(home))
    given = Study.resolve(str(home / "s.yaml"), overrides={"data.path": ["~/pets"]})
    assert [t.config.data.path for t in given.trials()] == [str(home / "pets")]


def test_a_record_needs_neither_the_data_nor_the_working_folder(home, monkeypatch):
    study = Study.resolve(str(home / "s.yaml"), overrides={"data.noise_rate": 0.5})
    configs = [trial.config for trial in study.trials()]
    sweep = Sweep.plan(study, str(home.parent), "a")
    sweep.create()
    shutil.rmtree(home / "pets")
    shutil.rmtree(home.parent / "far")
    monkeypatch.chdir("/")
    again = Sweep.open(str(home.parent / "a"))
    again.require_unchanged()
    assert [trial.config for trial in again.study.trials()] == configs
    assert [trial.config.hash for trial in again.study.trials()] == [config.hash for config in configs]
    assert [t.config.data.train_size for t in again.unfinished()] == [16, 18]
    assert again.study.data.facts == study.data.facts
    (home / "s.yaml").write_text(STUDY.replace("[pets, ../far/birds]", "[pets, other]"))
    with pytest.raises(UserError, match=r"has changed since the sweep began: axes\.data\.path"):
        again.require_unchanged()


def test_a_folder_is_listed_once_however_many_trials_there_are(home, monkeypatch):
    listed = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(os.fspath(path)), scan(path))[1])
    overrides = {"data.noise_rate": 0.5, "seeds": list(range(10)), "data.validation": 0.25, "optim.lr": 0.1}
    study = Study.resolve(str(home / "s.yaml"), "one", overrides)
    assert len(study.trials()) == 10
    again = Study.from_yaml(study.as_yaml(), "x")
    assert len(again.trials()) == 10
    for split in ("train", "test"):
        assert listed.count(str(home / "pets" / split / "cat")) == 1


def test_what_is_not_used_is_said_when_a_sweep_is_planned(home):
    pictures.picture(home / "pets" / "train" / "cat" / "more" / "a.png", 1)
    study = Study.resolve(str(home / "s.yaml"))
    assert warnings_of(study) == [f"warning: data.path {home}/pets: train: 17 files, 16 used, 1 in subfolders"]


def test_facts_are_no_part_of_a_config(home):
    one = Study.resolve(str(home / "s.yaml"), "one")
    pictures.picture(home / "pets" / "train" / "cat" / "a.png", 1)
    two = Study.resolve(str(home / "s.yaml"), "one")
    assert one == two
    assert one.trials()[0].config.hash == two.trials()[0].config.hash
    assert (one.trials()[0].config.data.train_size, two.trials()[0].config.data.train_size) == (16, 17)
