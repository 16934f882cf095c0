"""Running a sweep's trials with Ray Tune.

Ray schedules and restarts; what is finished, and where a trial continues, is read from the sweep's own folder. So a
sweep is resumed by running the trials that are left as a new Tune experiment, and nothing of Ray's is restored.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tune_at.config.data import Digits
from tune_at.config.search import SEARCHERS
from tune_at.data.arrays import plain_source
from tune_at.data.sources import load_source
from tune_at.store.failures import StorageFailed
from tune_at.store.files import remove_temporaries
from tune_at.store.fold import fold, set_aside, unfold
from tune_at.store.lock import sweep_lock
from tune_at.store.snapshot import Snapshot
from tune_at.store.status import Status
from tune_at.study.cost import WORKER_START, Speed, TrialCost
from tune_at.study.forecast import Forecast
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.study.trials import Trial
from tune_at.tuning.cluster.session import (
    OBJECT_STORE_BYTES,
    Need,
    ray_session,
    slots,
)  # first: it sets what Ray reads when imported

# isort: split
from ray import tune

from tune_at.recording.sweep_events import SweepEvents, write_declaration
from tune_at.scheduling.driver import WORKER_RETRIES, SweepRun
from tune_at.scheduling.ledger import Ledger
from tune_at.scheduling.policies import build_policy
from tune_at.tuning.callbacks import ProgressCallback
from tune_at.tuning.heartbeat import Heartbeat
from tune_at.tuning.interruption import calm, last_words, own_handlers
from tune_at.tuning.launch import Launch, resume_command
from tune_at.tuning.live_view import SweepProgress
from tune_at.tuning.notices import Notices
from tune_at.tuning.packing import Packing, pack, whole_needs
from tune_at.tuning.preflight import family, preflight, slowdown
from tune_at.tuning.requirements import require, require_cluster
from tune_at.tuning.trainable import ATTrainable
from tune_at.tuning.tune_hooks import StudyScheduler, StudySearcher
from tune_at.wording import counted, duration

if TYPE_CHECKING:
    from tune_at.scheduling.proposals import Proposer


@dataclass(frozen=True)
class Team:
    """What all stages of a sweep share once it runs."""

    sweep: Sweep
    snapshot: Snapshot
    """The tables as they were before."""
    statuses: dict[str, Status]
    """Of all trials of the stages so far, as they are now."""
    launch: Launch
    console: Console
    packing: Packing
    at_once: int
    """Trials at a time at most."""
    forecast: Forecast
    heartbeat: Heartbeat
    notices: Notices | None
    scratch: str
    """A folder for what Ray writes of its own."""
    trainable: type[ATTrainable]
    events: SweepEvents


def run_sweep(
    sweep: Sweep, launch: Launch, console: Console, snapshot: Snapshot | None = None, notices: Notices | None = None
) -> str:
    """Run the trials that are left, creating the sweep's folder if this is the first time.

    Returns when all have ended or the user has interrupted; if a failure has stopped it, the reason. Raises
    `UserError` before anything is written if a trial cannot work or cannot be placed, and `StorageFailed` once its
    storage does.

    Args:
        sweep: what to run, and where.
        launch: how.
        console: where its progress is shown.
        snapshot: its tables, of a caller that holds its lock; see `Sweep.held`.
        notices: who is told of a new best point.
    """
    with contextlib.ExitStack() as held:
        new = not sweep.folder.exists()
        last_words("interrupted; nothing was written" if new else _again(sweep, launch))
        launch = launch.completed(sweep.folder)
        if snapshot is None:
            snapshot = Snapshot() if new else held.enter_context(sweep.held())
        left = [] if new and sweep.study.dynamic else sweep.study.trials() if new else sweep.unfinished(snapshot)
        # What depends on results, points of a search or longer runs, is tried by samples of it.
        tried = [*left, *sweep.study.samples()] if sweep.study.grows else left
        require(sweep.study, tried, launch.address, sweep.folder.place.parent if new else None)
        where = "this machine's cluster" if launch.address == "auto" else launch.address
        start = f"joining {where}" if launch.address else "starting Ray"
        console.print(f"{start}, and trying one batch of each kind of trial ...", highlight=False, markup=False)
        speeds = preflight(tried)
        session = ray_session(launch.address, None if launch.ship_data else OBJECT_STORE_BYTES)
        for warning in held.enter_context(session):
            console.print(warning, highlight=False, markup=False, soft_wrap=True)
        scratch = held.enter_context(scratch_folder())
        last_words(scratch=scratch)
        require_cluster(whole_needs(tried), bool(launch.address), sweep.folder.place.parent)
        packing = pack(tried)
        total = sweep.left(snapshot)
        at_once = _at_once(launch.concurrency, [packing.need(trial.config) for trial in tried], total)
        forecast = _forecast(tried, speeds, at_once)
        reads = any(not isinstance(trial.config.data, Digits) for trial in tried)
        # Nothing has been written so far; from here on nothing is refused.
        if new:
            sweep.create(launch.files(sweep.folder, reads))
            held.enter_context(sweep_lock(sweep.folder))
        sweep.save()
        launch = replace(launch, trials=0)
        last_words(_again(sweep, launch))
        launch.record(sweep.folder, reads)
        for line in set_aside(sweep.folder, snapshot):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        unfold(sweep.folder, snapshot, [trial.name for trial in left])
        remove_temporaries(sweep.folder)
        console.print(_announcement(sweep, left, total, forecast, snapshot), highlight=False, markup=False)
        write_declaration(sweep.folder, {sweep.name: sweep.study})
        statuses, complete, stopped = sweep.statuses(snapshot), True, ""
        again = {trial.name for trial in left}
        events = SweepEvents(sweep.folder, {name: status for name, status in statuses.items() if name not in again})
        held.callback(events.close)
        heartbeat = held.enter_context(Heartbeat(sweep.folder, at_once))
        common = (sweep, snapshot, statuses, launch, console, packing, at_once, forecast, heartbeat, notices, scratch)
        team = Team(*common, _with_data(tried) if launch.ship_data else ATTrainable, events)
        for stage in dict.fromkeys(trial.stage for trial in (left or tried)):
            ready = _with_teachers(statuses, [trial for trial in left if trial.stage == stage], console)
            if not ready and not sweep.study.grows:
                continue
            complete, stopped = _run_trials(team, ready)
            if not complete:
                calm()
                break
        if complete:
            remove_temporaries(sweep.folder)  # of workers that were killed on the way
        fold(sweep.folder, {name for name, status in statuses.items() if status.ended}, last=True)
        heartbeat.finished, heartbeat.reason = complete, stopped
    calm()
    if complete:
        last_words("interrupted")
    return "" if complete else stopped


def _again(sweep: Sweep, launch: Launch) -> str:
    return f"interrupted; continue with: {resume_command(sweep.folder, launch)}"


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder for what Ray writes of its own; those that drivers have left that were killed are removed."""
    for left in Path(tempfile.gettempdir()).glob("tune-at-ray-*-*"):
        with contextlib.suppress(OSError, ValueError):
            if not Path(f"/proc/{int(left.name.split('-')[3])}").exists() and Path("/proc/self").exists():
                shutil.rmtree(left, ignore_errors=True)
    prefix = f"tune-at-ray-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield folder


def _with_teachers(statuses: Mapping[str, Status], trials: Sequence[Trial], console: Console) -> list[Trial]:
    """The trials whose teachers, if they have any, are completed; the others are named and stay pending."""
    ready = []
    for trial in trials:
        missing = [name for name in trial.teachers.values() if statuses.get(name) != Status.COMPLETED]
        if missing:
            state = statuses.get(missing[0], Status.PENDING)
            console.print(f"{trial.name} waits: its teacher {missing[0]} is {state}", highlight=False, markup=False)
        else:
            ready.append(trial)
    return ready


def _with_data(trials: Sequence[Trial]) -> type[ATTrainable]:
    """The trainable with the trials' data sets in Ray's object store, one copy a node."""
    sections = {t.config.data.source_key: t.config.data for t in trials if not isinstance(t.config.data, Digits)}
    # Plain arrays: a memory map would be opened by its path, which other nodes do not have.
    shipped = {key: plain_source(load_source(config)) for key, config in sections.items()}
    trainable: type[ATTrainable] = tune.with_parameters(ATTrainable, shipped=shipped)
    return trainable


def _run_trials(team: Team, trials: Sequence[Trial]) -> tuple[bool, str]:
    """Run the trials that are left of a stage; whether all of it have ended, in whatever way, and why not, if known."""
    sweep, study, packing, at_once = team.sweep, team.sweep.study, team.packing, team.at_once
    snapshot, statuses = team.snapshot, team.statuses
    policy = build_policy(study)
    ledger = Ledger(sweep, policy, lambda config: packing.need(config).gpu, team.events)
    # A stage is scheduled by itself; stages and early stopping do not go together.
    known = trials if study.stages else sweep.trials(snapshot)
    total = len(known) if study.stages or study.lengths else study.size
    board = ledger.load(known, total, {trial.name for trial in trials}, snapshot)
    run = SweepRun(board, policy, ledger, _proposer(study), at_once)
    statuses |= {state.name: state.status for state in board.states if state.ended}
    everything = [*sweep.trials(snapshot), *(state.trial for state in run.drawn)]
    left = {state.name for state in board.states if not state.ended}
    finished = {name: status for name, status in statuses.items() if name not in left}
    progress = SweepProgress(study, everything, finished, team.console, team.forecast)
    progress.recall(board.states)
    if team.notices is not None:
        team.notices.begin(study, board.states)
    # As many workers start at a time as there are places; Tune's default for a searcher is one after the other.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once)
    # What Ray writes of its own is of no use once it has ended: every result is in the sweep's folder by then.
    with progress, own_handlers():
        if not run.board.complete and run.failure is None:
            tune.Tuner(
                team.trainable,
                tune_config=tune.TuneConfig(
                    num_samples=-1,
                    search_alg=StudySearcher(run),
                    scheduler=StudyScheduler(run),
                    reuse_actors=True,
                    trial_name_creator=_trial_name,
                    trial_dirname_creator=_trial_name,
                ),
                run_config=tune.RunConfig(
                    name=sweep.name,
                    storage_path=team.scratch,
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=WORKER_RETRIES),
                    callbacks=[ProgressCallback(progress, run, team.launch.fail_fast, team.heartbeat, team.notices)],
                ),
            ).fit()
    if team.notices is not None:
        team.notices.look(run.done)
    statuses |= {state.name: state.status for state in run.board.states}
    if run.failure is not None:
        where, problem, remedy = run.failure.parts
        again = f" with: {resume_command(sweep.folder, team.launch)}" if remedy.endswith("again") else ""
        raise StorageFailed(where, problem, remedy + again)
    return run.board.complete, run.aborted


def _trial_name(trial: "tune.experiment.Trial") -> str:
    return str(trial.config["spec"]["trial"])


def _proposer(study: Study) -> "Proposer | None":
    """What draws the points of a search that depends on its results; its library is imported only then."""
    return SEARCHERS[study.search.name].load()(study) if study.dynamic else None


def _at_once(concurrency: int, needs: Iterable[Need], trials: int) -> int:
    fitting = max(1, min(slots(need) for need in dict.fromkeys(needs)))
    return max(1, min(trials, fitting, concurrency or fitting))


def _forecast(trials: Sequence[Trial], speeds: Mapping[str, Speed], at_once: int) -> Forecast:
    """What the trials will take, from the batches just measured; of GPUs only how they compare is known."""
    on_gpu = any(trial.config.resources.gpu for trial in trials)
    here = max(1, (os.cpu_count() or 1) // max(trial.config.resources.cpu for trial in trials))
    slower = 1.0 if on_gpu else slowdown(min(at_once, here), trials[0].config.resources.cpu)
    costs = {trial.name: TrialCost.of(trial.config, speeds[family(trial.config)], slower) for trial in trials}
    typical = TrialCost.mean(costs.values())
    return Forecast(costs, typical, at_once, known=not on_gpu)


def _announcement(sweep: Sweep, left: Sequence[Trial], total: int, forecast: Forecast, snapshot: Snapshot) -> str:
    """How many trials, how many at a time, and on CPUs how long, less the epochs of earlier runs."""
    at_most = "at most " if sweep.study.lengths else ""
    line = f"{at_most}{counted(total, 'trial')}, {forecast.at_once} at a time"
    epochs = snapshot.frame("epochs").groupby("trial").size()
    seconds = forecast.left({trial.name: int(epochs.get(trial.name, 0)) for trial in left}, total - len(left))
    if seconds is None:
        return line
    most = "at most " if sweep.study.scheduler.stops else ""
    probes = " and what its probes take" if sweep.study.probes else ""
    return f"{line}, {most}about {duration(WORKER_START + seconds)}{probes}"
