"""`sweep --dry-run`: what would run, about how long, and what it lacks here. Writes nothing, and starts no Ray."""

import os

from tune_at.config.data import Vision
from tune_at.config.search import Sampled
from tune_at.study.cost import RAY_START, WORKER_START, sweep_seconds, trial_seconds
from tune_at.study.ladder import Ladder
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.study.trials import Trial
from tune_at.study.yaml_text import dump
from tune_at.wording import counted, duration, trial_label


def dry_run(planned: Sweep, concurrency: int, address: str = "") -> None:
    """Print what the sweep would run, two of its configs in full, a rough time, and what it needs and is not here."""
    study = planned.study
    trials = study.trials() or study.samples()
    at_most = "at most " if study.lengths else ""
    print(f"{at_most}{counted(study.size, 'trial')} of {study.title!r} would go to {planned.folder}")
    print(_engine(study))
    shown = {0: trials[0], len(trials) - 1: trials[-1]}
    if study.dynamic:
        print(f"its points depend on results; instead of trials, {counted(len(shown), 'corner')} of the space:")
    for number, trial in enumerate(shown.values(), 1):
        print(f"\n{_corner(number, trial) if study.dynamic else trial_label(trial.name)}:")
        print("  " + dump(trial.config.as_tree()).rstrip().replace("\n", "\n  "))
    # On this machine, one trial a GPU; a cluster may hold more.
    fit = 1 if trials[0].config.resources.gpu else max(1, (os.cpu_count() or 1) // trials[0].config.resources.cpu)
    at_once = min(fit, concurrency or fit, study.size)
    if study.ladder is not None:
        print(f"\n{_runs(study.ladder)}")
    each = [trial_seconds(t.config) for t in (study.ladder.all() if study.ladder else trials)]
    trials_seconds = sweep_seconds(each if len(each) == study.size else [sum(each) / len(each)] * study.size, at_once)
    seconds = RAY_START + WORKER_START + trials_seconds
    shown_at_once = f"{counted(at_once, 'trial')} at a time"
    print(f"\nroughly {duration(seconds)} with {shown_at_once}, from a count of operations; within a factor of")
    print("five. A real start measures one batch first and says more exactly.")
    if study.scheduler.stops:
        taken = "point is taken to its longest run" if study.lengths else "trial is taken to its last epoch"
        print(f"The estimate does not count what {study.scheduler.name} stops early: every {taken}.")
    if study.probes:
        names = ", ".join(probe.name for probe in study.probes)
        print(f"The estimate does not count the probes (docs/probes.md): {names}.")
    _print_missing(study, address)
    print("Nothing was written.")


def _print_missing(study: Study, address: str) -> None:
    """What a real start would refuse, as far as can be seen without reading data or joining a cluster."""
    configs = [trial.config for trial in study.trials() or study.samples()]
    cores = os.cpu_count() or 1
    if not any(c.resources.gpu or c.resources.cpu > cores or isinstance(c.data, Vision) for c in configs):
        return  # such trials lack nothing, and what knows more imports Ray
    from tune_at.tuning.requirements import fitting_preset, missing_at_a_glance

    problems = missing_at_a_glance(study, address)
    if not problems:
        return
    print("\nIt cannot run here:")
    for problem in problems:
        print(f"  {problem}")
    if preset := fitting_preset(study, address):
        print(f"--preset {preset} runs here.")


def _engine(study: Study) -> str:
    """The search and the scheduler in one line."""
    search, scheduler = study.search, study.scheduler
    line = f"search: {search.name}"
    if isinstance(search, Sampled):
        line += f", {counted(search.trials, 'point')}, {counted(len(study.seeds), 'seed')} each"
    return f"{line}; scheduler: {scheduler.name}{f' by {scheduler.metric}' if scheduler.early else ''}"


def _runs(ladder: Ladder) -> str:
    """How many runs of each length there are at most: only the shortest are certain."""
    first, *longer = [counted(epochs, "epoch") for epochs in ladder.lengths]
    points = len(ladder.runs)
    return f"{points} runs of {first}, then " + ", ".join(f"at most {points} of {epochs}" for epochs in longer)


def _corner(number: int, trial: Trial) -> str:
    """A corner of the space by its values: a trial's name would be taken for a trial's."""
    values = (f"{path}={value:.4g}" if isinstance(value, float) else f"{path}={value}" for path, value in _set(trial))
    return f"corner {number} of the space, {', '.join(values)}"


def _set(trial: Trial) -> list[tuple[str, object]]:
    return [(path, value) for path, value in trial.swept.items() if value is not None]
