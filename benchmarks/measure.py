"""Timing several ways of doing one thing in turn, and what the machine could do at best."""

import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tune_at.engine.memory import keep_memory, return_memory

RESULTS = Path(__file__).parent / "results"


@dataclass
class Way:
    """One way of doing the measured thing.

    Attributes:
        name: as printed; the first way of a case is the textbook's.
        seconds: median over the rounds.
        ratio: the textbook's seconds divided by these, median of the rounds' ratios.
        goal: the ratio that this project wants; 0 is none.
        rate: what is done a second, in `unit`.
        flops: floating-point operations a second, as those of the plain way count; 0 where they were not counted.
        share: of the machine's measured peak for the precision.
    """

    name: str
    seconds: float
    ratio: float
    goal: float = 0.0
    rate: float = 0.0
    unit: str = ""
    flops: float = 0.0
    share: float = 0.0
    rounds: list[float] = field(default_factory=list)


@dataclass
class Plan:
    """What a case measures: how to run each way once, and what to make of the times."""

    ways: Mapping[str, Callable[[], object]]
    work: float
    unit: str
    goals: Mapping[str, float] = field(default_factory=dict)
    precisions: Mapping[str, str] = field(default_factory=dict)
    flops: float = 0.0
    rounds: int = 5
    warm: int = 1


def measure(plan: Plan) -> list[Way]:
    """Run the ways in turn, `rounds` times, so that a change of the machine's mood meets all of them.

    The first, the textbook's, runs with the C library as it is by default; ours as `keep_memory` sets it.
    """
    times: dict[str, list[float]] = {name: [] for name in plan.ways}
    for number in range(plan.warm + plan.rounds):
        for place, (name, run) in enumerate(plan.ways.items()):
            (keep_memory if place else return_memory)()
            began = clock()
            run()
            if number >= plan.warm:
                times[name].append(clock() - began)
    first = next(iter(times))
    found = []
    for name, taken in times.items():
        seconds = statistics.median(taken)
        ratio = statistics.median(plain / ours for plain, ours in zip(times[first], taken, strict=True))
        flops = plan.flops / seconds
        precision = plan.precisions.get(name, "")
        share = flops / peak(precision) if flops and precision else 0.0
        goal = plan.goals.get(name, 0.0)
        found.append(Way(name, seconds, ratio, goal, plan.work / seconds, plan.unit, flops, share, taken))
    return found


def clock() -> float:
    """Seconds, with the device's work done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def count_flops(run: Callable[[], object]) -> float:
    """Floating-point operations of convolutions and matrix products, two for each multiply-add."""
    with _Counter() as counter:
        run()
    return counter.total


class _Counter(TorchDispatchMode):
    # torch's own FlopCounterMode also tracks modules, which `autograd.grad` inside of them does not bear.
    total = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=found)
        return found


_PEAKS: dict[tuple[str, int], float] = {}


def peak(precision: str) -> float:
    """Floating-point operations a second of the largest plain matrix product that fits easily: best of five."""
    key = (precision, torch.get_num_threads())
    if key not in _PEAKS:
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        place = device()
        size = 8192 if place.type == "cuda" else 2048
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        a, b = (torch.randn(size, size, device=place, dtype=dtype) for _ in range(2))
        taken = []
        for _ in range(6):
            began = clock()
            a @ b
            taken.append(clock() - began)
        _PEAKS[key] = 2 * size**3 / min(taken[1:])
    return _PEAKS[key]


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
    }


def processor() -> str:
    """The processor's name, with the instructions that matter here."""
    name, flags = platform.processor() or platform.machine(), ""
    path = Path("/proc/cpuinfo")
    if path.exists():
        lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        found = {key.strip(): value.strip() for key, value in lines.items()}
        name = found.get("model name", name)
        flags = ", ".join(flag for flag in ("avx512f", "avx512_bf16", "amx_bf16") if flag in found.get("flags", ""))
    return f"{name} ({flags})" if flags else name


def save(case: str, ways: list[Way], title: str) -> Path:
    """Write a case's figures as JSON beside this file, one file a case and kind of device."""
    kind = "gpu" if torch.cuda.is_available() else "cpu"
    path = RESULTS / f"{case}-{kind}.json"
    path.parent.mkdir(exist_ok=True)
    content = {"case": case, "title": title, **machine(), "ways": [asdict(way) for way in ways]}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
