"""Cores, memory, GPUs, and what each precision gives on them."""

import os
import platform
import shutil
import tempfile
from pathlib import Path

from tune_at.tuning.doctor.check import ROOM, Check, Checks, State, size
from tune_at.wording import counted

SHARED = 256 * 2**20
"""Bytes of shared memory that a fresh Ray reserves, as `tune_at.tuning.cluster.session` has it."""


def devices() -> Checks:
    """Cores, memory, GPUs, and what each precision gives: measured within a second."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check(State.FAILED, "torch", f"cannot be imported: {error}", "install it again")
        return
    yield _cores()
    yield from _room()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(gpus):
        about = torch.cuda.get_device_properties(number)
        major, minor = about.major, about.minor
        yield Check(State.OK, f"GPU {number}", f"{about.name}, {size(about.total_memory)}, capability {major}.{minor}")
    if not gpus:
        yield _no_gpu(torch.version.cuda)
    yield from _precisions("cuda" if gpus else "cpu")
    yield _compiler(gpus > 0)


def _cores() -> Check:
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    if usable < cores:
        remedy = f"--concurrency {usable} keeps trials from sharing a core"
        return Check(State.NOTE, "CPU", f"{usable} of {counted(cores, 'core')} may be used by this process", remedy)
    return Check(State.OK, "CPU", f"{counted(cores, 'core')}, {platform.machine()}")


def _room() -> Checks:
    """Memory, shared memory, and the folder of temporary files, as far as this system tells."""
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else []
    known = {name: 1024 * int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    if "MemAvailable" in known:
        free = known["MemAvailable"]
        says = f"{size(free)} free of {size(known['MemTotal'])}"
        remedy = "end other programs, or run fewer trials at a time with --concurrency"
        yield Check(State.OK, "memory", says) if free >= ROOM else Check(State.NOTE, "memory", says, remedy)
    if Path("/dev/shm").is_dir() and (free := shutil.disk_usage("/dev/shm").free) < SHARED:
        says = f"{size(free)} free in /dev/shm: Ray will use slower files instead of {size(SHARED)} there"
        yield Check(State.NOTE, "shared memory", says, "start the container with --shm-size=1g")
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        says = f"{folder} cannot be written: {error.strerror}; Ray keeps its session there"
        yield Check(State.FAILED, "temporary files", says, "name another folder in TMPDIR")
        return
    if free < ROOM:
        says = f"{size(free)} free in {folder}, where Ray keeps its session"
        yield Check(State.NOTE, "temporary files", says, "free space there, or name another folder in TMPDIR")


def _no_gpu(built_for: str | None) -> Check:
    says = "torch finds none: trials with resources.gpu cannot run here"
    remedy = "presets laptop and --set resources.gpu=0 train on CPUs"
    if Path("/dev/nvidia0").exists():
        remedy = "see that nvidia-smi answers" if built_for else "this torch is built for CPUs: install its CUDA build"
    return Check(State.NOTE, "GPU", says, remedy)


def _precisions(kind: str) -> Checks:
    """What each of `train.precision` gives on the device, the best of a product and a convolution; on one core."""
    import torch

    from tune_at.engine.rates import BRIEF, best_rates

    names = ("fp32", "tf32", "bf16") if kind == "cuda" else ("fp32", "bf16")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other on a busy machine would be timed, too
    try:
        rates = {name: rate for name, (rate, _) in best_rates(BRIEF, names, torch.device(kind), tries=20).items()}
    finally:
        torch.set_num_threads(threads)
    yield Check(State.OK, "fp32", f"{rates['fp32'] / 1e9:.0f} GFLOP/s{' a core' * (kind == 'cpu')}")
    if "tf32" not in rates:
        yield Check(State.OK, "tf32", "is fp32 on CPUs")
    for name in names[1:]:
        yield _compared(name, rates[name] / rates["fp32"])


def _compared(precision: str, ratio: float) -> Check:
    says = f"×{ratio:.1f} of fp32 in products and convolutions"
    if ratio >= 1.1:
        return Check(State.OK, precision, f"{says}: --set train.precision={precision}")
    return Check(State.NOTE, precision, f"{says}: nothing is gained", "leave train.precision at fp32")


def _compiler(gpu: bool) -> Check:
    from tune_at.engine.engine import has_compiler

    if gpu or has_compiler():
        return Check(State.OK, "train.compile", "can be used")
    return Check(State.NOTE, "train.compile", "needs a C++ compiler, and there is none", "install g++, or leave it off")
