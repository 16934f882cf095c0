"""Ray itself: starting or joining it, quietly, and asking what its nodes have."""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# Read when ray is first imported.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # relative paths in a study mean the same in a worker
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.tune.execution import class_cache

from tune_at.config.trial import ResourcesSection
from tune_at.errors import UserError

# Tune hands these on to its workers by way of a runtime environment, which Ray writes into its logs in clear. Workers
# on this machine inherit the driver's environment; nodes of a cluster have credentials of their own.
class_cache.ENV_VARS_TO_PROPAGATE -= {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}

OBJECT_STORE_BYTES = 256 * 2**20
"""Shared memory that a local Ray reserves; trials pass only small results through it."""


@contextmanager
def ray_session(address: str = "local", store_bytes: int | None = OBJECT_STORE_BYTES) -> Iterator[None]:
    """A running Ray for the block: a fresh one on this machine, or the cluster at `address`.

    `store_bytes`: size of a fresh one's object store; None leaves it to Ray, a third of the memory.
    """
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": store_bytes}
    ray.init(
        address=address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
        **(local if address == "local" else {}),
    )
    # Tune reports progress at INFO and WARNING through its own loggers; ours is the one view.
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def require_placeable(wanted: Iterable[ResourcesSection]) -> None:
    """Raise `UserError` for a trial that no single node of the running cluster could ever hold."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for resources in dict.fromkeys(wanted):
        for key, kind, amount in (("cpu", "CPU", resources.cpu), ("gpu", "GPU", resources.gpu)):
            most = max((node.get(kind, 0.0) for node in nodes), default=0.0)
            if amount > most:
                raise UserError(
                    f"resources.{key}",
                    f"{amount:g} {kind}s a trial, but the largest of {len(nodes)} nodes has {most:g}",
                    f"set resources.{key} to at most {most:g}, or join a cluster with larger nodes",
                )
        if not any(n.get("CPU", 0) >= resources.cpu and n.get("GPU", 0) >= resources.gpu for n in nodes):
            raise UserError(
                "resources",
                f"no node has {resources.cpu:g} CPUs and {resources.gpu:g} GPUs together",
                "lower one of them",
            )


def slots(resources: ResourcesSection) -> int:
    """How many trials of these resources the cluster's nodes hold at a time."""
    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            by_cpu = node["Resources"].get("CPU", 0) // resources.cpu
            by_gpu = node["Resources"].get("GPU", 0) / resources.gpu if resources.gpu else by_cpu
            total += int(min(by_cpu, by_gpu))
    return total
