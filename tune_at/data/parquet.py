"""Image data sets in the Parquet layout of the public hub: shards named after their split, image bytes, a label."""

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


def find_shards(folder: Path, name: str) -> dict[str, list[Path]]:
    """The shards of each split, in the order of their numbers: in `folder/name`, or else in `folder` itself.

    Shards are called `train-00000-of-00002.parquet` and the like. Returns {} where there are none of either split;
    raises `UserError` if one split is missing.
    """
    own = folder / name
    if own.is_dir():
        # SVHN's repository holds the cropped digits beside the full photographs.
        cropped = own / "cropped_digits"
        roots = [(cropped if cropped.is_dir() else own, "**/")]
    else:
        # The folder itself, not what lies in it of other data sets, nor a folder that bears another one's name.
        roots = [] if folder.name in DATASETS and folder.name != name else [(folder, ""), (folder / "data", "")]
    for root, below in roots:
        found = {split: sorted(root.glob(f"{below}{split}-*.parquet")) for split in SPLITS} if root.is_dir() else {}
        if any(found.values()):
            for split in SPLITS:
                if not found[split]:
                    raise UserError(str(root), f"has no {split}-*.parquet", f"put the shards of split {split} there")
            return found
    return {}


def decode_shards(shards: dict[str, list[Path]], label_column: str) -> Source:
    """Decode all images as `decode_image` does. Raises `UserError` with the file and the row."""
    return Source(*(_decode_split(shards[split], label_column) for split in SPLITS))


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
        found = table[label_column].to_pylist()
        if None in found:
            raise UserError(f"{path}, row {found.index(None)}", "has no label", "check the label column")
        if not all(isinstance(label, int) for label in found):
            raise UserError(str(path), f"has the label {found[0]!r}", "labels are whole numbers")
        labels.extend(found)
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
