"""A sweep's folder: creating it, finding out what is left to do in it, and refusing a changed study."""

import json
import shlex
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tune_at.config.tree import Tree, difference
from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.points import Trial
from tune_at.store.files import create_folder, require_writable, write_whole
from tune_at.store.place import LocalPlace, Place, each, to_place
from tune_at.store.reader import damaged_parts, is_damaged, read_table, sweep_folder
from tune_at.store.schema import TABLES
from tune_at.store.writer import part_path
from tune_at.study import Study

FINAL = ("completed", "stopped", "diverged")
"""Statuses that `resume` leaves alone; a failed trial is tried again."""


@dataclass(frozen=True)
class Sweep:
    """A study and the folder that its results go to."""

    folder: Place
    study: Study

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.name

    @classmethod
    def plan(cls, study: Study, storage: str, name: str) -> "Sweep":
        """A sweep that does not exist yet. Writes nothing; raises `UserError` if its folder cannot be made."""
        if not name or Path(name).name != name or name.startswith(".") or len(name) > 100:
            raise UserError("--name", f"{name!r} is no name of a folder", "use letters, digits, - and _, up to 100")
        above = to_place(storage)
        try:
            if isinstance(above, LocalPlace):
                above = above.expanduser().resolve()
            else:
                above.require_bucket()
            folder = above / name
            exists = folder.exists()
        except (OSError, RuntimeError) as error:
            raise UserError("--storage", f"{storage!r} cannot be used: {error}", "name another folder") from None
        if exists:
            known = (folder / "study.yaml").is_file()
            shown = shlex.quote(str(to_place(storage) / name))
            remedy = f"continue it with `python run.py resume {shown}`, or choose another --name"
            raise UserError("--name", f"{folder} exists", remedy if known else "choose another --name")
        require_writable(folder.parent, "--storage")
        return cls(folder, study)

    @classmethod
    def open(cls, folder: str) -> "Sweep":
        """An existing sweep, as its `study.yaml` records it."""
        path = to_place(folder)
        if not isinstance(path, LocalPlace):
            path.require_bucket()
        path = sweep_folder(path).resolve()
        return cls(path, Study.from_yaml((path / "study.yaml").read_text(encoding="utf-8"), str(path / "study.yaml")))

    def create(self) -> None:
        """Make the folder and record the study. Raises `UserError` if another sweep was faster."""
        try:
            create_folder(self.folder, {"study.yaml": self.study.as_yaml().encode()})
        except FileExistsError:
            raise UserError("--name", f"{self.folder} exists by now", "choose another --name") from None

    def statuses(self) -> dict[str, str]:
        """The status of each trial that has a row; the others are pending."""
        rows = read_table(self.folder, "trials")
        return dict(zip(rows["trial"], rows["status"], strict=True))

    def damaged(self) -> dict[str, str]:
        """The trials of which a file in the store is damaged, with the reason."""
        return damaged_parts(self.folder)

    def discard(self, trials: Iterable[str]) -> None:
        """Remove the rows of trials, which then are unfinished.

        They continue from their checkpoints, so what is written again equals what was there. Decisions about them stay
        if they can be read.
        """
        for trial in trials:
            for table in TABLES:
                path = part_path(self.folder, table, trial)
                if table != "decisions" or is_damaged(path):
                    path.unlink(missing_ok=True)

    def unfinished(self, damaged: Container[str] = ()) -> list[Trial]:
        """The trials that `resume` has to run: those without a final status, without all their rows, or `damaged`."""
        rows = read_table(self.folder, "trials", without=damaged)
        counts = read_table(self.folder, "epochs", without=damaged).groupby("trial").size()
        done = {
            row["trial"]
            for row in rows.to_dict("records")
            if row["status"] in FINAL and counts.get(row["trial"], 0) == row["epochs"]
        }
        return [trial for trial in self.trials(damaged) if trial.name not in done]

    def trials(self, damaged: Container[str] = ()) -> list[Trial]:
        """All trials that are known: those of the study, or those that a search has drawn so far."""
        if not self.study.dynamic:
            return self.study.trials()
        rows = read_table(self.folder, "trials", without=damaged) if self.folder.exists() else None
        found = {} if rows is None else {row["trial"]: row for row in rows.to_dict("records")}
        columns = self.study.columns
        trials = {name: _drawn(row, json.loads(row["config"]), columns) for name, row in found.items()}
        for path in (self.folder / "search").files(suffix=".json"):
            if path.stem not in trials:
                spec = json.loads(path.read_bytes())
                trials[path.stem] = _drawn({"trial": path.stem, **spec["swept"]}, spec["config"], columns)
        return [trials[name] for name in sorted(trials)]

    def left(self, damaged: Container[str] = ()) -> int:
        """The number of trials that are unfinished or have yet to be drawn."""
        return len(self.unfinished(damaged)) + self.study.size - len(self.trials(damaged))

    def searches(self) -> dict[str, str]:
        """What the searcher has to know of each trial that it has drawn."""
        paths: Sequence[Place] = (self.folder / "search").files(suffix=".json")
        points = each(paths, lambda path: json.loads(path.read_bytes()))
        return {path.stem: point["search"] for path, point in zip(paths, points, strict=True)}

    def extend(self, trials: int) -> "Sweep":
        """The sweep with more points to search, recorded."""
        study = self.study.extended(trials)
        if study is not self.study:
            write_whole(self.folder / "study.yaml", study.as_yaml().encode())
        return replace(self, study=study)

    def require_unchanged(self) -> None:
        """Raise `UserError` with the difference if the study's file now means something else than when it began."""
        recorded = self.study
        if not Path(recorded.source).is_file():
            return  # moved, deleted, or on another machine: study.yaml has all that is needed
        remedy = "undo the change, continue with --as-recorded, or start a new sweep"
        try:
            current = Study.resolve(recorded.source, recorded.preset, recorded.overrides)
        except UserError as error:
            raise UserError(
                recorded.source, f"has changed since the sweep began and is refused: {error}", remedy
            ) from None
        changes = difference(_as_tree(recorded), _as_tree(current))
        if changes:
            raise UserError(recorded.source, f"has changed since the sweep began: {'; '.join(changes)}", remedy)


def drawn_path(folder: Place, trial: str) -> Place:
    """Where the point of a trial is written when a searcher has drawn it."""
    return folder / "search" / f"{trial}.json"


def _drawn(row: Mapping[Any, Any], config: Tree, columns: Iterable[str]) -> Trial:
    swept = {column: None if (value := row.get(column)) != value else value for column in columns}
    return Trial(row["trial"], TrialConfig.parse(config), swept)


def _as_tree(study: Study) -> dict[str, object]:
    search = study.search.model_dump(mode="json", exclude={"trials", "extended"})  # `resume --trials` changes these
    return {
        "base": study.base, "axes": study.axes, "seeds": study.seeds, "stages": study.stages,
        "search": search, "scheduler": study.scheduler.model_dump(mode="json"),
    }  # fmt: skip
