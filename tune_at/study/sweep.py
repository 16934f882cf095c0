"""A sweep's folder: creating it, finding out what is left to do in it, and refusing a changed study."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tune_at.config.facts import KnownData
from tune_at.config.tree import Tree, difference
from tune_at.config.trial import TrialConfig
from tune_at.config.versions import FIRST
from tune_at.errors import UserError
from tune_at.store.files import create_folder, require_writable, write_whole
from tune_at.store.layout import SweepFolder
from tune_at.store.lock import sweep_lock
from tune_at.store.place import LocalPlace, Place, to_place
from tune_at.store.reader import sweep_folder
from tune_at.store.schema import TABLES, TRAINED
from tune_at.store.snapshot import Snapshot, find_damage, read_snapshot
from tune_at.store.status import Status
from tune_at.study.curves import trials_of
from tune_at.study.paths import anchored
from tune_at.study.study import Study
from tune_at.study.trials import Trial
from tune_at.study.yaml_text import in_version_1
from tune_at.wording import shell


@dataclass(frozen=True)
class Sweep:
    """A study and the folder that its results go to."""

    folder: SweepFolder
    study: Study

    def __post_init__(self) -> None:
        """A path or an address stands for its folder."""
        object.__setattr__(self, "folder", SweepFolder.of(self.folder))

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.name

    @classmethod
    def plan(cls, study: Study, storage: str, name: str, tried: bool = True) -> "Sweep":
        """A sweep that does not exist yet. Writes nothing; raises `UserError` if its folder cannot be made.

        `tried`: whether that is tried now; if not, its run does so, with all else that it needs.
        """
        if not name or Path(name).name != name or name.startswith(".") or len(name) > 100:
            raise UserError(
                "--name", f"{name!r} cannot be the name of a folder", "use letters, digits, - and _, up to 100"
            )
        above = to_place(storage)
        try:
            if isinstance(above, LocalPlace):
                above = above.expanduser().resolve()
            else:
                above.require_bucket()
            folder = SweepFolder(above / name)
            exists = folder.exists()
        except (OSError, RuntimeError) as error:
            raise UserError("--storage", f"{storage!r} cannot be used: {error}", "name another folder") from None
        if exists:
            raise UserError("--name", *_taken(folder, study, str(to_place(storage) / name)))
        if tried:
            require_writable(above, "--storage")
        return cls(folder, study)

    @classmethod
    def open(cls, folder: str) -> "Sweep":
        """An existing sweep, as its `study.yaml` records it."""
        path = to_place(folder)
        if not isinstance(path, LocalPlace):
            path.require_bucket()
        opened = SweepFolder(sweep_folder(path).place.resolve())
        study = Study.from_yaml(opened.study.read_text(encoding="utf-8"), str(opened.study))
        if study.curves:
            read = cache(lambda: trials_of(read_snapshot(opened, ("trials",)).arrow("trials").to_pylist()))
            study = replace(study, curves=replace(study.curves, read=read))
        return cls(opened, study)

    def create(self, beside: Mapping[str, bytes] | None = None) -> None:
        """Make the folder and record the study, with files `beside` it. Raises `UserError` if another was faster.

        The study is written last: it is what makes a folder a sweep.
        """
        files = {**(beside or {}), self.folder.study.name: self.study.as_yaml().encode()}
        try:
            create_folder(self.folder, files)
        except FileExistsError:
            raise UserError("--name", f"{self.folder} exists by now", "choose another --name") from None

    @contextlib.contextmanager
    def held(self) -> Iterator[Snapshot]:
        """Hold the sweep's lock for the block, with what its tables say. Raises `Locked` or `StorageFailed`.

        Damage is looked for in all tables, in those that training does not write, too. Where they cannot be read at
        all, a lock that was never there before is not left behind.
        """
        new = not self.folder.lock.exists()
        with sweep_lock(self.folder):
            try:
                snapshot = self.read()
                others = find_damage(self.folder, [table for table in TABLES if table not in TRAINED])
            except UserError:
                if new:
                    self.folder.lock.unlink(missing_ok=True)
                raise
            yield replace(snapshot, damage=[*snapshot.damage, *others])

    def read(self) -> Snapshot:
        """The tables that training writes, read once; what is damaged is named in it."""
        return read_snapshot(self.folder)

    def statuses(self, snapshot: Snapshot | None = None) -> dict[str, Status]:
        """The status of each trial that has a row; the others are pending."""
        rows = (snapshot or self.read()).arrow("trials")
        return dict(zip(rows["trial"].to_pylist(), map(Status, rows["status"].to_pylist()), strict=True))

    def done(self, snapshot: Snapshot) -> set[str]:
        """The trials that `resume` leaves alone: those with a final status and all their rows, none of them damaged."""
        rows = snapshot.arrow("trials")
        counts = snapshot.arrow("epochs")["trial"].value_counts()
        stored = dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
        columns = (rows[name].to_pylist() for name in ("trial", "status", "epochs"))
        complete = {
            trial
            for trial, status, epochs in zip(*columns, strict=True)
            if Status(status).final and stored.get(trial, 0) == epochs
        }
        return complete - snapshot.damaged_trials

    def unfinished(self, snapshot: Snapshot | None = None) -> list[Trial]:
        """The trials that `resume` has to run, of those that are known."""
        snapshot = snapshot or self.read()
        done = self.done(snapshot)
        return [trial for trial in self.trials(snapshot) if trial.name not in done]

    def trials(self, snapshot: Snapshot | None = None) -> list[Trial]:
        """All trials that are known: those of the study, those that a search has drawn so far, or those imported."""
        if self.study.curves and snapshot:
            return trials_of(snapshot.arrow("trials").to_pylist())
        if self.study.ladder is not None:
            return self.study.ladder.known(*self._climbed(snapshot or self.read()))
        if not self.study.dynamic:
            return self.study.trials()
        return [trial for trial, _ in self.drawn(snapshot)]

    def drawn(self, snapshot: Snapshot | None = None) -> list[tuple[Trial, str]]:
        """The trials that a search has drawn, in order, each with what its searcher has to know of it.

        Raises `UserError` if both copies of a point, its rows and its file, are damaged.
        """
        rows = (snapshot or self.read()).frame("trials").to_dict("records")
        columns, seeds, data = self.study.columns, self.study.seeds, self.study.data
        known = {row["trial"]: (_drawn(row, json.loads(row["config"]), columns, data), row["proposal"]) for row in rows}
        complete = Counter(map(_number, known))
        for path in self.folder.points.files(suffix=".json"):
            if complete[int(path.stem)] < len(seeds):
                for spec in _read_point(path):
                    key = "proposal" if "proposal" in spec else "search"  # as it was called first
                    trial = _drawn({**spec, **spec["swept"]}, spec["config"], columns, data)
                    known.setdefault(trial.name, (trial, spec[key]))
        # Not by name: seed 10 would come before seed 2.
        return sorted(known.values(), key=lambda item: (_number(item[0].name), seeds.index(item[0].config.seed)))

    def left(self, snapshot: Snapshot | None = None) -> int:
        """The number of trials that are unfinished, have yet to be drawn or may yet be promoted. Parses none."""
        if self.study.curves:
            return 0  # they were trained elsewhere, and end as they end
        snapshot = snapshot or self.read()
        return self.size(snapshot) - len(self.done(snapshot))

    def size(self, snapshot: Snapshot | None = None) -> int:
        """How many trials the sweep has or, by what is decided so far, may come to have."""
        if (ladder := self.study.ladder) is None:
            return self.study.size
        snapshot = snapshot or self.read()
        promoted, begun = self._climbed(snapshot)
        out = set(decided(snapshot, "stop", "completed"))
        out |= {name for name, status in self.statuses(snapshot).items() if status.void}
        return len(ladder.known(promoted, begun)) + ladder.open(promoted, begun, out)

    def _climbed(self, snapshot: Snapshot) -> tuple[set[str], set[str]]:
        """The trials that were promoted, and those that have a row."""
        return set(decided(snapshot, "promote")), set(snapshot.arrow("trials")["trial"].to_pylist())

    def extended(self, trials: int) -> "Sweep":
        """The sweep with more points to search. Nothing is written yet: see `save`."""
        return replace(self, study=self.study.extended(trials))

    def save(self) -> None:
        """Record the study if it has been extended."""
        text = self.study.as_yaml().encode()
        if self.folder.study.read_bytes() != text:
            write_whole(self.folder.study, text)

    def require_trained(self, remedy: str) -> None:
        """Raise `UserError` for curves from elsewhere: they have no weights, and no config that could be trained."""
        if self.study.curves:
            raise UserError(str(self.folder), "has curves from elsewhere, and no networks", remedy)

    def require_unchanged(self) -> None:
        """Raise `UserError` with the difference if the study's file now means something else than when it began."""
        recorded = self.study
        if not Path(recorded.source).is_file():
            return  # moved, deleted, or on another machine: study.yaml has all that is needed
        remedy = "undo the change, continue with --as-recorded, or start a new sweep"
        try:
            current = Study.resolve(
                recorded.source, recorded.preset, recorded.overrides, recorded.data, recorded.schema
            )
        except UserError as error:
            raise UserError(
                recorded.source, f"has changed since the sweep began and is refused: {error}", remedy
            ) from None
        wanted, known = (getattr(study.search, "trials", 0) for study in (current, recorded))
        if wanted > known > 0:
            where = f"{recorded.source}: search.trials"
            raise UserError(where, f"is {wanted} by now, {known} in the sweep", f"extend it with --trials {wanted}")
        changes = difference(_as_tree(recorded), _as_tree(current))
        if changes:
            raise UserError(recorded.source, f"has changed since the sweep began: {'; '.join(changes)}", remedy)


def decided(snapshot: Snapshot, *actions: str) -> list[str]:
    """The trials about which one of these actions was decided."""
    rows = snapshot.arrow("decisions")
    return [t for t, a in zip(rows["trial"].to_pylist(), rows["action"].to_pylist(), strict=True) if a in actions]


def write_point(folder: SweepFolder, specs: Sequence[Mapping[str, Any]]) -> None:
    """Write the trials of a point that a searcher has drawn, all seeds in one file: it is there whole or not at all."""
    number = str(specs[0]["trial"]).partition("-")[0]
    write_whole(folder.point(number), json.dumps(list(specs)).encode())


def _number(trial: str) -> int:
    """The place of a trial's point in the search, with which its name begins."""
    return int(trial.partition("-")[0])


def _read_point(path: Place) -> list[dict[str, Any]]:
    try:
        specs: list[dict[str, Any]] = json.loads(path.read_bytes())
    except ValueError:
        remedy = "restore it, or begin a new sweep: the point that was drawn is in no other file"
        raise UserError(str(path), "is damaged", remedy) from None
    return specs


def _drawn(row: Mapping[Any, Any], config: Tree, columns: Iterable[str], data: KnownData) -> Trial:
    swept = {column: None if (value := row.get(column)) != value else value for column in columns}
    return Trial(row["trial"], TrialConfig.parse(config, data=data, schema=FIRST), swept)


def _as_tree(study: Study) -> dict[str, object]:
    search = study.search.model_dump(mode="json", exclude={"trials"})  # `resume --trials` changes it
    tree = {
        **anchored({"base": study.base, "axes": study.axes, "stages": study.stages}), "seeds": study.seeds,
        "search": search, "scheduler": study.scheduler.model_dump(mode="json"),
        "probes": {probe.name: probe.model_dump(mode="json") for probe in study.probes},
    }  # fmt: skip
    compared: dict[str, object] = in_version_1(tree, numbers=True)
    return compared


def _taken(folder: SweepFolder, study: Study, typed: str) -> tuple[str, str]:
    """What is in a folder whose name was asked for, and the remedy."""
    other = "choose another --name"
    if not folder.study.is_file():
        return f"{folder} exists", other
    try:
        there = Study.from_yaml(folder.study.read_text(encoding="utf-8"), str(folder.study))
    except (UserError, OSError, ValueError):
        return f"{folder} exists, a sweep that cannot be read", other
    if there != study:
        which = "another version of the study" if there.name == study.name else f"a sweep of {there.name}"
        return f"{folder} exists, and is {which}", other
    return f"{folder} exists", f"continue it with `{shell('python', 'run.py', 'resume', typed)}`, or {other}"
