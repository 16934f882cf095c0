"""What a sweep's end prints: commands and paths that can be pasted into a shell."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tune_at.cli.main import main

STORES = Path(__file__).parent.parent / "stores" / "v1"


@pytest.mark.parametrize("name", ["my ε sweep", "it's", "a$HOME & `b`"])
def test_what_is_printed_can_be_pasted(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(STORES / "asha-finished", tmp_path / name / "s")
    with pytest.raises(SystemExit) as exit_:
        main(["resume", str(tmp_path / name / "s")])
    assert exit_.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    printed = {line.split()[0]: line for line in lines if line.startswith(("store ", "curves ", "figures "))}
    assert shlex.split(printed["store"]) == ["store", f"{name}/s/store"]
    assert shlex.split(printed["curves"])[-2:] == ["tensorboard", f"{name}/s"]
    command = printed["figures"].removeprefix("figures").strip()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert [Path(*shlex.split(line)).suffix for line in done.stdout.splitlines()] == [".html", ".png", ".csv"]
    assert all((tmp_path / Path(*shlex.split(line))).is_file() for line in done.stdout.splitlines())
