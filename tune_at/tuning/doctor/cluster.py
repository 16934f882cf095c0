"""The nodes that trials would go to, and whether strangers could use them."""

import os

from tune_at.errors import UserError
from tune_at.store.place import Place
from tune_at.tuning.doctor.check import Check, Checks, State


def cluster_checks(address: str, storage: Place) -> Checks:
    """The nodes that trials would go to, and whether strangers could use them."""
    try:
        import ray  # noqa: F401
    except (ImportError, OSError) as error:
        yield Check(State.FAILED, "ray", f"cannot be imported: {error}", "install it again")
        return
    yield from (_joined(address, storage) if address else _fresh())


def _fresh() -> Checks:
    """A Ray that would be started on this machine; none is."""
    from tune_at.tuning.cluster.session import this_machine
    from tune_at.tuning.cluster.tokens import MODE

    here = this_machine()
    has = f": {_resources(here)}" if here else ""
    yield Check(State.OK, "a fresh Ray", f"on this machine{has}; --address joins a cluster instead")
    if os.environ.get(MODE, "token").lower() == "token":
        yield Check(State.OK, "token", "each sweep's Ray asks for a private one")
    else:
        says = f"{MODE}={os.environ[MODE]}: whoever reaches this machine can run any code here while a sweep runs"
        yield Check(State.NOTE, "token", says, f"unset {MODE}")


def _joined(address: str, storage: Place) -> Checks:
    """The nodes of a running cluster, which is joined for as long as they are asked."""
    import ray

    from tune_at.tuning.cluster.connect import find_cluster
    from tune_at.tuning.cluster.nodes import unfit_nodes
    from tune_at.tuning.cluster.session import ray_session

    try:
        found = find_cluster(address)
        yield Check(State.OK, "cluster", f"{found.address} answers, with this version of Ray and of Python")
        if found.authenticated:
            yield Check(State.OK, "token", "it asks for one, and takes ours")
        for warning in found.warnings:
            says, _, remedy = warning.removeprefix("warning: ").partition("; ")
            yield Check(State.NOTE, "token", says, remedy)
        with ray_session(address):
            nodes = [node for node in ray.nodes() if node["Alive"]]
            unfit = unfit_nodes(storage)
    except UserError as error:
        yield Check(State.FAILED, "cluster", f"{error.where}: {error.problem}", error.remedy)
        return
    for node in nodes:
        says = f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']}): {_resources(node['Resources'])}"
        yield Check(State.OK, "node", says)
    for problem in unfit:
        yield Check(State.FAILED, "node", f"{problem.where}: {problem.problem}", problem.remedy)


def _resources(node: dict[str, float]) -> str:
    return f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs"
