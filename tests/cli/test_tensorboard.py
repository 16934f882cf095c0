"""`tensorboard DIR/NAME`: the real program, as a process, looked at in a browser."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest
from browser import browser_path, needs_browser
from simulated_events import finished_sweep

from tune_at.cli.main import main
from tune_at.cli.tensorboard_server import TensorBoardServer
from tune_at.errors import UserError

ROOT = Path(__file__).parent.parent.parent
STUDY = """\
title: Simulated
base: {data: {name: digits, subset: 64, validation: 0.1}, train: {epochs: 6, batch_size: 32}}
axes: {objective: [pgd_at, trades]}
seeds: [0, 1, 2]
scheduler: {name: asha, grace: 2, eta: 2}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return finished_sweep(tmp_path_factory.mktemp("board"), STUDY)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["tensorboard", *map(str, arguments)])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.count("\n") == 1, error
    return error


def test_what_is_no_sweep_or_an_empty_one_is_told(tmp_path, made, capsys):
    assert "is no sweep: it has no study.yaml" in refused(capsys, tmp_path)
    shutil.copytree(made, tmp_path / "empty", ignore=shutil.ignore_patterns("tensorboard", "store"))
    assert "has no trial yet of which there is something to show" in refused(capsys, tmp_path / "empty")
    assert "is no port" in refused(capsys, made, "--port", "70000")
    assert "is not a whole number above 0" in refused(capsys, made, "--best", "0")


def test_a_port_that_is_taken_is_told_and_nothing_stays_behind(made, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # others may run a TensorBoard of their own beside this
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = refused(capsys, made, "--port", port)
    assert str(port) in error
    assert "--port" in error
    assert list(tmp_path.iterdir()) == []


def test_why_it_has_not_started_is_its_own_last_line(tmp_path):
    server = TensorBoardServer(tmp_path, "localhost", None)
    server.command = [sys.executable, "-c", "import sys; print('ERROR: no such thing.', file=sys.stderr); sys.exit(1)"]
    with pytest.raises(UserError, match=r"^tensorboard: no such thing; name another"), server:
        pass
    assert not server.running


@needs_browser
def test_it_shows_the_best_and_ctrl_c_ends_it(made):
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "run.py", "tensorboard", str(made), "--best", "1", "--port", str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        first, second = process.stdout.readline(), process.stdout.readline()
        assert first == "the best point of s: 3 trials\n"
        address = re.fullmatch(rf"TensorBoard: (http://localhost:{port}/) \(Ctrl-C ends it\)\n", second)[1]
        names = []
        while len(names) < 4:  # it has only begun to read
            names = json.load(urllib.request.urlopen(f"{address}data/runs"))
        assert sorted(name for name in names if name != "sweep")[0].startswith("objective=")
        assert "." not in names
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
            page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
            page.goto(f"{address}#timeseries")
            card = page.locator("card-view").first
            card.wait_for(timeout=60000)
            assert "".join(card.inner_text().split()).startswith("1_selection/val/robust_accuracy")
            page.goto(f"{address}#hparams")
            page.get_by_text("best val robust").first.wait_for(timeout=60000)
            # It stands in the table, and at an axis of a view that is not open.
            page.get_by_text("completed", exact=True).first.wait_for(timeout=60000, state="attached")
            browser.close()
    finally:
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (0, "\nended\n", "")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address)
