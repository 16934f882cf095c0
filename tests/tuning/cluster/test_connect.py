"""Addresses at which no cluster can be joined: each is one line, within 15 s. No Ray runs here."""

import contextlib
import http.server
import socket
import threading
import time
from argparse import Namespace

import pytest

from tune_at.cli.main import build_parser
from tune_at.errors import UserError
from tune_at.tuning.cluster import connect
from tune_at.tuning.cluster.connect import find_cluster
from tune_at.tuning.launch import Launch


@pytest.fixture(autouse=True)
def a_clean_environment(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))


def refused(address):
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        find_cluster(address)
    assert time.monotonic() - began < 15
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        yield taken.getsockname()[1]


@pytest.mark.parametrize("address", ["10.0.0.1", "h:", ":6379", "h:0", "h:65536", "h:6379x", "a b:1", "h:1:2", ""])
def test_malformed(address):
    assert f"{address!r} is no HOST:PORT; write HOST:PORT, such as 10.0.0.5:6379, or auto" in refused(address)


def test_a_ray_client_address():
    assert "Ray Tune runs on a node of the cluster" in refused("ray://10.0.0.1:10001")


def test_nothing_listens(closed_port):
    expected = f"--address 127.0.0.1:{closed_port}: no cluster can be reached there: Connection refused; start one with"
    assert refused(f"127.0.0.1:{closed_port}").startswith(expected)


def test_an_unknown_name():
    assert "no cluster can be reached there" in refused("no-such-host.invalid:6379")


def test_a_web_server_answers():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert "it is no Ray (unavailable); name the port" in refused(f"127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def test_something_accepts_and_says_nothing():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "it is no Ray (deadline_exceeded)" in refused(f"127.0.0.1:{silent.getsockname()[1]}")


def test_packets_are_dropped():
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # fills the queue; Linux then drops what asks for more
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        assert "no cluster can be reached there: no answer" in refused(f"127.0.0.1:{full.getsockname()[1]}")


def test_auto_without_a_cluster(tmp_path):
    expected = f"--address auto: this machine runs no cluster ({tmp_path}/ray/ray_current_cluster is not there); start"
    assert refused("auto").startswith(expected)


def test_auto_with_a_file_that_is_left_over(tmp_path, closed_port):
    path = tmp_path / "ray" / "ray_current_cluster"
    path.parent.mkdir()
    path.write_text(f"127.0.0.1:{closed_port}")
    message = refused("auto")
    assert f"(127.0.0.1:{closed_port}, from {path}): no cluster can be reached there: Connection refused" in message
    assert "the cluster is gone: remove the file" in message
    path.write_text("half an addr")
    assert f"from {path}): 'half an addr' is no HOST:PORT" in refused("auto")


def test_auto_obeys_the_environment(monkeypatch, closed_port):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    assert refused("auto").startswith(f"--address auto (RAY_ADDRESS=127.0.0.1:{closed_port}): no cluster")


def test_a_resolver_that_hangs(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(60))
    monkeypatch.setattr(connect, "LIMIT", 1.0)
    assert refused("h:6379") == "--address h:6379: no answer within 1 s; check the name and the network"


def test_tls_without_its_files(monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("RAY_USE_TLS", "1")
        monkeypatch.setenv("RAY_TLS_CA_CERT", "/nowhere/ca.pem")
        assert refused(f"127.0.0.1:{silent.getsockname()[1]}").startswith("RAY_TLS_CA_CERT: no file can be read there")


def test_launch_options():
    parsed = build_parser().parse_args(["resume", "runs/a", "--address", "auto", "--concurrency", "3", "--ship-data"])
    assert Launch.of(parsed) == Launch("auto", 3, True)
    assert Launch.of(build_parser().parse_args(["sweep", "noise_rate"])) == Launch()
    assert isinstance(parsed, Namespace)
