"""Ray itself: starting or joining it, quietly, and asking what its nodes have."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Read when ray is first imported.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # relative paths in a study mean the same in a worker
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # a lost worker is one line of ours, not thirty of Ray's
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.tune.execution import class_cache

from tune_at.errors import UserError
from tune_at.tuning.cluster.connect import find_cluster
from tune_at.tuning.cluster.tokens import cluster_authentication, local_authentication
from tune_at.tuning.interruption import uninterrupted
from tune_at.tuning.machines import Capacity

# Tune hands these on to its workers by way of a runtime environment, which Ray writes into its logs in clear. Workers
# on this machine inherit the driver's environment; nodes of a cluster have credentials of their own.
class_cache.ENV_VARS_TO_PROPAGATE -= {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}

OBJECT_STORE_BYTES = 256 * 2**20
"""Shared memory that a local Ray reserves; trials pass only small results through it."""


SENT = ("TUNE_AT_DATA", "RAY_CHDIR_TO_TRIAL_DIR", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO")
"""Variables that workers of a cluster that we join need from here; those of a fresh Ray inherit them."""


@contextmanager
def ray_session(address: str = "", store_bytes: int | None = OBJECT_STORE_BYTES) -> Iterator[tuple[str, ...]]:
    """A running Ray for the block, with what to warn of: a fresh one on this machine, or the cluster at `address`.

    `store_bytes`: size of a fresh one's object store; None leaves it to Ray, a third of the memory.

    Raises `UserError` within 15 s if there is no cluster at `address` that can be joined.
    """
    cluster = find_cluster(address) if address else None
    options: dict[str, Any] = {"address": "local", "include_dashboard": False, "object_store_memory": store_bytes}
    if cluster:
        sent = {name: os.environ[name] for name in SENT if name in os.environ}
        options = {"address": cluster.address, "runtime_env": {"env_vars": sent}}
    with cluster_authentication(cluster.authenticated) if cluster else local_authentication():
        try:
            with uninterrupted():  # half a Ray cannot be shut down
                ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **options)
        except KeyboardInterrupt:
            ray.shutdown()
            raise
        except (RuntimeError, OSError, ray.exceptions.RayError) as error:
            ray.shutdown()
            where = f"--address {address}" if address else "Ray"
            raise UserError(where, f"cannot be {'joined' if address else 'started'}: {first_line(error)}") from error
        # A node's death would print its raylet's last twenty log lines into our view; `log_to_driver` does not help.
        ray._private.worker._worker_logs_enabled = False
        # Tune reports progress at INFO and WARNING through its own loggers; ours is the one view.
        for name in ("ray", "ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.ERROR)
        # Tune counts a trial that was given to it again as incomplete.
        logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
        try:
            yield cluster.warnings if cluster else ()
        finally:
            ray.shutdown()


def node_is_alive() -> bool:
    """Whether the part of Ray that starts workers on this machine still runs; Tune would wait for it for ever."""
    here = ray.get_runtime_context().get_node_id()
    return any(node["NodeID"] == here and node["Alive"] for node in ray.nodes())


def first_line(error: BaseException) -> str:
    """An exception's first line, with its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@dataclass(frozen=True)
class Need:
    """What one trial takes of a single node."""

    cpu: int
    gpu: float
    """GPUs; a fraction below 1 is of one GPU."""

    def times_in(self, node: Mapping[str, float]) -> int:
        """How often this fits into a node of such resources. A fraction never spans two GPUs."""
        by_cpu = int(node.get("CPU", 0.0) // self.cpu)
        if not self.gpu:
            return by_cpu
        gpus = node.get("GPU", 0.0)
        by_gpu = int(gpus // self.gpu) if self.gpu >= 1 else int(gpus) * int(1 / self.gpu)
        return min(by_cpu, by_gpu)


def live_nodes() -> list[dict[str, float]]:
    """The resources of each node of the running cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def capacity() -> Capacity:
    """What the cluster's nodes have together, and what of it is taken, by whomever."""
    nodes = sum(bool(node["Alive"]) for node in ray.nodes())
    return Capacity.of(nodes, ray.cluster_resources(), ray.available_resources())


def unplaceable(wanted: Iterable[Need], nodes: Sequence[Mapping[str, float]], joined: bool = False) -> list[UserError]:
    """What is too much for any single one of `nodes`; empty if each of `wanted` fits into one of them.

    Tune itself would wait for ever, and in silence where the nodes together have enough. `joined`: whether the cluster
    is the user's own rather than a fresh one on this machine.
    """
    needs = list(dict.fromkeys(wanted))
    problems = []
    for key, kind in (("cpu", "CPU"), ("gpu", "GPU")):
        most = max((node.get(kind, 0.0) for node in nodes), default=0.0)
        amount = max((float(getattr(need, key)) for need in needs), default=0.0)
        if amount > most:
            none = kind == "GPU" and not most
            more = "nodes with GPUs" if none else "larger nodes"
            other = f"add {more} to the cluster" if joined else f"join a cluster with {'GPUs' if none else more}"
            which = _most(len(nodes), joined, none) + ("" if none else f" {most:g}")
            less = "set resources.gpu=0 to train on CPUs" if none else f"set resources.{key} to at most {most:g}"
            problem = f"{amount:g} {kind}{'s' * (amount != 1)} a trial, but {which}"
            problems.append(UserError(f"resources.{key}", problem, f"{less}, or {other}"))
    for need in needs if not problems else []:
        if not any(need.times_in(node) for node in nodes):
            problem = f"no node has {need.cpu:g} CPUs and {need.gpu:g} GPUs together"
            problems.append(UserError("resources", problem, "lower one of them"))
    return problems


def this_machine() -> dict[str, float] | None:
    """The CPUs and GPUs that a fresh Ray on this machine will have; None if this version of Ray does not tell."""
    try:
        from ray._private.resource_and_label_spec import ResourceAndLabelSpec

        spec = ResourceAndLabelSpec().resolve(is_head=True, node_ip_address="127.0.0.1")
        return {"CPU": float(spec.num_cpus), "GPU": float(spec.num_gpus)}
    except Exception:  # it is not public: whatever it has become, Ray is asked once it runs
        return None


def _most(nodes: int, joined: bool, none: bool) -> str:
    """Which node has the most, up to the number."""
    only = "the cluster's only node" if joined else "this machine"
    if nodes < 2 or not joined:
        return f"{only} has none" if none else f"{only} has"
    all_ = f"of the cluster's {nodes} nodes"
    return f"none {all_} has one" if none else f"the largest {all_} has"


def slots(need: Need) -> int:
    """How many such trials the cluster's nodes hold at a time."""
    return sum(need.times_in(node) for node in live_nodes())
