"""A sweep's folder: creating it, finding out what is left to do in it, and refusing a changed study."""

import shlex
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from tune_at.config.tree import difference
from tune_at.errors import UserError
from tune_at.store.files import create_folder, require_writable
from tune_at.store.place import LocalPlace, Place, to_place
from tune_at.store.reader import damaged_parts, read_table, sweep_folder
from tune_at.store.schema import TABLES
from tune_at.store.writer import part_path
from tune_at.study import Study, Trial

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

        They continue from their checkpoints, so what is written again equals what was there.
        """
        for trial in trials:
            for table in TABLES:
                part_path(self.folder, table, trial).unlink(missing_ok=True)

    def unfinished(self, damaged: Container[str] = ()) -> list[Trial]:
        """The trials that `resume` has to run: those without a final status, without all their rows, or `damaged`."""
        rows = read_table(self.folder, "trials", without=damaged)
        counts = read_table(self.folder, "epochs", without=damaged).groupby("trial").size()
        done = {
            row["trial"]
            for row in rows.to_dict("records")
            if row["status"] in FINAL and counts.get(row["trial"], 0) == row["epochs"]
        }
        return [trial for trial in self.study.trials() if trial.name not in done]

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


def _as_tree(study: Study) -> dict[str, object]:
    return {"base": study.base, "axes": study.axes, "seeds": study.seeds, "stages": study.stages}
