"""CIFAR-10, CIFAR-100 and SVHN as torchvision downloads them: what of their files is there, and reading them."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np

from tune_at.config.data import Vision
from tune_at.data.arrays import ImageSet, Source
from tune_at.data.cache import cache_folder, data_folder
from tune_at.errors import UserError
from tune_at.wording import shell


def torchvision_root(config: Vision, folder: Path) -> Path:
    """The folder with all of torchvision's files of a data set: `folder/NAME`, or `folder` itself.

    Looks at their names alone. Raises `UserError` if the data set is absent, or incomplete.
    """
    own = folder / config.name
    for root in (own, folder) if config.files else ():
        missing = [name for name in config.files if not (root / name).is_file()]
        if not missing:
            return root
        if len(missing) < len(config.files):
            raise UserError(
                f"data set {config.name}",
                f"is incomplete: {root} has {config.files[0] if config.files[0] not in missing else 'files of it'}"
                f" but not {missing[0]}",
                f"{_fetching(config)} completes it",
            )
    there = f"{own}, which holds other files" if own.is_dir() and any(own.iterdir()) else f"{folder}"
    if not config.torchvision:
        remedy = f"put its shards train-*.parquet and test-*.parquet into {own}, or set TUNE_AT_DATA or --data-dir"
    else:
        remedy = f"{_fetching(config)} downloads it; or set TUNE_AT_DATA or --data-dir"
    raise UserError(f"data set {config.name}", f"is not in {there}", remedy)


def read_torchvision(config: Vision, root: Path, download: bool = False) -> Source:
    """Both splits, through torchvision, which compares checksums. Raises `UserError` that names a damaged file."""
    kind = _class_of(config)
    splits = []
    for train in (True, False):
        by_split = "split" in inspect.signature(kind).parameters
        which = {"split": "train" if train else "test"} if by_split else {"train": train}
        try:
            if download:
                _complete(kind, root)
            data = kind(str(root), download=download, **which)
        except RuntimeError as error:  # a checksum that does not match, of a file or of what was downloaded
            if download:
                raise UserError(f"data set {config.name}", f"cannot be fetched: {error}", "try it again") from None
            problem = f"is damaged: {damaged}" if (damaged := _damaged(kind, root)) else f"cannot be read: {error}"
            raise UserError(f"data set {config.name}", problem, f"{_fetching(config)} replaces it") from None
        except OSError as error:
            raise UserError(f"data set {config.name}", f"cannot be fetched: {error}", "check the connection") from None
        images, labels = data.data, data.labels if by_split else data.targets
        if images.shape[-1] == 3:  # CIFAR's come with channels last
            images = images.transpose(0, 3, 1, 2)
        splits.append(ImageSet(np.ascontiguousarray(images), np.asarray(labels, dtype=np.int64)))
    return Source(splits[0], splits[1])


def _complete(kind: Any, root: Path) -> None:
    """Download what torchvision takes for complete although its list of classes is missing or damaged."""
    from torchvision.datasets.utils import check_integrity, download_and_extract_archive

    meta = getattr(kind, "meta", None)
    if meta and not check_integrity(root / kind.base_folder / meta["filename"], meta["md5"]):
        download_and_extract_archive(kind.url, str(root), filename=kind.filename, md5=kind.tgz_md5)


def _class_of(config: Vision) -> Any:
    from torchvision import datasets

    if not config.torchvision:
        raise UserError(
            f"data set {config.name}", "cannot be downloaded: torchvision does not have it", "put its shards there"
        )
    return getattr(datasets, config.torchvision)


def _damaged(kind: Any, root: Path) -> str:
    """The first file whose checksum is not the one that torchvision knows, or that is missing; empty if all agree."""
    from torchvision.datasets.utils import check_integrity

    if hasattr(kind, "split_list"):
        known = [(name, checksum) for _, name, checksum in (kind.split_list[split] for split in ("train", "test"))]
    else:
        meta = (kind.meta["filename"], kind.meta["md5"])
        known = [
            (f"{kind.base_folder}/{name}", checksum) for name, checksum in (*kind.train_list, *kind.test_list, meta)
        ]
    for name, checksum in known:
        if not check_integrity(root / name, checksum):
            state = "has another checksum than torchvision knows" if (root / name).is_file() else "is missing"
            return f"{root / name} {state}"
    return ""


def _fetching(config: Vision) -> str:
    """The command that downloads a data set to where it was looked for."""
    folder = data_folder()
    elsewhere = "" if folder == cache_folder() / "data" else f" --data-dir {shell(folder)}"
    return f"`python run.py data fetch {config.name}{elsewhere}`"
