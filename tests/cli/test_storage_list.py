"""`status DIR`: a line a sweep, whatever state it is in."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tune_at.cli.main import main
from tune_at.cli.storage_list import read_line
from tune_at.store.lock import sweep_lock
from tune_at.store.storage import sweeps_in

STORES = Path(__file__).parent.parent / "stores" / "v1"
NAMES = ("asha-finished", "grid-killed", "optuna-finished")


@pytest.fixture
def storage(tmp_path):
    for name in NAMES:
        shutil.copytree(STORES / name, tmp_path / name, ignore=shutil.ignore_patterns("checkpoints"))
    return tmp_path


def status(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["status", *map(str, arguments)])
    captured = capsys.readouterr()
    return ended.value.code, captured.out.splitlines(), captured.err


def test_each_sweep_has_a_line(storage, capsys):
    code, lines, _ = status(capsys, storage)
    assert code == 0
    assert lines[0] == "3 sweeps: 2 finished, 1 unfinished"
    words = {line.split()[0]: line.split() for line in lines[2:]}
    assert words["asha-finished"][1:5] == ["asha", "finished", "7/7", "3"]
    assert words["grid-killed"][1:5] == ["grid", "short", "unfinished", "3/8"]
    assert "failed" not in lines[1]  # none has: no column is shown for it
    assert lines[1].split()[-1] == "age"


def test_what_runs_comes_first_and_is_called_so(storage, capsys):
    folder = storage / "grid-killed"
    holder = "import sys, tune_at.store.lock as t\nwith t.sweep_lock(sys.argv[1]): print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        process.stdout.readline()
        _, lines, _ = status(capsys, storage)
    finally:
        process.communicate(b"\n")
    assert lines[0] == "3 sweeps: 2 finished, 1 running"
    assert lines[2].split()[0] == "grid-killed"


def test_a_damaged_sweep_hides_no_other(storage, capsys):
    (storage / "asha-finished" / "study.yaml").write_text("# digest: 0\nstudy: x\n")
    code, lines, _ = status(capsys, storage)
    assert code == 0
    assert lines[0] == "3 sweeps: 1 damaged, 1 finished, 1 unfinished"
    assert next(line for line in lines if line.startswith("damaged: ")).count("study.yaml") == 1


def test_a_sweep_without_rows_has_no_age(tmp_path):
    shutil.copytree(STORES / "grid-finished", tmp_path / "g", ignore=shutil.ignore_patterns("checkpoints", "store"))
    line = read_line("g", sweeps_in(tmp_path)["g"])
    assert (line.state, line.ended, line.size, line.began) == ("unfinished", 0, 8, None)
    with sweep_lock(tmp_path / "g"):
        pass  # and reading it has left no lock behind


def test_a_folder_that_has_none_is_no_sweep(tmp_path, capsys):
    code, lines, error = status(capsys, tmp_path)
    assert (code, lines) == (2, [])
    assert error.count("\n") == 1
    assert "is no sweep" in error


def test_as_json_it_can_be_read_by_scripts(storage, capsys):
    from tune_at.cli.storage_list import print_storage

    assert print_storage(sweeps_in(storage), as_json=True) == 0
    read = {line["sweep"]: line for line in json.loads(capsys.readouterr().out)}
    assert set(read) == set(NAMES)
    assert (read["asha-finished"]["stopped"], read["asha-finished"]["state"]) == (3, "finished")
