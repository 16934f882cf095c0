"""Checkpoints: the whole state of a trial between two epochs, checked before it is used, never unpickled."""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import torch

from tune_at.config.versions import require_known
from tune_at.store.files import write_whole
from tune_at.store.layout import CHECKPOINT, EXPLOIT, SUFFIX, checkpoint_name
from tune_at.store.place import Place, Where, to_place

KEEP = 2
"""Checkpoints kept of a trial: if the newest is damaged, the one before it is used."""


class DamagedCheckpoint(Exception):
    """A file that is not a whole checkpoint; the message names it."""


def save_state(path: Where, state: dict[str, Any]) -> None:
    """Write tensors and plain values as one file, whole or not at all. `torch.load(path)` reads it too.

    Raises `StorageFailed`.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(path, buffer.getbuffer())


def load_state(path: Where, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save_state` wrote. Raises `DamagedCheckpoint` if a byte is missing or changed,
    `StorageFailed`, or `UserError` if a newer version wrote it.

    torch's format is a zip archive with a CRC-32 of each record, which torch itself does not verify.
    """
    data = to_place(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if (bad := archive.testzip()) is not None:
                raise DamagedCheckpoint(f"{path}: the checksum of {bad} does not match")
        state: Any = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    except DamagedCheckpoint:
        raise
    except Exception as error:
        raise DamagedCheckpoint(f"{path}: {str(error).splitlines()[0]}") from None
    if not isinstance(state, dict):
        raise DamagedCheckpoint(f"{path}: is not a checkpoint, but a {type(state).__name__}")
    require_known(state.get("schema"), str(path))
    return state


def checkpoint_path(folder: Where, epoch: int) -> Place:
    """The file of the checkpoint after `epoch`."""
    return to_place(folder) / checkpoint_name(epoch)


def checkpoint_epoch(path: Place) -> int:
    """The epoch after which a checkpoint was taken."""
    return int(path.stem.removeprefix(CHECKPOINT))


def checkpoints(folder: Where) -> list[Place]:
    """A trial's checkpoints, newest first."""
    found: Sequence[Place] = to_place(folder).files(CHECKPOINT, SUFFIX)
    return list(reversed(found))


def prune(folder: Where, epoch: int) -> None:
    """Remove all but the `KEEP` newest of the checkpoints up to `epoch`."""
    older = [path for path in checkpoints(folder) if checkpoint_epoch(path) <= epoch]
    for path in older[KEEP:]:
        path.unlink(missing_ok=True)
    if len(older) >= KEEP:
        # Nor will the trial begin again from other trials' weights that it took before these.
        for path in to_place(folder).files(EXPLOIT, SUFFIX):
            if int(path.stem.removeprefix(EXPLOIT)) < checkpoint_epoch(older[KEEP - 1]):
                path.unlink(missing_ok=True)
