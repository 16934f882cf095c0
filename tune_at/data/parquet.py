"""Image data sets in the Parquet layout of the public hub: shards named after their split, image bytes, a label."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tune_at.config.data import DATASETS
from tune_at.data.arrays import ImageSet, Source
from tune_at.data.decode import decode_image
from tune_at.errors import UserError

IMAGE_COLUMNS = ("img", "image")
SPLITS = ("train", "test")
BELOW = ("", "data", "plain_text", "default")
"""Where a repository of the public hub has its shards: in itself, or in one of these folders."""
CROPPED = "cropped_digits"
"""The folder of SVHN's repository with the digits that are meant."""


def find_shards(folder: Path, name: str) -> dict[str, list[Path]]:
    """The shards of each split, in the order of their numbers: in `folder/name`, or else in `folder` itself.

    Shards are called `train-00000-of-00002.parquet` and the like, or lie in folders `train` and `test`; below
    the folder they may be in one of `BELOW`, as the hub's repositories have them. Returns {} where there are none of
    either split; raises `UserError` if one split or one shard is missing, or if a split is there twice.
    """
    own = folder / name
    if own.is_dir():
        # SVHN's repository holds the cropped digits beside the full photographs.
        cropped = own / CROPPED
        roots = [(cropped if cropped.is_dir() else own, "**/")]
    else:
        # The folder itself, not what lies in it of other data sets, nor a folder that bears another one's name.
        taken = folder.name in DATASETS and folder.name != name
        below = BELOW if name != "svhn" else (*BELOW, CROPPED)
        roots = [] if taken else [(folder / part, "") for part in below]
    for root, below_it in roots:
        shards = {split: _shards(root, below_it, split) for split in SPLITS} if root.is_dir() else {}
        if any(shards.values()):
            for split in SPLITS:
                if not shards[split]:
                    raise UserError(str(root), f"has no {split}-*.parquet", f"put the shards of split {split} there")
                _require_whole(root, split, shards[split])
            return shards
    return {}


def _shards(root: Path, below: str, split: str) -> list[Path]:
    return sorted(root.glob(f"{below}{split}-*.parquet")) or sorted(root.glob(f"{below}{split}/*.parquet"))


def _require_whole(root: Path, split: str, paths: Sequence[Path]) -> None:
    """Raise `UserError` if shards of a split are missing, or if there are more than one set of them."""
    folders = sorted({str(path.parent.relative_to(root)) for path in paths})
    if len(folders) > 1:
        raise UserError(str(root), f"has the split {split} in {' and in '.join(folders)}", "keep one of the folders")
    numbers = [match for path in paths if (match := re.fullmatch(r".*-(\d+)-of-(\d+)", path.stem))]
    totals = sorted({match[2] for match in numbers})
    if len(totals) > 1 or (numbers and len(numbers) < len(paths)):
        names = f"{paths[0].name} and {paths[-1].name}"
        raise UserError(str(paths[0].parent), f"has {names}, which are of two copies", "keep the files of one of them")
    if totals:
        width = len(totals[0])
        missing = sorted(set(range(int(totals[0]))) - {int(match[1]) for match in numbers})
        if missing:
            shard = f"{split}-{missing[0]:0{width}d}-of-{totals[0]}.parquet"
            raise UserError(str(paths[0].parent), f"has no {shard}", "fetch that file, too")


def decode_shards(shards: dict[str, list[Path]], label_column: str) -> Source:
    """Decode all images as `decode_image` does. Raises `UserError` with the file and the row."""
    train, test = (_decode_split(shards[split], label_column) for split in SPLITS)
    return Source(train, test)


def _decode_split(paths: Sequence[Path], label_column: str) -> ImageSet:
    images: list[np.ndarray] = []
    labels: list[int] = []
    for path in paths:
        table = _read(path, label_column)
        (image_column,) = [name for name in table.column_names if name != label_column]
        for row, cell in enumerate(table[image_column]):
            images.append(_decode(cell.as_py(), path, row))
            if images[-1].shape != images[0].shape:
                raise UserError(
                    f"{path}, row {row}",
                    f"has an image of shape {images[-1].shape}, others have {images[0].shape}",
                    "all images of a data set have one size",
                )
        column = table[label_column].to_pylist()
        if None in column:
            raise UserError(f"{path}, row {column.index(None)}", "has no label", "check the label column")
        if not all(isinstance(label, int) for label in column):
            raise UserError(str(path), f"has the label {column[0]!r}", "labels are whole numbers")
        labels.extend(column)
    if not images:
        raise UserError(str(paths[0]), "has no rows", "fetch the file again")
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return ImageSet(np.ascontiguousarray(stacked), np.array(labels, dtype=np.int64))


def _read(path: Path, label_column: str) -> pa.Table:
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        names = file.schema_arrow.names
        image_column = next((name for name in IMAGE_COLUMNS if name in names), None)
        if image_column is None or label_column not in names:
            raise UserError(
                str(path), f"has the columns {', '.join(names)}", f"it needs {label_column} and one of {IMAGE_COLUMNS}"
            )
        return file.read([image_column, label_column])
    except (pa.ArrowException, OSError) as error:
        raise UserError(str(path), f"cannot be read: {str(error).splitlines()[0]}", "fetch the file again") from None


def _decode(cell: object, path: Path, row: int) -> np.ndarray:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    where, remedy = f"{path}, row {row}", "fetch the file again"
    if not isinstance(data, bytes):
        raise UserError(where, "is not an image: it holds no bytes", remedy)
    return np.asarray(decode_image(data, where, remedy))
