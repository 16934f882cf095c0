"""A Ray that we start asks for a token that nobody else can read."""

import json
import os
import stat
import subprocess
import sys

import pytest

from tune_at.tuning.cluster.tokens import write_token

SESSION = """\
import json, os, sys
from pathlib import Path
import ray
from tune_at.errors import UserError
from tune_at.tuning.cluster.session import ray_session
from tune_at.tuning.cluster.connect import find_cluster
from tune_at.tuning.cluster.tokens import TOKEN_PATH

before = dict(os.environ)
with ray_session():
    path = Path(os.environ[TOKEN_PATH])
    modes = [oct(place.stat().st_mode & 0o777) for place in (path, path.parent)]
    address = ray.get_runtime_context().gcs_address
    Path(sys.argv[1]).write_text(address)
    sys.stdin.readline()
    alone = ray.get(ray.remote(lambda: os.environ[TOKEN_PATH]).remote()) == str(path)
left = {k: v for k, v in os.environ.items() if k.startswith("RAY_AUTH") and before.get(k) != v}
print(json.dumps([modes, alone, path.exists(), left]))
"""


def test_the_file_is_never_readable_by_others(tmp_path):
    old = os.umask(0)
    try:
        write_token(tmp_path / "token", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_token(tmp_path / "token", "y")


@pytest.mark.slow
def test_two_sessions_at_a_time_each_with_its_own_token(tmp_path, monkeypatch):
    from tune_at.errors import UserError
    from tune_at.tuning.cluster.connect import find_cluster

    # A home that cannot be written, and a token of the user's that is for another cluster.
    (tmp_path / "home").write_text("no folder")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**clean, "HOME": str(tmp_path / "home"), "RAY_AUTH_TOKEN": "another"}
    sessions = [
        subprocess.Popen(
            [sys.executable, "-c", SESSION, str(tmp_path / name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    while not all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in ("a", "b")):
        assert all(session.poll() is None for session in sessions)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    for name in ("a", "b"):
        with pytest.raises(UserError, match="refuses the token from RAY_AUTH_TOKEN"):
            find_cluster((tmp_path / name).read_text())
    for session in sessions:
        output, _ = session.communicate("go\n", timeout=600)
        assert session.returncode == 0
        assert json.loads(output) == [["0o600", "0o700"], True, False, {}]
