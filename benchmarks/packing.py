"""Many small trials on one device: one after another, in processes side by side, or stacked in one process."""

import copy
import multiprocessing
import time

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from benchmarks.measure import Way, clock, device
from tune_at.engine.folded import FoldedView
from tune_at.models import build_model

BATCH, STEPS = 64, 10


def _batch(place: torch.device) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(0)
    x = torch.rand(BATCH, 1, 8, 8, generator=chance).to(place)
    return x.contiguous(memory_format=torch.channels_last), torch.randint(10, (BATCH,), generator=chance).to(place)


def one_after_another(count: int, updates: int) -> None:
    """What a trial does: the folded view for the attack, the network for the update."""
    place = device()
    x, y = _batch(place)
    for _ in range(count):
        network = build_model("small_cnn", 10, 1, 8).to(place).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
        view = FoldedView(network)
        for _ in range(updates):
            view.refresh()
            moved = x
            for _ in range(STEPS):
                moved = moved.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(F.cross_entropy(view(moved), y, reduction="sum"), moved)
                moved = (moved.detach() + 0.01 * gradient.sign()).clamp(0, 1)
            loss = F.cross_entropy(network(moved), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _worker(count: int, updates: int, threads: int, ready: object, go: object) -> None:
    torch.set_num_threads(threads)
    one_after_another(1, 1)
    ready.release()  # type: ignore[attr-defined]
    go.wait()  # type: ignore[attr-defined]
    one_after_another(count, updates)
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def side_by_side(count: int, updates: int, processes: int) -> float:
    """Seconds that `processes` take, each with its part of the trials and its part of the cores, once started."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    threads = max(1, torch.get_num_threads() // processes)
    team = [
        context.Process(target=_worker, args=(count // processes, updates, threads, ready, go))
        for _ in range(processes)
    ]
    for process in team:
        process.start()
    for _ in team:
        ready.acquire()
    began = time.perf_counter()
    go.set()
    for process in team:
        process.join()
    return time.perf_counter() - began


def stacked(count: int, updates: int) -> None:
    """All networks in one pass, by `torch.func`, their batch norms in eval mode: stacked ones bear no other."""
    place = device()
    x, y = _batch(place)
    networks = [build_model("small_cnn", 10, 1, 8).to(place).eval() for _ in range(count)]
    parameters, buffers = stack_module_state(networks)
    base = copy.deepcopy(networks[0]).to("meta")
    momentum = {name: torch.zeros_like(value) for name, value in parameters.items()}
    forward = vmap(lambda p, b, images: functional_call(base, (p, b), (images,)), in_dims=(0, 0, 0))
    labels = y.repeat(count)
    images = x.expand(count, *x.shape)
    for _ in range(updates):
        frozen = {name: value.detach() for name, value in parameters.items()}
        moved = images
        for _ in range(STEPS):
            moved = moved.detach().requires_grad_()
            logits = forward(frozen, buffers, moved).flatten(0, 1)
            (gradient,) = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), moved)
            moved = (moved.detach() + 0.01 * gradient.sign()).clamp(0, 1)
        # The mean over each network's batch.
        loss = F.cross_entropy(forward(parameters, buffers, moved).flatten(0, 1), labels, reduction="sum") / BATCH
        for (name, value), gradient in zip(
            parameters.items(), torch.autograd.grad(loss, tuple(parameters.values())), strict=True
        ):
            momentum[name].mul_(0.9).add_(gradient)
            value.data.sub_(0.01 * momentum[name])


def packing(quick: bool) -> list[Way]:
    """`small_cnn` on 8×8 images, batch 64, PGD-10: K trials of some updates each."""
    count, updates = (4, 5) if quick else (8, 20)
    everything = count * updates * BATCH
    timed: dict[str, float] = {}
    one_after_another(1, 2)
    began = clock()
    one_after_another(count, updates)
    timed["one after another"] = clock() - began
    for processes in (2, 4):
        timed[f"{processes} processes"] = side_by_side(count, updates, processes)
    stacked(count, 1)
    began = clock()
    stacked(count, updates)
    timed[f"{count} stacked by torch.func"] = clock() - began
    first = timed["one after another"]
    return [
        Way(name, seconds, first / seconds, rate=everything / seconds, unit="images/s", rounds=[seconds])
        for name, seconds in timed.items()
    ]
