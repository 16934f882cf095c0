"""`studies`: begins, goes on and tells; the sweeps themselves are others' matter."""

import json

import pandas as pd
import pytest

from analysis.frames import Frames
from tune_at.cli.commands import studies
from tune_at.cli.main import main


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["studies", *map(str, arguments)])
    return ended.value.code


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """The commands that are called; a sweep leaves a folder that is finished after a resume."""
    made = []

    def record(*arguments):
        made.append(arguments)
        if arguments[0] == "sweep":
            (tmp_path / arguments[-1]).mkdir()
        return 130 if (tmp_path / "interrupt").exists() and arguments[0] == "sweep" else 0

    monkeypatch.setattr(studies, "_call", record)
    running = Frames(pd.DataFrame({"status": ["running"]}), pd.DataFrame())
    monkeypatch.setattr("analysis.frames.load_frames", lambda folder: running)
    monkeypatch.setattr(
        "tune_at.study.sweep.Sweep.open", lambda folder: type("S", (), {"left": lambda self: left[0]})()
    )
    left = [1]
    return made, left


def test_it_begins_goes_on_and_ends(calls, tmp_path, capsys):
    made, left = calls
    (tmp_path / "interrupt").touch()
    assert call("mitigation", "threat_model", "--storage", tmp_path) == 130
    assert [words[0] for words in made] == ["sweep"]
    (tmp_path / "interrupt").unlink()
    assert call("mitigation", "threat_model", "--storage", tmp_path) == 0
    assert [words[0] for words in made[1:]] == ["resume", "evaluate", "sweep"]
    out = capsys.readouterr().out
    assert "mitigation" in out
    assert "cannot be told: 1 trial is not completed" in out
    left[0] = 0
    made.clear()
    assert call("threat_model", "--storage", tmp_path) == 0
    assert made == []
    assert float(json.loads((tmp_path / "threat_model.json").read_text())) >= 0


def test_an_unknown_study_is_one_line(capsys):
    assert call("mitigations") == 2
    assert "studies: 'mitigations' is unknown; did you mean mitigation?" in capsys.readouterr().err


def test_a_command_of_this_program_is_called(capfd):
    assert studies._call("list", "nothing") == 2
    assert "list: 'nothing' is unknown" in capfd.readouterr().err
    assert studies._call("list", "probes") == 0
    assert "gradient_norms" in capfd.readouterr().out
