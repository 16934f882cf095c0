"""`doctor`: what it prints, its exit code, and that it leaves nothing behind."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tune_at.cli.commands.doctor import table_of
from tune_at.cli.main import main
from tune_at.tuning import doctor
from tune_at.tuning.doctor import Check, State

LINES = {
    "versions": lambda: iter([Check(State.OK, "python", "3.11.7")]),
    "data": lambda: iter([Check(State.NOTE, "svhn", "is not in /data", "fetch it")]),
    "storage": lambda: iter([Check(State.FAILED, "storage", "/x: cannot write", "name another folder")]),
}


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """A function that runs `doctor` in an empty folder → (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main(["doctor", *map(str, arguments)])
        out = capsys.readouterr()
        return exit_.value.code, out.out, out.err

    return run


def test_a_machine_on_which_a_run_can_work(call, tmp_path):
    code, out, err = call("--storage", tmp_path / "deep" / "runs")
    assert code == 0, out
    assert err == ""
    assert [line for line in out.splitlines() if not line.startswith(" ")][:5] == [
        "versions", "devices", "data", "storage", "cluster",
    ]  # fmt: skip
    for part in ("fp32", "bf16", "digits", "cifar100", "image_folder", "a fresh Ray", f"{tmp_path}/deep/runs can be"):
        assert part in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kept", "code", "verdict"),
    [
        (["versions"], 0, "A run can work."),
        (["versions", "data"], 0, "A run can work; what is noted above some runs lack."),
        (["versions", "data", "storage"], 1, "No run could work until what FAILED is mended."),
    ],
)
def test_only_what_no_run_could_work_without_is_a_failure(call, monkeypatch, kept, code, verdict):
    monkeypatch.setattr(doctor, "sections", lambda *_: {name: LINES[name] for name in kept})
    found, out, _ = call()
    assert found == code
    assert out.splitlines()[-1] == verdict
    assert ("is not in /data; fetch it" in out) == ("data" in kept)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder in which nobody can write")
def test_storage_that_cannot_be_written(call, tmp_path):
    code, out, _ = call("--storage", "/proc/runs")
    assert code == 1
    assert "FAILED  storage" in out
    assert "/proc/runs: cannot write in /proc: No such file or directory; name another folder with --storage" in out
    file = tmp_path / "file"
    file.touch()
    code, out, _ = call("--storage", file)
    assert code == 1
    assert f"{file} is not a folder; name another folder with --storage" in out
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--address", "nonsense"], "--address nonsense: 'nonsense' is no HOST:PORT"),
        (["--storage", "ftp://b/p"], "ftp://: is an unknown kind of storage"),
    ],
)
def test_a_slip_is_one_line_and_nothing_is_looked_at(call, arguments, line):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"tune-at: error: {line}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width):
    says = "is not in /a/folder/whose/name/is/rather/long/" + "x" * 60
    terminal = Console(width=width, file=io.StringIO())
    terminal.print(table_of([Check(State.NOTE, "cifar100", says, "fetch it")]))
    printed = terminal.file.getvalue()
    assert max(map(len, printed.splitlines())) <= width
    assert "".join(says.split()) in "".join(printed.split())
