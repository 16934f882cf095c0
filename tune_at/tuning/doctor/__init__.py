"""What a run would have here, line by line, each with what to do about it.

Nothing is left behind: no folder is made, no Ray is started; the cluster of an address is joined and left again. Heavy
imports stand in functions.
"""

from collections.abc import Callable

from tune_at.store.place import Place
from tune_at.tuning.doctor.check import Check, Checks, State
from tune_at.tuning.doctor.cluster import cluster_checks
from tune_at.tuning.doctor.machine import devices
from tune_at.tuning.doctor.software import versions
from tune_at.tuning.doctor.surroundings import data, storage_checks

__all__ = ["Check", "State", "sections"]


def sections(address: str, storage: Place) -> dict[str, Callable[[], Checks]]:
    """What is looked at, by heading, in the order in which it is told: what comes later needs what comes before."""
    return {
        "versions": versions,
        "devices": devices,
        "data": data,
        "storage": lambda: storage_checks(storage),
        "cluster": lambda: cluster_checks(address, storage),
    }
