"""What a sweep needs and this machine does not have, all at once, and before Ray is started."""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tune_at.config.data import DataSection, Vision
from tune_at.config.facts import KnownData
from tune_at.data.identity import settle
from tune_at.data.vision import find_files
from tune_at.errors import UserError, joined
from tune_at.store.files import require_writable
from tune_at.store.place import Place
from tune_at.study.file import read_study
from tune_at.study.study import Study
from tune_at.study.trials import Trial
from tune_at.tuning.cluster.connect import find_cluster
from tune_at.tuning.cluster.nodes import unfit_nodes
from tune_at.tuning.cluster.session import Need, live_nodes, this_machine, unplaceable
from tune_at.tuning.packing import whole_needs


def require(study: Study, trials: Sequence[Trial], address: str = "", storage: Place | None = None) -> None:
    """Raise one `UserError` that names all that is missing, and a preset that has it, if the study has such a one.

    Args:
        study: whose trials they are.
        trials: those that are to run.
        address: the cluster to join; empty for this machine alone, whose cores and GPUs then have to do.
        storage: the folder to write in, if that has not been tried.
    """
    problems = missing(trials, study.data, address, storage)
    if problems:
        elsewhere = storage is None or any(problem.where == "--storage" for problem in problems)
        preset = "" if elsewhere else fitting_preset(study, address)
        remedy = f"choose --preset {preset}, which runs here" if preset else ""
        raise joined(problems, f"{study.name} cannot run here", remedy)


def require_cluster(needs: Iterable[Need], joined_one: bool, storage: Place) -> None:
    """The same of the running cluster: raise one `UserError` that names all that it cannot hold or do."""
    problems = unplaceable(needs, live_nodes(), joined_one) + unfit_nodes(storage)
    if problems:
        raise joined(problems, "the cluster cannot run this")


def missing(
    trials: Iterable[Trial],
    known: KnownData,
    address: str = "",
    storage: Place | None = None,
    data: Callable[[KnownData, DataSection], None] | None = None,
) -> list[UserError]:
    """What trials need and there is not: cores, GPUs, a cluster, data sets, storage that can be written.

    `known`: what was recorded of the data, which has to be as it was; what was not is remembered there. `data` raises
    `UserError` if a section's data is not what it should be; by default all of it is read.
    """
    data = data or _settled
    trials = list(trials)
    problems: list[UserError] = []
    if address:
        problems += _refusals(lambda: find_cluster(address))
    elif here := this_machine():
        problems += unplaceable(whole_needs(trials), [here])
    for section in {trial.config.data.source_key: trial.config.data for trial in trials}.values():
        problems += _refusals(functools.partial(data, known, section))
    if storage is not None:
        problems += _refusals(lambda: require_writable(storage, "--storage"))
    return problems


def missing_at_a_glance(study: Study, address: str = "") -> list[UserError]:
    """What `missing` finds without joining a cluster and without reading data: resources, and files that are absent."""
    problems = missing(study.trials() or study.samples(), study.data, data=_present)
    return [problem for problem in problems if not (address and problem.where.startswith("resources"))]


def fitting_preset(study: Study, address: str = "") -> str:
    """The first other preset of the study's file that lacks nothing here; empty if there is none."""
    source = Path(study.source)
    for preset in read_study(source).presets if source.is_file() else ():
        if preset == study.preset:
            continue
        try:
            other = Study.resolve(study.source, preset, study.overrides)
        except UserError:
            continue  # it does not go with what was --set
        if not missing(other.samples(), other.data, address):
            return preset
    return ""


def _settled(known: KnownData, section: DataSection) -> None:
    settle(known, [section])


def _present(known: KnownData, section: DataSection) -> None:
    if isinstance(section, Vision):
        find_files(section)


def _refusals(question: Callable[[], object]) -> list[UserError]:
    """What `question` raises, if so."""
    try:
        question()
    except UserError as error:
        return [error]
    return []
