"""Finding out, within seconds, whether a cluster can be joined, and saying in one line why not.

`ray.init` takes 20 s to say that it failed, a minute where this machine is no node of the cluster, and fails later and
in other words where the token is missing. So the cluster's head (the GCS, a gRPC server) is asked first, directly.
"""

import json
import os
import platform
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ray

# isort: split
import grpc
from ray.core.generated import gcs_pb2, gcs_service_pb2, gcs_service_pb2_grpc

from tune_at.errors import UserError
from tune_at.tuning.cluster.address import parse_address
from tune_at.tuning.cluster.tokens import REMEDY, known_token, readable_by_others

CONNECT_SECONDS = 3.0
"""Seconds for one answer; a name's look-up, a connection and up to three questions are asked in turn."""
LIMIT = 10.0
"""Seconds for all of it, whatever the system's resolver does."""
START = "start one with `ray start --head`, or omit --address"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Cluster:
    """A cluster that answered, can be joined from here, and has our versions."""

    address: str
    """`HOST:PORT` of its head."""
    authenticated: bool
    """Whether it asks for a token; ours is right."""
    warnings: tuple[str, ...] = ()


def find_cluster(address: str) -> Cluster:
    """Ask the cluster at `address` (`HOST:PORT` or `auto`); raises `UserError` within 15 s if it cannot be joined."""
    host, port, source = _parsed(address)
    return _bounded(lambda: _ask(host, port, source), source)


def _parsed(address: str) -> tuple[str, int, str]:
    """Host, port, and where the address comes from."""
    source = f"--address {address}"
    if address == "auto":
        address, source = _current_cluster()
    host, port = parse_address(address, source)
    return host, port, source


def _current_cluster() -> tuple[str, str]:
    """What `auto` means: `RAY_ADDRESS`, or the cluster that `ray start` has noted on this machine.

    Ray would also take any other Ray that it sees among this machine's processes, such as another sweep's private one.
    """
    if (given := os.environ.get("RAY_ADDRESS", "").strip()) not in ("", "auto"):
        return given, f"--address auto (RAY_ADDRESS={given})"
    temporary = os.environ.get("RAY_TMPDIR") or (sys.platform == "linux" and os.environ.get("TMPDIR")) or "/tmp"
    path = Path(temporary) / "ray" / "ray_current_cluster"
    try:
        noted = path.read_text(encoding="utf-8").strip()
    except OSError:
        raise UserError("--address auto", f"this machine runs no cluster ({path} is not there)", START) from None
    return noted, f"--address auto ({noted}, from {path})"


def _bounded(ask: Callable[[], Answer], source: str) -> Answer:
    """The result of `ask`, or `UserError` after `LIMIT` seconds; a thread, since a look-up of a name cannot be cut."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append((ask(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT)
    if not outcome:
        raise UserError(source, f"no answer within {LIMIT:.0f} s", "check the name and the network")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def _ask(host: str, port: int, source: str) -> Cluster:
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or ("no answer" if isinstance(error, TimeoutError) else str(error))
        remedy = "the cluster is gone: remove the file, or " if "ray_current_cluster" in source else ""
        raise UserError(source, f"no cluster can be reached there: {reason}", remedy + START) from None
    written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with _channel(written) as channel:
        metadata, authenticated, warnings = _authenticate(channel, source)
        _require_versions(metadata, source)
        nodes = _nodes(channel, _headers(known_token()[0]) if authenticated else (), source)
    if not any(_is_here(node) for node in nodes):
        raise UserError(
            source,
            f"this machine is none of its {len(nodes)} nodes ({', '.join(nodes[:4])}{', ...' if nodes[4:] else ''})",
            f"run this on one of them, or join first: ray start --address={written} --num-cpus=0",
        )
    return Cluster(written, authenticated, warnings)


def _channel(address: str) -> "grpc.Channel":
    """A connection as Ray would make it, except that it carries a token only where we add one."""
    options = (("grpc.enable_http_proxy", 0),)
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        return grpc.insecure_channel(address, options=options)
    content = []
    for name in ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_SERVER_CERT"):
        try:
            content.append(Path(os.environ.get(name, "")).read_bytes())
        except OSError as error:
            raise UserError(name, f"no file can be read there: {error.strerror}", "RAY_USE_TLS=1 needs it") from None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(*content), options=options)


def _authenticate(channel: "grpc.Channel", source: str) -> tuple[dict[str, str], bool, tuple[str, ...]]:
    """What the cluster says of itself, whether it asked for a token, and what to warn of."""
    try:
        warning = f"warning: {source} runs without authentication: whoever can reach it can run any code there"
        return _metadata(channel, (), source), False, (f"{warning}; start it with RAY_AUTH_MODE=token",)
    except _Unauthenticated:
        token, origin = known_token()
    if not token:
        raise UserError(source, "the cluster asks for a token, and there is none here", REMEDY)
    try:
        metadata = _metadata(channel, _headers(token), source)
    except _Unauthenticated:
        raise UserError(source, f"the cluster refuses the token from {origin}", REMEDY) from None
    warnings = (f"warning: others can read {origin}: chmod 600 {origin}",) if readable_by_others(origin) else ()
    return metadata, True, warnings


class _Unauthenticated(Exception):
    """The cluster asks for another token, or for one at all."""


Headers = tuple[tuple[str, str], ...]


def _headers(token: str) -> Headers:
    return (("authorization", f"Bearer {token}"),)


def _metadata(channel: "grpc.Channel", headers: Headers, source: str) -> dict[str, str]:
    """The cluster's versions, from the head's key-value store."""
    request = gcs_service_pb2.InternalKVGetRequest(namespace=b"cluster", key=b"CLUSTER_METADATA")
    ask = gcs_service_pb2_grpc.InternalKVGcsServiceStub(channel).InternalKVGet
    try:
        return dict(json.loads(ask(request, timeout=CONNECT_SECONDS, metadata=headers).value or b"{}"))
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise _Unauthenticated from None
        problem = f"something answers there, but it is no Ray ({error.code().name.lower()})"
    except ValueError:
        problem = "something answers there, but not as Ray does"
    raise UserError(source, problem, "name the port of the cluster's head, 6379 unless it was told otherwise")


def _require_versions(metadata: dict[str, str], source: str) -> None:
    """Ray refuses a driver with another version of Ray or Python than the head's; so does this, in one line."""
    parts = 2 if os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL") == "minor" else 3
    for name, key, ours, compared in (
        ("Ray", "ray_version", ray.__version__, None),
        ("Python", "python_version", platform.python_version(), parts),
    ):
        theirs = metadata.get(key, ours)
        if theirs.split(".")[:compared] != ours.split(".")[:compared]:
            raise UserError(
                source, f"the cluster runs {name} {theirs}, this program {name} {ours}", "make them the same"
            )


def _nodes(channel: "grpc.Channel", headers: Headers, source: str) -> list[str]:
    """Addresses of the nodes that are alive, the head first."""
    request = gcs_service_pb2.GetAllNodeInfoRequest(state_filter=gcs_pb2.GcsNodeInfo.GcsNodeState.ALIVE)
    ask = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel).GetAllNodeInfo
    try:
        nodes = sorted(
            ask(request, timeout=CONNECT_SECONDS, metadata=headers).node_info_list, key=lambda n: not n.is_head_node
        )
    except grpc.RpcError as error:
        raise UserError(source, f"the cluster does not say what nodes it has: {error.code().name.lower()}") from None
    first = sorted(nodes, key=lambda node: not node.is_head_node)
    return list(dict.fromkeys(node.node_manager_address for node in first))


def _is_here(address: str) -> bool:
    """Whether an address is one of this machine's: only those can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True
