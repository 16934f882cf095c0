"""Timing several ways of doing one thing in turn, and what the machine could do at best."""

import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tune_at.engine.memory import keep_memory, return_memory
from tune_at.engine.rates import Convolution, Form, Product, best_rates

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
        share: of the machine's measured peak for the precision; above 1 where fewer operations are done than the plain
            way's, as by Winograd's filtering.
        ratios: of each process, where several have measured it; then `ratio` is the lowest.
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
    ratios: list[float] = field(default_factory=list)


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
    precisions = sorted({*plan.precisions.values()} if plan.flops else ())
    for precision in precisions:
        peak(precision)
    for number in range(plan.warm + plan.rounds):
        for place, (name, run) in enumerate(plan.ways.items()):
            (keep_memory if place else return_memory)()
            began = clock()
            run()
            if number >= plan.warm:
                times[name].append(clock() - began)
    first = next(iter(times))
    peaks = {precision: peak(precision) for precision in precisions}
    found = []
    for name, taken in times.items():
        seconds = statistics.median(taken)
        ratio = statistics.median(plain / ours for plain, ours in zip(times[first], taken, strict=True))
        flops = plan.flops / seconds
        precision = plan.precisions.get(name, "")
        share = flops / peaks[precision] if precision in peaks else 0.0
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


FORMS: dict[str, tuple[Form, ...]] = {
    "cpu": (
        *(Product(size) for size in (512, 1024, 2048)),
        *(Convolution(*form) for form in ((32, 64, 32), (32, 128, 16), (32, 256, 8), (128, 256, 16), (64, 512, 8))),
    ),
    "cuda": (
        *(Product(size) for size in (2048, 4096, 8192)),
        *(Convolution(*form) for form in ((128, 64, 32), (128, 128, 16), (256, 256, 16), (256, 512, 8))),
    ),
}
"""What the peak is taken from, by kind of device."""

_PEAKS: dict[tuple[str, int], float] = {}


def peak(precision: str) -> float:
    """Floating-point operations a second that were ever seen here: the best of products and convolutions so far.

    Each call measures again, so that a peak that was taken while others used the machine does not stay.
    """
    key = (precision, torch.get_num_threads())
    rate, _ = best_rates(FORMS[device().type], (precision,), device())[precision]
    _PEAKS[key] = max(rate, _PEAKS.get(key, 0.0))
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


def together(runs: Sequence[Sequence[Way]]) -> list[Way]:
    """What several processes have measured of the same ways: medians, of ratios the range and the lowest."""
    found = []
    for ways in zip(*runs, strict=True):
        ratios = [way.ratio for way in ways]
        middle = sorted(ways, key=lambda way: way.seconds)[len(ways) // 2]
        rounds = [seconds for way in ways for seconds in way.rounds]
        share = min(way.share for way in ways)  # the peak of the process that saw the highest one
        found.append(replace(middle, ratio=min(ratios), ratios=ratios, rounds=rounds, share=share))
    return found


def as_json(case: str, ways: Sequence[Way], title: str) -> str:
    """A case's figures, and what they depend on."""
    content = {"case": case, "title": title, **machine(), "ways": [asdict(way) for way in ways]}
    return json.dumps(content, indent=1) + "\n"


def save(case: str, ways: Sequence[Way], title: str) -> Path:
    """Write a case's figures beside this file, one file a case and kind of device."""
    kind = "gpu" if torch.cuda.is_available() else "cpu"
    path = RESULTS / f"{case}-{kind}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(as_json(case, ways, title))
    return path
