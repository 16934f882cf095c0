"""What a folder of images holds: its layout, its classes, which files are used, and what is not used and why.

    train/CLASS/*      test/CLASS/*       val/CLASS/*  (also called valid or validation)
    train/CLASS/images/*                  val/images/* with val/val_annotations.txt   (Tiny-ImageNet)

A class is a folder in `train` with at least one image; classes are numbered in the order of their names. An image is a
file with one of the `SUFFIXES`, whatever their case; links are followed. Nothing is decoded here.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from tune_at.config.data import DataSection, ImageFolder
from tune_at.config.facts import DataFacts
from tune_at.errors import UserError
from tune_at.wording import counted

SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        "bmp", "gif", "jfif", "jp2", "jpe", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tga", "tif", "tiff",
        "webp",
    )
)  # fmt: skip
"""Files that are images, by the end of their name in small letters."""

VALIDATION = ("val", "valid", "validation")
"""What a folder with the validation split may be called."""

INNER = "images"
"""A folder in a class whose images belong to the class, and in a split whose images have no class of their own."""


@dataclass(frozen=True)
class Listing:
    """The (file, class) pairs of each split, in the order in which they are numbered."""

    classes: tuple[str, ...]
    files: Mapping[str, list[tuple[Path, int]]]
    unused: tuple[str, ...]

    def facts(self) -> DataFacts:
        """What a config has to know of it."""
        return DataFacts(self.classes, {split: len(files) for split, files in self.files.items()}, self.unused)


def take_facts(config: DataSection) -> DataFacts:
    """Count a folder of images. Raises `UserError` if it has no layout that is known."""
    assert isinstance(config, ImageFolder)
    return list_folder(Path(config.path).expanduser(), config.val).facts()


def list_folder(root: Path, val: str = "auto") -> Listing:
    """List the splits of a folder, each of its folders once.

    Args:
        root: the folder with `train` and the other splits.
        val: what the folder `val` is: `test`, `validation`, `unused`, or `auto`: validation if there is a test split.

    Raises:
        UserError: a split is missing, has no images or a class that `train` has not, or `val` could be either.
    """
    if not root.is_dir():
        raise UserError("data.path", f"{root} is not a folder", "name a folder with train and test")
    train = _Split(root / "train")
    if not train.classes:
        problem = f"{train.folder} has no folders of classes{_instead(train)}"
        raise UserError("data.path", problem, "name a folder with train and test")
    classes = tuple(sorted(train.classes))
    places = _places(root, val, train)
    splits = {"train": train, **{name: _Split(place) for name, place in places.items()}}
    files = {name: split.labelled(train) for name, split in splits.items()}
    files = {name: files.get(name, []) for name in ("train", "validation", "test")}
    unused = [line for split in splits.values() if (line := split.unused())]
    for name in ("test", *VALIDATION):
        if (root / name).is_dir() and root / name not in places.values():
            unused.append(f"{name}: not used{'' if name in VALIDATION else ', its images have no classes'}")
    return Listing(classes, files, tuple(unused))


def _places(root: Path, val: str, train: "_Split") -> dict[str, Path]:
    """The folders of the validation and the test split."""
    names = [name for name in VALIDATION if (root / name).is_dir()]
    if len(names) > 1 and val != "unused":
        raise UserError("data.path", f"{root} has {' and '.join(names)}", "keep one of them")
    folder = root / (names or VALIDATION)[0]
    test = root / "test"
    # The public test images of a challenge come without classes.
    has_test = test.is_dir() and (_folders(test) != [INNER] or INNER in train.classes or _annotations(test) is not None)
    if not names and val in ("test", "validation"):
        raise UserError("data.val", f"{val!r}, but {root} has no folder val", "drop data.val, or add the folder")
    if val == "test" and has_test:
        raise UserError(
            "data.val", f"'test', but {root} has test beside {folder.name}", "write validation or unused, or drop it"
        )
    if not has_test and names and val == "auto":
        raise UserError(
            "data.val",
            f"{root} has train and {folder.name}, but no test split",
            f"say what {folder.name} is: data.val=test, with a share of train for validation, or"
            " data.val=validation, and nothing is measured on a test split",
        )
    if not has_test and val in ("auto", "unused"):
        raise UserError("data.path", f"{root} has no split test", "name a folder with train and test")
    places = {}
    if names and val in ("auto", "validation"):
        places["validation"] = folder
    if val == "test":
        places["test"] = folder
    elif has_test:
        places["test"] = test
    return places


def _folders(split: Path) -> list[str]:
    return [entry.name for entry in _entries(split) if entry.is_dir() and not entry.name.startswith(".")]


def _annotations(folder: Path) -> Path | None:
    """Tiny-ImageNet's table of a split whose images lie in one folder: file, class and a box, with tabs between."""
    tables = sorted(folder.glob("*_annotations.txt")) if folder.is_dir() else []
    return tables[0] if tables else None


def _instead(train: "_Split") -> str:
    """What there is in place of a train split, to be told."""
    if not train.folder.is_dir():
        return ": there is no such folder"
    return f" with images ({line.partition(': ')[2]})" if (line := train.unused()) else ""


@dataclass
class _Split:
    """One split as it lies on the disk, each folder listed once."""

    folder: Path
    classes: dict[str, list[Path]] = field(default_factory=dict)
    """Images by class; only classes that have one."""
    empty: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    """Number of files that are not used, by reason."""

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            return
        annotated = _annotations(self.folder)
        for entry in _entries(self.folder):
            if not entry.is_dir():
                if annotated is None or entry.name != annotated.name:
                    self._leave(entry, "outside of the classes' folders")
            elif entry.name.startswith("."):
                self.left["hidden"] += _count(entry)
            elif annotated is not None and entry.name == INNER:
                self._annotated(annotated, self._images(entry, inner=False))
            else:
                # The same name can be spelled in two ways; archives that were made on a Mac have the other one.
                name, images = unicodedata.normalize("NFC", entry.name), self._images(entry)
                if name in self.classes and images:
                    raise UserError("data.path", f"{self.folder} has two folders called {name}", "rename one of them")
                if images:
                    self.classes[name] = images
                else:
                    self.empty.append(name)

    def _images(self, folder: "os.DirEntry[str]", inner: bool = True) -> list[Path]:
        """The images in a folder, and in its folder `images` if `inner`; whatever else lies in it is counted."""
        images, below = [], []
        for entry in _entries(folder):
            if entry.is_dir():
                if inner and entry.name == INNER:
                    below = self._images(entry, inner=False)
                else:
                    self.left["in subfolders"] += _count(entry)
            elif entry.is_file() and not entry.name.startswith(".") and _suffix(entry.name) in SUFFIXES:
                images.append(Path(entry.path))
            else:
                self._leave(entry)
        return images + below

    def _leave(self, entry: "os.DirEntry[str]", image: str = "") -> None:
        if entry.name.startswith("."):
            self.left["hidden"] += 1
        elif not entry.is_file():
            self.left["with a broken link"] += 1
        elif _suffix(entry.name) in SUFFIXES:
            self.left[image] += 1
        else:
            suffix = _suffix(entry.name)
            self.left[f"with the suffix {suffix}" if suffix else "without a suffix"] += 1

    def _annotated(self, table: Path, images: list[Path]) -> None:
        """Sort the images of one folder into the classes that a table gives them."""
        by_name = {path.name: path for path in images}
        try:
            lines = table.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UserError(str(table), f"cannot be read: {error}", "restore the file") from None
        for number, line in enumerate(lines, 1):
            name, tab, rest = line.partition("\t")
            if not line.strip():
                continue
            label = rest.partition("\t")[0].strip()
            if not tab or not label:
                raise UserError(f"{table}, line {number}", f"{line!r} has no class", "write FILE, a tab, CLASS")
            if name not in by_name:
                remedy = "restore the image, or drop the line"
                raise UserError(f"{table}, line {number}", f"there is no {name} in {INNER}, or it stands twice", remedy)
            self.classes.setdefault(label, []).append(by_name.pop(name))
        for paths in self.classes.values():
            paths.sort()
        self.left[f"not in {table.name}"] += len(by_name)

    def labelled(self, train: "_Split") -> list[tuple[Path, int]]:
        """The (file, class) pairs. Raises `UserError` if there are none, or one of a class that `train` has not."""
        classes = sorted(train.classes)
        strange = sorted({*self.classes, *(set(self.empty) - set(train.empty))} - set(classes))
        if strange and strange[0] in train.empty:
            raise UserError(
                "data.path",
                f"{self.folder} has images of the class {strange[0]}, {train.folder / strange[0]} has none",
                "add some, or remove both folders",
            )
        if strange:
            raise UserError(
                "data.path", f"{self.folder} has the class {strange[0]}, train has not", "remove or rename the folder"
            )
        pairs = [(path, label) for label, name in enumerate(classes) for path in self.classes.get(name, ())]
        if not pairs:
            raise UserError("data.path", f"{self.folder} has no images", "put images in the folders of the classes")
        return pairs

    def unused(self) -> str:
        """What is not used, in one line: `train: 30 files, 20 used, 10 in subfolders`; empty if nothing."""
        left = {reason: count for reason, count in self.left.items() if count}
        used = sum(map(len, self.classes.values()))
        parts = []
        if left:
            parts = [counted(used + sum(left.values()), "file"), f"{used} used"]
            parts += [f"{count} {reason}" for reason, count in sorted(left.items())]
        if self.empty:
            few = ", ".join(self.empty[:3]) + (", …" if len(self.empty) > 3 else "")
            parts.append(f"{counted(len(self.empty), 'folder')} without images ({few})")
        return f"{self.folder.name}: {', '.join(parts)}" if parts else ""


def _entries(folder: "os.PathLike[str] | os.DirEntry[str]") -> list["os.DirEntry[str]"]:
    """What lies in a folder, in the order of its names. Raises `UserError`."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        problem = f"{os.fspath(folder)} cannot be listed: {error.strerror}"
        raise UserError("data.path", problem, "check its rights") from None


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


def _count(folder: "os.DirEntry[str]") -> int:
    """Number of files in a folder, in whatever depth."""
    return sum(len(files) for _, _, files in os.walk(folder))
