"""Running a sweep's trials with Ray Tune.

Ray schedules and restarts; what is finished, and where a trial continues, is read from the sweep's own folder. So a
sweep is resumed by running the trials that are left as a new Tune experiment, and nothing of Ray's is restored.
"""

import contextlib
import tempfile
from collections.abc import Sequence

from rich.console import Console

from tune_at.config.data import Vision
from tune_at.config.trial import ResourcesSection
from tune_at.cost import epoch_passes, in_words, sweep_seconds
from tune_at.data.arrays import Source, plain
from tune_at.data.sources import load_source
from tune_at.store.files import remove_temporaries
from tune_at.store.lock import sweep_lock
from tune_at.store.patience import StorageFailed
from tune_at.study import Trial
from tune_at.sweeps import Sweep
from tune_at.tuning.cluster import (
    OBJECT_STORE_BYTES,
    ray_session,
    require_placeable,
    slots,
)  # first: it sets what Ray reads when imported

# isort: split
from ray import tune

from tune_at.tuning.callbacks import ProgressCallback, StorageStopper
from tune_at.tuning.preflight import family, preflight
from tune_at.tuning.progress import SweepProgress
from tune_at.tuning.recorded import TrialSpec, write_failure
from tune_at.tuning.tensorboard import write_experiment
from tune_at.tuning.trainable import ATTrainable

WORKER_RETRIES = 8
"""Times a trial is started again after its worker was lost; each time it continues from its newest checkpoint."""


def run_sweep(sweep: Sweep, concurrency: int, console: Console, *, ship_data: bool = False) -> None:
    """Run the trials that are left, creating the sweep's folder if this is the first time.

    `concurrency`: at most so many trials at a time; 0 is as many as fit. `ship_data`: hand data sets to the workers
    through Ray's object store, so that only this machine needs their files.

    Returns when all have ended or the user has interrupted. Raises `UserError` before anything is written if a trial
    cannot work or cannot be placed, and `StorageFailed` once its storage does.
    """
    with contextlib.ExitStack() as held:
        new = not sweep.folder.exists()
        damaged = {}
        if not new:
            held.enter_context(sweep_lock(sweep.folder))
            damaged = sweep.damaged()
        trials = sweep.study.trials() if new else sweep.unfinished(damaged)
        console.print("starting Ray, and trying one batch of each kind of trial ...", highlight=False)
        held.enter_context(ray_session(store_bytes=None if ship_data else OBJECT_STORE_BYTES))
        resources = [trial.config.resources for trial in trials]
        require_placeable(resources)
        measured = preflight(trials)
        at_once = _at_once(concurrency, resources, len(trials))
        # Nothing has been written so far; from here on nothing is refused.
        if new:
            sweep.create()
            held.enter_context(sweep_lock(sweep.folder))
        for damage in damaged.values():
            console.print(damage, highlight=False, markup=False, soft_wrap=True)
        sweep.discard(damaged)
        remove_temporaries(sweep.folder)
        console.print(_announcement(trials, measured, at_once), highlight=False, markup=False)
        write_experiment(sweep.folder, (trial.config.as_tree() for trial in sweep.study.trials()))
        trainable = _with_data(trials) if ship_data else ATTrainable
        for stage in dict.fromkeys(trial.stage for trial in trials):
            ready = _with_teachers(sweep, [trial for trial in trials if trial.stage == stage], console)
            if ready and not _run_trials(sweep, ready, at_once, console, trainable):
                break  # interrupted


def _with_teachers(sweep: Sweep, trials: Sequence[Trial], console: Console) -> list[Trial]:
    """The trials whose teachers, if they have any, are completed; the others are named and stay pending."""
    statuses = sweep.statuses()
    ready = []
    for trial in trials:
        missing = [name for name in trial.teachers.values() if statuses.get(name) != "completed"]
        if missing:
            state = statuses.get(missing[0], "pending")
            console.print(f"{trial.name} waits: its teacher {missing[0]} is {state}", highlight=False, markup=False)
        else:
            ready.append(trial)
    return ready


def _with_data(trials: Sequence[Trial]) -> type[ATTrainable]:
    """The trainable with the trials' data sets in Ray's object store, one copy a node."""
    found = {t.config.data.name: load_source(t.config.data) for t in trials if isinstance(t.config.data, Vision)}
    # Plain arrays: a memory map would be opened by its path, which other nodes do not have.
    shipped = {name: Source(plain(source.train), plain(source.test)) for name, source in found.items()}
    trainable: type[ATTrainable] = tune.with_parameters(ATTrainable, shipped=shipped)
    return trainable


def _run_trials(
    sweep: Sweep, trials: Sequence[Trial], at_once: int, console: Console, trainable: type[ATTrainable]
) -> bool:
    """Run trials; whether all of them have ended, in whatever way."""
    specs = [_spec(sweep, trial) for trial in trials]
    everything = sweep.study.trials()
    left = {trial.name for trial in trials}
    finished = {name: status for name, status in sweep.statuses().items() if name not in left}
    selection = everything[0].config.train.selection
    progress = SweepProgress({t.name: t.config.train.epochs for t in everything}, finished, selection, console)
    # What Ray writes of its own is of no use once it has ended: every result is in the sweep's folder by then.
    callback, storage = ProgressCallback(progress), StorageStopper()
    with tempfile.TemporaryDirectory(prefix="tune-at-ray-", ignore_cleanup_errors=True) as scratch, progress:
        tune.Tuner(
            trainable,
            param_space={"spec": tune.grid_search([spec.as_dict() for spec in specs])},
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                max_concurrent_trials=at_once,
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
            ),
            run_config=tune.RunConfig(
                name=sweep.name,
                storage_path=scratch,
                verbose=0,
                stop=storage,
                failure_config=tune.FailureConfig(max_failures=WORKER_RETRIES),
                callbacks=[callback],
            ),
        ).fit()
    if storage.failure:
        raise StorageFailed(*storage.failure)
    for spec in specs:
        if spec.trial in callback.lost:
            write_failure(spec, WorkerLost(f"its worker was lost {WORKER_RETRIES + 1} times"))
    return all(spec.trial in callback.lost or progress.has_ended(spec.trial) for spec in specs)


class WorkerLost(Exception):
    """A trial's worker was lost more often than it is started again."""


def _trial_name(trial: "tune.experiment.Trial") -> str:
    return str(trial.config["spec"]["trial"])


def _spec(sweep: Sweep, trial: Trial) -> TrialSpec:
    return TrialSpec(
        folder=str(sweep.folder),
        sweep=sweep.name,
        study=sweep.study.name,
        stage=trial.stage,
        trial=trial.name,
        config=trial.config.as_tree(),
        swept=dict(trial.swept),
        teachers=dict(trial.teachers),
    )


def _at_once(concurrency: int, resources: Sequence[ResourcesSection], trials: int) -> int:
    fitting = max(1, min(slots(r) for r in dict.fromkeys(resources)))
    return max(1, min(trials, fitting, concurrency or fitting))


def _announcement(trials: Sequence[Trial], measured: dict[str, float], at_once: int) -> str:
    """How many trials, how many at a time, and on CPUs how long, from the batches just measured."""
    line = f"{len(trials)} trials, {at_once} at a time"
    if any(trial.config.resources.gpu for trial in trials):
        return line
    seconds = [t.config.train.epochs * epoch_passes(t.config) * measured[family(t.config)] for t in trials]
    return f"{line}, about {in_words(sweep_seconds(seconds, at_once))}"
