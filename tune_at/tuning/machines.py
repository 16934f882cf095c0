"""What a sweep takes of its machines: CPUs and GPUs by Ray's account, and how busy the GPUs of this machine are."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tune_at.wording import counted

NVIDIA_SMI = "nvidia-smi"
QUERY = ("index", "name", "utilization.gpu", "memory.used", "memory.total")
ANSWER_SECONDS = 3.0
"""Seconds within which `nvidia-smi` answers; a GPU in trouble may let it hang."""


@dataclass(frozen=True)
class Capacity:
    """What the nodes have together, and how much of it is reserved, whether it is busy or not: Ray's account."""

    nodes: int
    cpus: float
    cpus_taken: float
    gpus: float
    gpus_taken: float

    @classmethod
    def of(cls, nodes: int, total: Mapping[str, float], free: Mapping[str, float]) -> "Capacity":
        """From Ray's two accounts, in which what is used up is missing."""
        cpus, gpus = (total.get(kind, 0.0) for kind in ("CPU", "GPU"))
        taken = (max(0.0, whole - free.get(kind, 0.0)) for kind, whole in (("CPU", cpus), ("GPU", gpus)))
        return cls(nodes, cpus, next(taken), gpus, next(taken))

    def __str__(self) -> str:
        """`1 node, 2 of 2 CPUs taken`; GPUs are named where there are some."""
        parts = [(self.cpus_taken, self.cpus, "CPU"), (self.gpus_taken, self.gpus, "GPU")]
        shown = ", ".join(f"{t:.4g} of {counted_amount(n, kind)}" for t, n, kind in parts if n)
        return f"{counted(self.nodes, 'node')}, {shown} taken" if shown else counted(self.nodes, "node")


def counted_amount(amount: float, noun: str) -> str:
    """`1 CPU`, `2 CPUs`, `0.5 GPUs`."""
    return f"{amount:.4g} {noun}{'s' * (amount != 1)}"


@dataclass(frozen=True)
class Gpu:
    """A GPU of this machine as `nvidia-smi` sees it; None is what it does not tell, as the load of one in MIG mode."""

    index: int
    name: str
    busy: float | None
    """Share of the last moments in which it computed, in [0, 1]."""
    used_mb: float | None
    total_mb: float | None
    """Memory in MiB, of all processes."""

    def __str__(self) -> str:
        """`GPU 0 (NVIDIA H100): 93% busy, 12.1 of 79.6 GiB`."""
        return self.told()

    def told(self, where: str = "") -> str:
        """It in one line; `where`: whose it is, if that has to be said."""
        busy = [f"{self.busy:.0%} busy"] if self.busy is not None else []
        memory = []
        if self.used_mb is not None and self.total_mb is not None:
            memory = [f"{self.used_mb / 1024:.1f} of {self.total_mb / 1024:.1f} GiB"]
        return f"GPU {self.index} ({self.name}){where}: {', '.join(busy + memory) or 'load unknown'}"


def local_gpus() -> list[Gpu] | None:
    """The GPUs of this machine as they are now; None where `nvidia-smi` is missing or has no answer."""
    program = shutil.which(NVIDIA_SMI)
    if program is None:
        return None
    command = [program, f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parsed(answer.stdout)


def parsed(answer: str) -> list[Gpu]:
    """What `nvidia-smi` says, a line a GPU: `0, NVIDIA H100, 93, 12345, 81559`; other lines are passed over."""
    gpus = []
    for line in answer.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == len(QUERY) and words[0].isdecimal():
            busy, used, total = (_number(word) for word in words[2:])
            gpus.append(Gpu(int(words[0]), words[1], None if busy is None else busy / 100, used, total))
    return gpus


def _number(word: str) -> float | None:
    try:
        return float(word)  # `[N/A]`, `[Unknown Error]`
    except ValueError:
        return None


def in_lines(capacity: Capacity | None, gpus: Sequence[Gpu]) -> list[str]:
    """What the machines do, in lines; of more than two GPUs in one, and of several nodes said whose GPUs these are."""
    lines = [str(capacity)] if capacity else []
    where = " on the driver's node" if capacity and capacity.nodes > 1 else ""
    if len(gpus) <= 2:
        return lines + [gpu.told(where) for gpu in gpus]
    busy = [gpu.busy for gpu in gpus if gpu.busy is not None]
    used = [gpu.used_mb / 1024 for gpu in gpus if gpu.used_mb is not None]
    most = max((gpu.total_mb / 1024 for gpu in gpus if gpu.total_mb is not None), default=0.0)
    parts = [f"{min(busy):.0%} to {max(busy):.0%} busy"] if busy else []
    parts += [f"{min(used):.1f} to {max(used):.1f} of {most:.1f} GiB"] if used and most else []
    names = ", ".join(dict.fromkeys(gpu.name for gpu in gpus))
    return [*lines, f"{len(gpus)} GPUs ({names}){where}: {', '.join(parts) or 'load unknown'}"]


def from_record(record: Mapping[str, Any]) -> tuple[Capacity | None, list[Gpu]]:
    """What a driver has recorded of its machines, see `tune_at.tuning.heartbeat`; nothing if it has another form."""
    try:
        capacity = Capacity(**record["capacity"]) if record.get("capacity") else None
        return capacity, [Gpu(**gpu) for gpu in record.get("gpus") or ()]
    except (TypeError, KeyError):
        return None, []
