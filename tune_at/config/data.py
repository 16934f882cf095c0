"""Data sections: which images, how they are split, how many labels are noise, which augmentation."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from tune_at.config.facts import DataFacts, KnownData, as_key
from tune_at.config.section import Broken, Rate, Section, TrialParts, Whole, YesNo
from tune_at.config.versions import Since, unlike_absent
from tune_at.registry import Entry, Registry


class DataSection(Section):
    """What every data set has. Images are in [0, 1], shaped (channels, height, width)."""

    num_classes: ClassVar[int]
    shape: ClassVar[tuple[int, int, int]]
    train_size: ClassVar[int]
    """Training images before the validation split is taken."""
    test_size: ClassVar[int]
    listed: ClassVar[tuple[str, ...]] = ()
    """The fields that say where classes and sizes are to be counted; none where they are known of the data set."""

    _known: KnownData | None = PrivateAttr(default=None)
    _facts: DataFacts | None = PrivateAttr(default=None)

    name: str
    noise_rate: Rate = 0.0
    """Share r of training labels redrawn, uniformly over all classes: P = (1-r) I + r/C (Sec. 3.1)."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the training images held out, class-balanced, with their true labels."""
    subset: Literal["all"] | Annotated[Whole, Field(ge=1)] = "all"
    """Number of training images used, class-balanced, after the validation split."""
    split_seed: Annotated[Whole, Field(ge=0)] = 0
    """Seed of the validation split and of the subset; the same for all trials that are compared."""
    crop: Annotated[Whole, Field(ge=0)] = 0
    """Random crop after padding each side by this many pixels; 0 is none."""
    flip: YesNo = False
    """Random horizontal flip."""

    def model_post_init(self, context: Any) -> None:
        """Remember what is known of the data, which a parser hands on as the validation's context."""
        if isinstance(context, KnownData):
            self._known = context

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal; what is known of the data is no part of a config."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def told(self, known: KnownData) -> Self:
        """The same section with other knowledge of its data."""
        copy = self.model_copy()
        copy._known, copy._facts = known, None
        return copy

    @property
    def known(self) -> KnownData | None:
        """What this config was told of its data; None if nobody has told it anything."""
        return self._known

    @property
    def source(self) -> dict[str, Any]:
        """The fields that decide which images and labels there are, before any split or noise."""
        shared = DataSection.model_fields.keys() - {"name"}
        return unlike_absent(self, [name for name in type(self).model_fields if name not in shared])

    @property
    def source_key(self) -> str:
        """`source` as a string."""
        return as_key(self.source)

    @property
    def listing_key(self) -> str:
        """The fields that say what is to be counted, as a string."""
        return as_key(unlike_absent(self, self.listed))

    @property
    def given_validation(self) -> int:
        """Number of validation images that the data set has as a split of its own; 0 is none."""
        return 0

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """There must be as many training images as `subset` asks for."""
        available = self.available_samples
        if self.subset != "all" and self.subset > available:
            yield Broken(
                "data.subset",
                f"{self.subset} is more than the {available} training images of {self.name}",
                "lower it, or lower data.validation",
            )

    @property
    def validation_samples(self) -> int:
        """Number of images in the validation split."""
        return self.given_validation or round(self.train_size * self.validation)

    @property
    def available_samples(self) -> int:
        """Number of training images after the validation split, of which `subset` takes a part."""
        return self.train_size if self.given_validation else self.train_size - self.validation_samples

    @property
    def train_samples(self) -> int:
        """Number of images trained on in an epoch."""
        available = self.available_samples
        return available if self.subset == "all" else min(self.subset, available)


class Digits(DataSection):
    """Scikit-learn's handwritten digits: 1,797 grey images of 8 × 8, 20% of each class for the test."""

    num_classes: ClassVar[int] = 10
    shape: ClassVar[tuple[int, int, int]] = (1, 8, 8)
    train_size: ClassVar[int] = 1437
    test_size: ClassVar[int] = 360

    name: Literal["digits"] = "digits"


class Vision(DataSection):
    """A data set of 32 × 32 colour images that lies in Parquet shards, or in torchvision's files."""

    label_column: ClassVar[str] = "label"
    """The column of the labels in the shards."""
    torchvision: ClassVar[str] = ""
    """The class that torchvision has for it, which also downloads it; none is from shards alone."""
    files: ClassVar[tuple[str, ...]] = ()
    """The files that torchvision keeps of it, below the folder of the data set."""
    shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)


class CIFAR10(Vision):
    """CIFAR-10."""

    torchvision: ClassVar[str] = "CIFAR10"
    files: ClassVar[tuple[str, ...]] = tuple(
        f"cifar-10-batches-py/{name}"
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
    )
    num_classes: ClassVar[int] = 10
    train_size: ClassVar[int] = 50_000
    test_size: ClassVar[int] = 10_000
    name: Literal["cifar10"] = "cifar10"


class CIFAR100(Vision):
    """CIFAR-100 with its 100 fine labels."""

    label_column: ClassVar[str] = "fine_label"
    torchvision: ClassVar[str] = "CIFAR100"
    files: ClassVar[tuple[str, ...]] = tuple(f"cifar-100-python/{name}" for name in ("train", "test", "meta"))
    num_classes: ClassVar[int] = 100
    train_size: ClassVar[int] = 50_000
    test_size: ClassVar[int] = 10_000
    name: Literal["cifar100"] = "cifar100"


class SVHN(Vision):
    """Street View House Numbers, cropped digits."""

    torchvision: ClassVar[str] = "SVHN"
    files: ClassVar[tuple[str, ...]] = ("train_32x32.mat", "test_32x32.mat")
    num_classes: ClassVar[int] = 10
    train_size: ClassVar[int] = 73_257
    test_size: ClassVar[int] = 26_032
    name: Literal["svhn"] = "svhn"


class ImageFolder(DataSection):
    """Any images, as `path/train/CLASS/*` and `path/test/CLASS/*`; classes are numbered in the order of their names.

    `data/folder.py` says which layouts are read, and what of a folder is used.
    """

    listed: ClassVar[tuple[str, ...]] = ("path", "val")

    name: Literal["image_folder"] = "image_folder"
    path: Annotated[str, Field(min_length=1)]
    """The folder with `train` and `test`.

    A relative one starts from the working folder, in a study's file from the folder of that file.
    """
    val: Annotated[Literal["auto", "test", "validation", "unused"], Since(2, absent="unused")] = "auto"
    """What the folder `val` is: the `test` split, the `validation` split, or `unused`.

    With `auto` it is the validation split where there is a test split beside it, and refused where there is none.
    """
    image_size: Annotated[Whole, Field(ge=4)] = 32
    """Height and width that images are scaled to, in pixels."""

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str, info: ValidationInfo) -> str:
        # A record's paths are absolute; those of version 1 mean what they meant then.
        recorded = isinstance(info.context, KnownData) and info.context.recorded
        return path if recorded else absolute(path)

    @property
    def facts(self) -> DataFacts:
        """What the folder holds: as it was told, or counted at the first question. Raises `UserError`."""
        if self._facts is None:
            if self._known is None:
                self._known = KnownData(FOLDER_FACTS.load())
            self._facts = self._known.of(self)
        return self._facts

    def classes(self) -> list[str]:
        """The names of the classes: the folders in `path/train` with at least one image."""
        return list(self.facts.classes)

    # What is known of the other data sets beforehand is here counted in the folder.
    @property
    def num_classes(self) -> int:  # type: ignore[override]
        """Number of classes."""
        return len(self.facts.classes)

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """Shape of an image."""
        return (3, self.image_size, self.image_size)

    @property
    def train_size(self) -> int:  # type: ignore[override]
        """Training images."""
        return self.facts.images["train"]

    @property
    def test_size(self) -> int:  # type: ignore[override]
        """Test images."""
        return self.facts.images["test"]

    @property
    def given_validation(self) -> int:
        """Images in the folder's own validation split; 0 is none."""
        return self.facts.images["validation"]


def absolute(path: str, folder: str | Path = "") -> str:
    """A path that means the same from every working folder; `folder`: what a relative one starts from."""
    return str((Path(folder) / Path(path).expanduser()).absolute())


FOLDER_FACTS = Entry("image_folder", ImageFolder, "tune_at.data.folder:take_facts", "ours", "counts a folder")
"""What counts the folder of a config that was told nothing of it, as one made in Python."""

DATASETS = Registry(
    "data set",
    Entry("digits", Digits, "tune_at.data.sources:load_digits", "scikit-learn", "1,797 grey 8×8 images, no download"),
    Entry(
        "cifar10",
        CIFAR10,
        "tune_at.data.vision:load_vision",
        "Sec. 3, 5",
        "CIFAR-10: Parquet or torchvision",
        label="CIFAR-10",
    ),
    Entry(
        "cifar100",
        CIFAR100,
        "tune_at.data.vision:load_vision",
        "Fig. A.1",
        "CIFAR-100: Parquet or torchvision",
        label="CIFAR-100",
    ),
    Entry("svhn", SVHN, "tune_at.data.vision:load_vision", "Fig. A.2", "SVHN: Parquet or torchvision", label="SVHN"),
    Entry(
        "image_folder", ImageFolder, "tune_at.data.vision:load_image_folder", "ours", "your images, a folder a class"
    ),
)

if TYPE_CHECKING:
    DataConfig = DataSection
else:
    DataConfig = Annotated[DATASETS.union, DATASETS.discriminator]
