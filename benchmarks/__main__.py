"""`python -m benchmarks [CASE ...]`: run cases and print goal beside measured. Needs no Ray but for `sweep`, `scale`.

Each case is measured by several processes, one after the other: what one of them meets, another tenant of the machine
or where its memory came to lie, is no property of the program. The lowest ratio counts. Nothing is written without
`--save`.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.measure import Way, as_json, machine, measure, save, together

CASES: dict[str, tuple[str, str]] = {
    "step-pgd_at": ("benchmarks.training:step:pgd_at", "(a) one step, ResNet-18, 32×32, PGD-10: PGD-AT"),
    "step-trades": ("benchmarks.training:step:trades", "(a) one step, ResNet-18, 32×32, PGD-10: TRADES"),
    "step-pgd_at_te": ("benchmarks.training:step:pgd_at_te", "(a) one step, ResNet-18, 32×32, PGD-10: PGD-AT+TE"),
    "epoch": ("benchmarks.training:epoch", "(b) an epoch of ResNet-18 with PGD-10 evaluation"),
    "digits": ("benchmarks.training:digits", "(c) an epoch of small_cnn on digits with PGD-10 evaluation"),
    "pgd-1000": ("benchmarks.attacks:pgd_1000", "(d) PGD-1000 on a trained small_cnn, digits' test images"),
    "autoattack": ("benchmarks.attacks:autoattack", "(d) AutoAttack standard on a trained small_cnn, digits"),
    "sweep": ("benchmarks.processes:sweep", "(e) a sweep of 32 small trials"),
    "start-up": ("benchmarks.processes:start_up", "(f) start-up, in seconds"),
    "store": (
        "benchmarks.store:store",
        "(g) 1,000 trials × 200 epochs; ratio: 2 s, or 50 requests, to what it takes",
    ),
    "replay": (
        "benchmarks.replay:replay",
        "(h) replay of 1,000 trials × 200 epochs in 100 orders; ratio: 60 s to what it takes",
    ),
    "scale": (
        "benchmarks.scale:scale",
        "(i) many trials of nothing: our whole stack against bare Ray Tune with its loggers",
    ),
    "large": (
        "benchmarks.store:large",
        "(j) 10,000 trials × 200 epochs; ratio: 3 s, or 1 GB, to what it takes",
    ),
    "pass": ("benchmarks.passes:one_pass", "a pass of an attack through ResNet-18, batch 32: the parts of the gain"),
    "convolutions": ("benchmarks.passes:convolutions", "convolutions, packed and by Winograd's filtering (F)"),
    "packing": ("benchmarks.packing:packing", "many small trials on one device"),
}


def load(spec: str) -> Callable[[bool], object]:
    """The function of a case."""
    module, name, *rest = spec.split(":")
    found = getattr(importlib.import_module(module), name)
    return found(*rest) if rest else found


def show(title: str, ways: list[Way]) -> None:
    """A case's table."""
    print(f"\n{title}")
    unit = ways[0].unit
    print(f"  {'':28} {'seconds':>9} {unit:>18} {'ratio':>11} {'goal':>7} {'GFLOP/s':>9} {'of peak':>8}")
    for way in ways:
        goal = f"≥ {way.goal:g}" if way.goal else ""
        rate = f"{way.rate:.4g}" if way.rate else ""
        flops = f"{way.flops / 1e9:.0f}" if way.flops else ""
        share = f"{way.share:.0%}" if way.share else ""
        mark = "" if not way.goal else " met" if way.ratio >= way.goal else " MISSED"
        ratio = f"{way.ratio:.2f}" + (f"–{max(way.ratios):.2f}" if len(way.ratios) > 1 else "")
        print(f"  {way.name:28} {way.seconds:9.3g} {rate:>18} {ratio:>11} {goal:>7} {flops:>9} {share:>8}{mark}")


def here(case: str, quick: bool) -> list[Way]:
    """Measure a case in this process."""
    found = load(CASES[case][0])(quick)
    return found if isinstance(found, list) else measure(found)  # type: ignore[arg-type]


def apart(case: str, quick: bool, processes: int, pause: float) -> list[Way]:
    """Measure a case in so many processes, one after the other."""
    runs = []
    for number in range(processes):
        time.sleep(pause if number else 0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ways.json"
            command = [sys.executable, "-m", "benchmarks", case, "--into", str(path), *(["--quick"] if quick else [])]
            done = subprocess.run(command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise SystemExit(f"{case}: a process of its own ended with {done.returncode}\n{done.stdout}")
            runs.append([Way(**way) for way in json.loads(path.read_text())["ways"]])
    return together(runs)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the cases that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="measure against a textbook way")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"any of {', '.join(CASES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller, fewer, one process: to see that everything runs")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/; otherwise nothing is written")
    parser.add_argument("--processes", type=int, default=3, metavar="N", help="that measure each case (default: 3)")
    parser.add_argument("--pause", type=float, default=30.0, metavar="S", help="seconds between two (default: 30)")
    parser.add_argument("--into", metavar="FILE", help="measure one case in this process, and write its figures there")
    arguments = parser.parse_args(argv)
    unknown = [case for case in arguments.cases if case not in CASES]
    if unknown:
        parser.error(f"no case {unknown[0]}; known: {', '.join(CASES)}")
    if arguments.save and arguments.quick:
        parser.error("--quick measures nothing that is worth to --save")
    torch.set_num_threads(min(2, os.cpu_count() or 1) if not torch.cuda.is_available() else torch.get_num_threads())
    if arguments.into:
        (case,) = arguments.cases
        Path(arguments.into).write_text(as_json(case, here(case, arguments.quick), CASES[case][1]))
        return
    about = machine()
    print(f"{about['device']}, {about['threads']} threads, torch {about['versions']['torch']}")
    for case in arguments.cases or CASES:
        several = arguments.processes > 1 and not arguments.quick
        pause = arguments.pause
        ways = apart(case, False, arguments.processes, pause) if several else here(case, arguments.quick)
        show(CASES[case][1], ways)
        if arguments.save:
            print(f"  written to {save(case, ways, CASES[case][1])}")


if __name__ == "__main__":
    main()
