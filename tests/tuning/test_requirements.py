"""All that is missing is said at once, before Ray starts, with a preset that would run."""

import sys

import pytest

from tune_at.cli.main import main
from tune_at.config.facts import KnownData
from tune_at.errors import UserError
from tune_at.store.place import to_place
from tune_at.study.study import Study
from tune_at.tuning import requirements
from tune_at.tuning.requirements import fitting_preset, missing, require

HERE = {"CPU": 2.0, "GPU": 0.0}


@pytest.fixture(autouse=True)
def a_small_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(requirements, "this_machine", lambda: HERE)
    monkeypatch.setenv("TUNE_AT_DATA", str(tmp_path / "no data"))
    monkeypatch.chdir(tmp_path)


def refused(*arguments, capsys):
    """The one line of a command that is refused."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    assert ended.value.code == 2
    assert captured.err.count("\n") == 1
    assert "starting Ray" not in captured.out
    return captured.err


def test_a_study_for_gpus_and_cifar_on_a_laptop(capsys, tmp_path):
    line = refused("sweep", "noise_rate", "--storage", "/proc/no", capsys=capsys)
    assert line.startswith("tune-at: error: noise_rate cannot run here: 4 problems: ")
    for number, problem in enumerate(
        (
            "resources.cpu: 4 CPUs a trial, but this machine has 2; set resources.cpu to at most 2",
            "resources.gpu: 1 GPU a trial, but this machine has none; set resources.gpu=0 to train on CPUs",
            f"data set cifar10: is not in {tmp_path}/no data; `python run.py data fetch cifar10 --data-dir"
            f" '{tmp_path}/no data'` downloads it",
            "--storage: cannot write in /proc",
        ),
        1,
    ):
        assert f"({number}) {problem}" in line
    assert "preset" not in line  # with that storage none would run


def test_the_preset_that_would_run(capsys, tmp_path):
    line = refused("sweep", "noise_rate", capsys=capsys)
    assert "3 problems" in line
    assert line.endswith("; or choose --preset laptop, which runs here\n")
    assert list(tmp_path.iterdir()) == []
    # One thing alone is told as ever, and with the preset.
    line = refused("sweep", "noise_rate", "--set", "resources.cpu=1", "--set", "resources.gpu=0", capsys=capsys)
    assert line.startswith("tune-at: error: data set cifar10: is not in ")
    assert line.endswith(", or choose --preset laptop, which runs here\n")


def test_the_remedies_work(capsys):
    study = Study.resolve("noise_rate", "laptop")
    assert missing(study.samples(), study.data) == []
    require(study, study.samples(), storage=to_place("."))
    assert fitting_preset(Study.resolve("noise_rate", overrides={"resources.cpu": 3})) == ""  # --set goes with it


def test_a_preset_that_would_not_run_is_not_advised(monkeypatch):
    monkeypatch.setattr(requirements, "this_machine", lambda: {"CPU": 0.0, "GPU": 0.0})
    assert fitting_preset(Study.resolve("noise_rate")) == ""


def test_what_ray_does_not_tell_beforehand_is_not_missing(monkeypatch):
    monkeypatch.setattr(requirements, "this_machine", lambda: None)
    study = Study.resolve("noise_rate", overrides={"data.name": "digits", "data.subset": 100, "train.batch_size": 50})
    assert missing(study.samples(), study.data) == []


def test_each_data_set_once(monkeypatch, tiny):
    from tune_at.study.trials import Trial

    asked = []

    def settle(known, sections):
        asked.extend(section.name for section in sections)
        raise UserError("data set", "is absent")

    monkeypatch.setattr(requirements, "settle", settle)
    trials = [Trial(str(seed), tiny(seed=seed, data={"noise_rate": seed / 10}), {}) for seed in range(4)]
    assert [str(problem) for problem in missing(trials, KnownData())] == ["data set: is absent"]
    assert asked == ["digits"]


def test_what_a_fresh_ray_would_have_is_what_ray_says():
    """Without a Ray: that it is so with one, `test_packing` and `test_main` see."""
    from tune_at.tuning.cluster.session import this_machine

    here = this_machine()
    if here is None:
        pytest.skip("this version of Ray does not tell")
    assert here["CPU"] >= 1
    assert "torch" in sys.modules or here["GPU"] >= 0


def test_resources_that_are_overridden(monkeypatch):
    from tune_at.tuning.cluster.session import this_machine

    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 5, "GPU": 2}')
    assert this_machine() in (None, {"CPU": 5.0, "GPU": 2.0})
