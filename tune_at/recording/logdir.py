"""The folder that TensorBoard is started on: links to the runs of sweeps, all or some; copies, if they are far away.

TensorBoard follows links, sees new runs, and forgets those that are gone. What a run says once, such as its status, it
reads once: a run whose trial has ended since is taken away until TensorBoard has forgotten it.
"""

import contextlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tune_at.recording.run_folders import trial_number
from tune_at.recording.sweep_events import DECLARED, write_declaration
from tune_at.store.layout import EVENTS, SWEEP_RUN, SweepFolder
from tune_at.store.place import LocalPlace, each
from tune_at.store.remote import RemotePlace
from tune_at.study.study import Study


@dataclass(frozen=True)
class Shown:
    """What is to be shown of a sweep."""

    statuses: Mapping[str, str]
    """Of each trial that has one, by its number: see `trial_number`."""
    chosen: Collection[str] | None = None
    """The numbers of the trials that are shown; None is all."""

    def of(self, run: str) -> str | None:
        """The status of a run's trial; None for a run that is not shown."""
        number = trial_number(run)
        shown = run == SWEEP_RUN or self.chosen is None or number in self.chosen
        return self.statuses.get(number, "") if shown else None


class Logdir:
    """Links below `root`. A sweep that is shown alone has its runs right there, of several each has a folder."""

    def __init__(self, root: Path, sweeps: Mapping[str, tuple[SweepFolder, Study]]) -> None:
        """Write what TensorBoard is told of all sweeps together.

        Args:
            root: an empty folder of this process.
            sweeps: each sweep's folder and study, by the name that it has here.
        """
        self.root, self.sweeps = root, sweeps
        self.linked: dict[Path, str] = {}
        """The runs that there are below `root`, each with its trial's status when it was linked."""
        self.declared = Path(str(SweepFolder.of(root).events(SWEEP_RUN)))
        older = not any(SWEEP_RUN in _event_files(folder) for folder, _ in sweeps.values())
        write_declaration(SweepFolder.of(root), {name: study for name, (_, study) in sweeps.items()}, older)

    @property
    def folder(self) -> Path:
        """What TensorBoard is started on."""
        return self.declared.parent

    @property
    def trials(self) -> int:
        """How many trials' runs there are."""
        return sum(run.name != SWEEP_RUN for run in self.linked)

    def refresh(self, shown: Mapping[str, Shown]) -> int:
        """Link what is new, take away what is not to be shown, or has ended since.

        What has ended is back after the next `refresh`.

        Returns:
            How many runs were taken away because they have ended.
        """
        wanted: dict[Path, str] = {}
        ended = 0
        for name, (folder, _) in self.sweeps.items():
            above = self.folder / name if len(self.sweeps) > 1 else self.folder
            files = _event_files(folder)
            runs = {run: status for run in files if (status := shown[name].of(run)) is not None}
            for run, status in runs.items():
                link = above / run
                before = self.linked.get(link, status)
                if before != status:
                    ended += 1
                    continue
                wanted[link] = before
                self._show(folder, run, files[run], link)
        for gone in self.linked.keys() - wanted.keys():
            _remove(gone)
        self.linked = wanted
        return ended

    def _show(self, folder: SweepFolder, run: str, files: "Mapping[str, int]", link: Path) -> None:
        place = folder.events(run)
        link.parent.mkdir(parents=True, exist_ok=True)
        if run == SWEEP_RUN:
            link.mkdir(exist_ok=True)
            files = {name: size for name, size in files.items() if not name.endswith(DECLARED)}
        if isinstance(place, RemotePlace):
            _copy(place, files, LocalPlace(link))
        elif run == SWEEP_RUN:  # a folder of its own: what is said of all sweeps is there
            for name in files:
                with contextlib.suppress(FileExistsError):
                    (link / name).symlink_to((place / name).absolute())
        elif not link.is_symlink():
            link.symlink_to(place.absolute(), target_is_directory=True)


def count_runs(folder: SweepFolder) -> int:
    """How many trials have events. Raises `StorageFailed`."""
    return len([run for run in _event_files(folder) if run != SWEEP_RUN])


def _event_files(folder: SweepFolder) -> dict[str, dict[str, int]]:
    """The runs of a sweep, each with its files and, if they are far away, their sizes."""
    runs: dict[str, dict[str, int]] = {}
    events = folder.events()
    paths = events.sizes() if isinstance(events, RemotePlace) else dict.fromkeys(events.below(), 0)
    for path, size in sorted(paths.items()):
        run, _, name = path.rpartition("/")
        if run and name.startswith(EVENTS):  # right in the folder lies what version 0.1 declared
            runs.setdefault(run, {})[name] = size
    return runs


def _copy(place: RemotePlace, files: Mapping[str, int], link: LocalPlace) -> None:
    """Bring what has grown since; the copy grows as the file would that TensorBoard follows."""
    link.mkdir(exist_ok=True)
    known = {here.name: here.stat().st_size for here in link.files(EVENTS) if not here.name.endswith(DECLARED)}
    for name in known.keys() - files.keys():
        (link / name).unlink(missing_ok=True)
    grown: Sequence[str] = [name for name, size in files.items() if known.get(name) != size]
    for name, data in zip(grown, each([place / name for name in grown], _content), strict=True):
        if data is not None:
            (link / name).extend(data, known.get(name, 0))


def _content(place: "LocalPlace | RemotePlace") -> bytes | None:
    try:
        return place.read_bytes()
    except FileNotFoundError:  # begun again by a worker that came back
        return None


def _remove(run: Path) -> None:
    if run.is_symlink():
        run.unlink()
    else:
        shutil.rmtree(run, ignore_errors=True)
