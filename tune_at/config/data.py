"""Data sections: which images, how they are split, how many labels are noise, which augmentation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from tune_at.config.section import Rate, Section
from tune_at.errors import UserError
from tune_at.registry import Entry, Registry


class DataSection(Section):
    """What every data set has. Images are in [0, 1], shaped (channels, height, width)."""

    num_classes: ClassVar[int]
    shape: ClassVar[tuple[int, int, int]]
    train_size: ClassVar[int]
    """Training images before the validation split is taken."""
    test_size: ClassVar[int]

    name: str
    noise_rate: Rate = 0.0
    """Share r of training labels drawn anew, uniformly over all classes: P = (1-r) I + r/C (Sec. 3.1)."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the training images held out, class-balanced, with their true labels."""
    subset: Literal["all"] | Annotated[int, Field(ge=1)] = "all"
    """Number of training images used, class-balanced, after the validation split."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the validation split and of the subset; the same for all trials that are compared."""
    crop: Annotated[int, Field(ge=0)] = 0
    """Random crop after padding each side by this many pixels; 0 is none."""
    flip: bool = False
    """Random horizontal flip."""

    @property
    def validation_samples(self) -> int:
        """Number of images in the validation split."""
        return round(self.train_size * self.validation)

    @property
    def train_samples(self) -> int:
        """Number of images trained on in an epoch."""
        available = self.train_size - self.validation_samples
        return available if self.subset == "all" else min(self.subset, available)


class Digits(DataSection):
    """Scikit-learn's handwritten digits: 1,797 grey images of 8 × 8, 20% of each class for the test."""

    num_classes: ClassVar[int] = 10
    shape: ClassVar[tuple[int, int, int]] = (1, 8, 8)
    train_size: ClassVar[int] = 1437
    test_size: ClassVar[int] = 360

    name: Literal["digits"] = "digits"


class Vision(DataSection):
    """A data set of 32 × 32 colour images that torchvision can fetch, or that lies in Parquet shards."""

    label_column: ClassVar[str] = "label"
    """The column of the labels in the shards."""
    shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)


class CIFAR10(Vision):
    """CIFAR-10."""

    num_classes: ClassVar[int] = 10
    train_size: ClassVar[int] = 50_000
    test_size: ClassVar[int] = 10_000
    name: Literal["cifar10"] = "cifar10"


class CIFAR100(Vision):
    """CIFAR-100 with its 100 fine labels."""

    label_column: ClassVar[str] = "fine_label"
    num_classes: ClassVar[int] = 100
    train_size: ClassVar[int] = 50_000
    test_size: ClassVar[int] = 10_000
    name: Literal["cifar100"] = "cifar100"


class SVHN(Vision):
    """Street View House Numbers, cropped digits."""

    num_classes: ClassVar[int] = 10
    train_size: ClassVar[int] = 73_257
    test_size: ClassVar[int] = 26_032
    name: Literal["svhn"] = "svhn"


class ImageFolder(DataSection):
    """Any images, as `path/train/CLASS/*` and `path/test/CLASS/*`; classes are numbered in the order of their names."""

    name: Literal["image_folder"] = "image_folder"
    path: str
    """The folder with `train` and `test`."""
    image_size: Annotated[int, Field(ge=4)] = 32
    """Height and width that images are scaled to, in pixels."""

    def classes(self) -> list[str]:
        """The names of the classes: the folders in `path/train`."""
        folder = Path(self.path).expanduser() / "train"
        found = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
        if not found:
            raise UserError("data.path", f"{folder} has no folders of classes", "name a folder with train and test")
        return found

    def files(self, split: str) -> list[tuple[Path, int]]:
        """The (file, class) pairs of a split. Raises `UserError` if it is absent, empty, or has another class."""
        folder = Path(self.path).expanduser() / split
        classes = {name: number for number, name in enumerate(self.classes())}
        if not folder.is_dir():
            raise UserError("data.path", f"{self.path} has no split {split}", "name a folder with train and test")
        strange = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name not in classes)
        if strange:
            raise UserError("data.path", f"{folder} has the class {strange[0]}, train has not", "remove the folder")
        found = [
            (path, label)
            for name, label in classes.items()
            for path in sorted((folder / name).glob("*"))
            if path.is_file() and not path.name.startswith(".")
        ]
        if not found:
            raise UserError("data.path", f"{folder} has no images", "put images in the folders of the classes")
        return found

    # What is known of the other data sets beforehand is here counted in the folder.
    @property
    def num_classes(self) -> int:  # type: ignore[override]
        """Number of classes."""
        return len(self.classes())

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """Shape of an image."""
        return (3, self.image_size, self.image_size)

    @property
    def train_size(self) -> int:  # type: ignore[override]
        """Training images."""
        return len(self.files("train"))

    @property
    def test_size(self) -> int:  # type: ignore[override]
        """Test images."""
        return len(self.files("test"))


DATASETS = Registry(
    "data set",
    Entry("digits", Digits, "tune_at.data.sources:load_digits", "scikit-learn", "1,797 grey 8×8 images, no download"),
    Entry("cifar10", CIFAR10, "tune_at.data.vision:load_vision", "Sec. 3, 5", "CIFAR-10: Parquet or torchvision"),
    Entry("cifar100", CIFAR100, "tune_at.data.vision:load_vision", "Fig. A.1", "CIFAR-100: Parquet or torchvision"),
    Entry("svhn", SVHN, "tune_at.data.vision:load_vision", "Fig. A.2", "SVHN: Parquet or torchvision"),
    Entry(
        "image_folder", ImageFolder, "tune_at.data.vision:load_image_folder", "ours", "your images, a folder a class"
    ),
)

if TYPE_CHECKING:
    DataConfig = DataSection
else:
    DataConfig = Annotated[DATASETS.union, DATASETS.discriminator]
