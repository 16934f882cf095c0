"""Data sets, and the storage that a sweep would be written to."""

import os

from tune_at.errors import UserError
from tune_at.store.place import LocalPlace, Place
from tune_at.tuning.doctor.check import ROOM, Check, Checks, State, size


def data() -> Checks:
    """Each data set: where it would be read from, by files' names alone, or why it cannot be."""
    from tune_at.config.data import DATASETS, Vision
    from tune_at.data.cache import cache_folder, data_folder
    from tune_at.data.vision import find_files
    from tune_at.store.files import require_writable

    folder = data_folder()
    if os.environ.get("TUNE_AT_DATA") and not folder.is_dir():
        yield Check(State.NOTE, "TUNE_AT_DATA", f"{folder} is not a folder", "name the folder with the data sets")
    there = []
    for name, entry in DATASETS.items():
        section = entry.config
        if not issubclass(section, Vision):
            yield Check(State.OK, name, entry.summary)  # comes with a package, or is the user's own
            continue
        try:
            yield Check(State.OK, name, find_files(section.model_validate({})))
            there.append(name)
        except UserError as error:
            yield Check(State.NOTE, name, error.problem, error.remedy)
    if there:
        try:
            require_writable(cache_folder(), "cache")
        except UserError as error:
            yield Check(State.NOTE, "cache", error.problem, "name a folder in TUNE_AT_CACHE, for decoded images")


def storage_checks(storage: Place) -> Checks:
    """Whether a sweep could be written there, and how fast."""
    from tune_at.store.speed import LARGE, try_storage

    shown = str(storage.resolve()) if isinstance(storage, LocalPlace) else storage.without_query
    try:
        speed = try_storage(storage)
    except UserError as error:
        remedy = error.remedy or "name another with --storage"
        yield Check(State.FAILED, "storage", f"{shown}: {error.problem}", remedy)
        return
    says = f"{shown} can be written: a small file in {1000 * speed.small:.0f} ms,"
    says += f" {LARGE >> 20} MB at {size(speed.write)}/s, read back at {size(speed.read)}/s"
    if speed.free is not None and speed.free < ROOM:
        yield Check(
            State.NOTE, "storage", f"{says}; {size(speed.free)} free", "free space: checkpoints take most of it"
        )
    else:
        yield Check(State.OK, "storage", says + (f"; {size(speed.free)} free" if speed.free is not None else ""))
