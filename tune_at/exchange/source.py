"""What a source of curves is, by what is there, and its rows."""

from collections.abc import Sequence
from pathlib import Path

from tune_at.errors import UserError
from tune_at.exchange.event_files import find_runs, read_events
from tune_at.exchange.ray_results import find_results, read_ray
from tune_at.exchange.rows import Rows
from tune_at.exchange.tables import SUFFIXES, read_table
from tune_at.exchange.wandb_panels import is_panel, read_panels
from tune_at.store.layout import SweepFolder

KINDS = ("csv", "parquet", "jsonl", "ray", "tensorboard", "wandb")
"""What `--from` takes; `wandb` are exports of line plots, its histories are CSV, Parquet or JSON lines as any."""


def read_source(source: str, kind: str = "") -> Rows:
    """The rows of a file, or of a folder.

    Args:
        source: its path.
        kind: one of `KINDS`; by default it is told by what is there.

    Raises:
        UserError: nothing there, nothing that is known, several kinds in one folder, or bad rows, by their lines.
    """
    path = Path(source).expanduser()
    name = path.name or source
    if not path.exists():
        raise UserError(source, "is neither a file nor a folder", "name the curves that are to be imported")
    if path.is_file():
        return _read_files([path], name, kind or SUFFIXES.get(path.suffix.lower(), ""), alone=True)
    if SweepFolder.of(path).study.is_file():
        raise UserError(source, "is a sweep already", "report, query and replay read it as it is")
    kind = kind or _kind_of(path, source)
    if kind == "ray":
        return read_ray(path, name)
    if kind == "tensorboard":
        return read_events(path, name)
    return _read_files(_tables(path, kind), name, kind, alone=False)


def _read_files(files: Sequence[Path], name: str, kind: str, alone: bool) -> Rows:
    if kind in ("ray", "tensorboard"):
        raise UserError(name, f"is a file, and --from {kind} reads a folder", "name its folder")
    if kind not in KINDS:
        raise UserError(name, "has no ending that says what it is", f"say it with --from {'|'.join(KINDS[:3])}")
    parts = [read_table(path, path.name, "csv" if kind == "wandb" else kind) for path in files]
    parts = [part for part in parts if len(part.frame)]
    if not parts:
        raise UserError(name, "has no rows", "name curves that have some")
    if kind == "wandb" or (kind == "csv" and all(is_panel(part.columns) for part in parts)):
        return read_panels(parts, name)
    trials = tuple(Path(part.files[0]).stem for part in parts)
    return Rows.concatenated(parts, trials=trials)


def _tables(folder: Path, kind: str) -> list[Path]:
    wanted = "csv" if kind == "wandb" else kind
    files = [path for path in sorted(folder.iterdir()) if SUFFIXES.get(path.suffix.lower()) == wanted]
    if not files:
        raise UserError(str(folder), f"has no file that is {wanted} by its ending", "name another folder, or the file")
    return [path for path in files if path.is_file()]


def _kind_of(folder: Path, source: str) -> str:
    """The kind of a folder: Ray's own files come with events and CSV, so they go first."""
    if find_results(folder):
        return "ray"
    found = {SUFFIXES[path.suffix.lower()] for path in folder.iterdir() if path.suffix.lower() in SUFFIXES}
    found |= {"tensorboard"} if find_runs(folder) else set()
    if len(found) > 1:
        raise UserError(source, f"has {' and '.join(sorted(found))} in it", "say which with --from, or name a file")
    if not found:
        remedy = "name a file, or a folder of files, of Ray Tune's results or of TensorBoard's events"
        raise UserError(source, "has no curves in it that are known here", remedy)
    return found.pop()
