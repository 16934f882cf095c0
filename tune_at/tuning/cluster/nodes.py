"""Before a sweep starts on several nodes: can each of them run our code, and does it see the sweep's storage?"""

import contextlib
import secrets
import socket
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_at.errors import UserError
from tune_at.store.place import Place, to_place
from tune_at.store.remote import RemotePlace
from tune_at.version import __version__

TASK_SECONDS = 60.0
"""Seconds for a node's answer; starting a worker and importing this package may take a slow disk long."""
SETTLING = 5.0
"""Seconds within which a network file system shows a new file to other nodes."""


def unfit_nodes(storage: Place) -> list[UserError]:
    """What is wrong with the nodes that trials may go to: each must run our code and see the folder `storage`.

    Asks nothing where there is one node only. The folder is made if need be, and removed again if it is refused.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return []
    asked = [node for node in nodes if node["Resources"].get("CPU", 0) >= 1]
    with _nonce(storage) as nonce:
        answers = [_look.options(scheduling_strategy=_on(node)).remote(str(nonce)) for node in asked]
        deadline = time.monotonic() + TASK_SECONDS
        problems = [_judge(node, answer, storage, deadline) for node, answer in zip(asked, answers, strict=True)]
    return [problem for problem in problems if problem is not None]


def _judge(node: dict[str, Any], answer: Any, storage: Place, deadline: float) -> UserError | None:
    """What is wrong with a node, by its answer until `deadline`."""
    where = f"node {node['NodeManagerAddress']} ({node['NodeManagerHostname']})"
    try:
        seen, version = ray.get(answer, timeout=max(0.1, deadline - time.monotonic()))
    except ray.exceptions.GetTimeoutError:
        return UserError(where, f"does not run a task within {TASK_SECONDS:.0f} s", "see its logs")
    except ray.exceptions.RayError as error:
        remedy = "install tune-at and its dependencies there, as here"
        return UserError(where, f"cannot run a task: {_last_line(error)}", remedy)
    if version != __version__:
        return UserError(where, f"has tune-at {version}, here is {__version__}", "make them the same")
    if not seen:
        remedy = "name a folder that all nodes share (NFS, Lustre, EFS, ...)"
        return UserError("--storage", f"{storage} is not the same folder on {where}", remedy)
    return None


@ray.remote(num_cpus=0, max_retries=1)
def _look(nonce: str) -> tuple[bool, str]:
    deadline = time.monotonic() + SETTLING
    while not (seen := to_place(nonce).exists()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return seen, __version__


def _on(node: dict[str, str]) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)


@contextlib.contextmanager
def _nonce(storage: Place) -> Iterator[Place]:
    """A file of a name that exists nowhere else; it is removed, and so are the folders made for it unless in use."""
    name = f".tune-at-{socket.gethostname()}-{secrets.token_hex(8)}.tmp"
    if isinstance(storage, RemotePlace):
        path = storage / name
        path.write_whole(b"")
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
        return
    made = [folder for folder in (storage, *storage.parents) if not folder.exists()]
    storage.mkdir(parents=True, exist_ok=True)
    local = storage / name
    local.touch()
    try:
        yield local
    finally:
        local.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else uses them by now
            for folder in made:
                folder.rmdir()


def _last_line(error: Exception) -> str:
    """Ray puts a traceback first; the cause is its last line."""
    return next(line.strip() for line in reversed(str(error).splitlines()) if line.strip())
