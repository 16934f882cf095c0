"""Checkpoints: the whole state of a trial between two epochs, checked before it is used, never unpickled."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from tune_at.store.files import write_whole

KEEP = 2
"""Checkpoints kept of a trial: if the newest is damaged, the one before it is used."""


class DamagedCheckpoint(Exception):
    """A file that is no whole checkpoint; the message names it."""


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values as one file, whole or not at all. `torch.load(path)` reads it too."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(path, buffer.getvalue())


def load_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save_state` wrote. Raises `DamagedCheckpoint` if a byte is missing or changed.

    torch's format is a zip archive with a CRC-32 of each record, which torch itself does not verify.
    """
    data = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if (bad := archive.testzip()) is not None:
                raise DamagedCheckpoint(f"{path}: the checksum of {bad} does not match")
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    except DamagedCheckpoint:
        raise
    except Exception as error:
        raise DamagedCheckpoint(f"{path}: {str(error).splitlines()[0]}") from None
    return state


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """The file of the checkpoint after `epoch`."""
    return folder / f"epoch-{epoch:06d}.pt"


def epoch_of(path: Path) -> int:
    """The epoch after which a checkpoint was taken."""
    return int(path.stem.removeprefix("epoch-"))


def checkpoints(folder: Path) -> list[Path]:
    """A trial's checkpoints, newest first."""
    return sorted(folder.glob("epoch-*.pt"), reverse=True)


def prune(folder: Path, epoch: int) -> None:
    """Remove all but the `KEEP` newest of the checkpoints up to `epoch`."""
    older = [path for path in checkpoints(folder) if path <= checkpoint_path(folder, epoch)]
    for path in older[KEEP:]:
        path.unlink(missing_ok=True)
