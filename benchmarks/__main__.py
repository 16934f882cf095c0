"""`python -m benchmarks [CASE ...]`: run cases and print goal beside measured. Needs no Ray but for `sweep`."""

import argparse
import importlib
from collections.abc import Callable

import torch

from benchmarks.measure import Way, machine, measure, save

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
    print(f"  {'':28} {'seconds':>9} {unit:>18} {'ratio':>7} {'goal':>7} {'GFLOP/s':>9} {'of peak':>8}")
    for way in ways:
        goal = f"≥ {way.goal:g}" if way.goal else ""
        rate = f"{way.rate:.4g}" if way.rate else ""
        flops = f"{way.flops / 1e9:.0f}" if way.flops else ""
        share = f"{way.share:.0%}" if way.share else ""
        mark = "" if not way.goal else " met" if way.ratio >= way.goal else " MISSED"
        print(f"  {way.name:28} {way.seconds:9.3g} {rate:>18} {way.ratio:7.2f} {goal:>7} {flops:>9} {share:>8}{mark}")


def main() -> None:
    """Run the cases that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="measure against a textbook way")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"any of {', '.join(CASES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: to see that everything runs")
    parser.add_argument("--dry", action="store_true", help="do not write benchmarks/results/")
    arguments = parser.parse_args()
    unknown = [case for case in arguments.cases if case not in CASES]
    if unknown:
        parser.error(f"no case {unknown[0]}; known: {', '.join(CASES)}")
    torch.set_num_threads(2 if not torch.cuda.is_available() else torch.get_num_threads())
    about = machine()
    print(f"{about['device']}, {about['threads']} threads, torch {about['versions']['torch']}")
    for case in arguments.cases or CASES:
        spec, title = CASES[case]
        found = load(spec)(arguments.quick)
        ways = found if isinstance(found, list) else measure(found)  # type: ignore[arg-type]
        show(title, ways)
        if not (arguments.dry or arguments.quick):
            save(case, ways, title)


if __name__ == "__main__":
    main()
